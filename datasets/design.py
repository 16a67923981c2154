"""What a synthetic study is made of: people, stories, grid, planted signal, noise."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .errors import WrongArgument


@dataclass(frozen=True)
class SyntheticDesign:
    """The design of a synthetic study; the defaults make the data set of `plasticode demo`.

    Parameters
    ----------
    n_subjects
        People; the last one is meant to be held out.
    train, validation, test
        Names of the stories (BIDS labels: letters and digits).
    durations
        Shortest and longest story in s; a story's length is a multiple of 20 s between them.
    tail
        Recording after a story's end in s, so that the response to its last words is seen.
    repetition_time
        s from volume to volume.
    grid, voxel_size
        Voxels along x, y, z, and their edge in mm.
    n_topics
        Features beside word rate and word length: one per topic.
    topic_radius, rate_radius
        Radius of a topic's one blob and of each of the two (left, right) blobs of the word rate, in voxels.
    snr
        Standard deviation of the planted signal over that of the noise: root mean square over the responsive voxels
        of a person with gain 1. Noise is the stationary part only (without drift and spikes); nothing is filtered.
    gains
        Range of the factor by which a person's responses are stronger than the template's.
    displacements
        Range of the largest displacement of a person's warp, in voxels.
    autocorrelation
        Coefficient of the first-order autoregressive noise, from volume to volume.
    noise_fwhm, white_share
        Full width at half maximum of the spatially smooth noise in voxels, and the share of the noise variance that
        is independent from voxel to voxel.
    drift
        Standard deviation of the drift (cosines slower than 128 s), in standard deviations of the noise.
    spikes, spike_size
        Motion-like spikes per run, and their height in standard deviations of the noise.
    baseline, noise_sd
        Mean intensity in the brain, and standard deviation of the noise, in the image's units.
    """

    n_subjects: int = 4
    train: tuple[str, ...] = (
        *("amber", "birch", "cedar", "dune", "ember"),
        *("fjord", "grove", "heath", "islet", "juniper"),
    )
    validation: tuple[str, ...] = ("kelp",)
    test: tuple[str, ...] = ("lagoon", "meadow", "north")
    durations: tuple[float, float] = (360.0, 400.0)
    tail: float = 10.0
    repetition_time: float = 2.0
    grid: tuple[int, int, int] = (18, 22, 18)
    voxel_size: float = 8.0
    n_topics: int = 10
    topic_radius: float = 1.8
    rate_radius: float = 2.6
    snr: float = 0.6
    gains: tuple[float, float] = (0.7, 1.4)
    displacements: tuple[float, float] = (1.0, 1.5)
    autocorrelation: float = 0.3
    noise_fwhm: float = 1.5
    white_share: float = 0.3
    drift: float = 1.0
    spikes: int = 3
    spike_size: float = 4.0
    baseline: float = 1000.0
    noise_sd: float = 20.0

    def __post_init__(self) -> None:
        self._require(self.n_subjects >= 1, "n_subjects", "Give at least one subject.")
        self._require(self.n_topics >= 1, "n_topics", "Give at least one topic.")
        self._require(self.snr >= 0, "snr", "Give 0 or more.")
        self._require(self.repetition_time > 0, "repetition_time", "Give seconds above 0.")
        self._require(0 <= self.autocorrelation < 1, "autocorrelation", "Give a coefficient in [0, 1).")
        self._require(0 <= self.white_share <= 1, "white_share", "Give a share between 0 and 1.")
        self._require(self.durations[0] <= self.durations[1], "durations", "Give the shortest, then the longest.")
        self._require(min(self.grid) >= 6, "grid", "Give at least 6 voxels along each axis.")
        self._require(len(set(self.stories)) == len(self.stories), "stories", "Give each story one name.")

    def _require(self, holds: bool, field: str, remedy: str) -> None:
        if not holds:
            raise WrongArgument(f"{field} cannot be {getattr(self, field)}", "SyntheticDesign", remedy)

    @classmethod
    def small(cls, **changes: Any) -> SyntheticDesign:
        """Two people, three stories of 80 s, 10 x 12 x 10 voxels: for tests."""
        fields: dict[str, Any] = {
            "n_subjects": 2,
            "train": ("amber",),
            "validation": ("kelp",),
            "test": ("lagoon",),
            "durations": (80.0, 80.0),
            "grid": (10, 12, 10),
            "n_topics": 4,
            "topic_radius": 1.5,
            "rate_radius": 1.5,
            "spikes": 1,
        }
        return cls(**(fields | changes))

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> SyntheticDesign:
        """The design whose `record()` this is."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in record.items()
        }
        return cls(**fields)

    def record(self) -> dict[str, Any]:
        """Field names and values as JSON has them (lists for tuples)."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @property
    def stories(self) -> tuple[str, ...]:
        return (*self.train, *self.validation, *self.test)

    @property
    def subjects(self) -> tuple[str, ...]:
        """As BIDS names them: sub-01, sub-02, ..."""
        return tuple(f"sub-{number + 1:02d}" for number in range(self.n_subjects))
