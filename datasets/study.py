"""The contract of a brain data set: Study, Run, Responses, VoxelMask, Word.

A `Study` knows where its files are and reads one `Run` (one recording of one person) at a time. A run's
`Responses` stay on disk until rows are asked for. Every subclass of `Study` is checked when it is defined.
"""

from __future__ import annotations

import importlib
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from .errors import BrokenData, MissingData, WrongArgument

FACTS = ("name", "url", "doi", "licence", "citation", "language", "info")


@dataclass(frozen=True, slots=True)
class Word:
    """Text with `onset` and `offset` in seconds on the run's clock: row i was acquired at i * repetition_time.

    Raises `BrokenData` when the times are not finite or the offset lies before the onset.
    """

    text: str
    onset: float
    offset: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.onset) and math.isfinite(self.offset) and self.offset >= self.onset):
            raise BrokenData(
                f"onset {self.onset} s and offset {self.offset} s are not a stretch of time",
                f"word {self.text!r}",
                "Give finite times with onset <= offset.",
            )


@dataclass(frozen=True, eq=False)
class VoxelMask:
    """Which voxels of a volume the channels of `Responses` are, and where the volume lies.

    Channel c is the c-th True voxel of `volume` in C order (nilearn's order); `affine` maps voxel indices to mm.
    """

    volume: Bool[np.ndarray, "x y z"]
    affine: Float[np.ndarray, "4 4"]

    @property
    def n_voxels(self) -> int:
        return int(self.volume.sum())

    def index(self) -> Int[np.ndarray, " channel"]:
        """Flat C-order index of every channel in the volume."""
        return np.flatnonzero(self.volume)

    def unfold(self, values: Float[np.ndarray, "*time channel"], fill: float = 0.0) -> Float[np.ndarray, "*time x y z"]:
        """Channels to volumes; voxels outside the mask get `fill`."""
        flat = np.full((*values.shape[:-1], self.volume.size), fill, dtype=values.dtype)
        flat[..., self.index()] = values
        return flat.reshape(*values.shape[:-1], *self.volume.shape)

    def same_grid(self, other: VoxelMask) -> bool:
        return self.volume.shape == other.volume.shape and np.allclose(self.affine, other.affine, atol=1e-3)


@runtime_checkable
class Rows(Protocol):
    """What `Responses` can be backed by: a memory map, an HDF5 data set, an array."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


class Responses:
    """Responses (time, channel), read lazily: float16 or float32 on disk, float32 out.

    Parameters
    ----------
    rows
        A two-dimensional array-like that is read only where it is sliced.
    mask
        Unfolds the channels to volumes; None for principal components, parcels and other channels without a place.
    """

    def __init__(self, rows: Rows, mask: VoxelMask | None = None) -> None:
        if len(rows.shape) != 2:
            raise BrokenData(f"responses have shape {tuple(rows.shape)}", "Responses", "Give an array (time, channel).")
        if mask is not None and mask.n_voxels != rows.shape[1]:
            raise BrokenData(
                f"mask has {mask.n_voxels} voxels but responses have {rows.shape[1]} channels",
                "Responses",
                "Use the mask with which the responses were made.",
            )
        self._rows, self.mask = rows, mask

    @property
    def n_rows(self) -> int:
        return int(self._rows.shape[0])

    @property
    def n_channels(self) -> int:
        return int(self._rows.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        return self.n_rows, self.n_channels

    def __getitem__(self, rows: slice) -> Float32[np.ndarray, "time channel"]:
        return np.ascontiguousarray(self._rows[rows], dtype=np.float32)

    def padded(self, start: int, stop: int) -> Float32[np.ndarray, "time channel"]:
        """Rows start..stop; rows before the first or after the last are 0, the mean of z-scored responses."""
        out = np.zeros((stop - start, self.n_channels), np.float32)
        first, last = max(start, 0), min(stop, self.n_rows)
        if last > first:
            out[first - start : last - start] = self[first:last]
        return out


@dataclass(frozen=True, eq=False)
class Run:
    """One recording of one person.

    `repetition_time` is in s. `timing` says how exactly the words are placed: by their own "onset", or only within
    a "repetition" (then they are spread evenly inside it). `session` tells repeats of one story apart.
    """

    study: str
    subject: str
    story: str
    repetition_time: float
    responses: Responses
    words: tuple[Word, ...] = ()
    session: str = ""
    language: str = "en"
    timing: Literal["onset", "repetition"] = "onset"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.repetition_time) and self.repetition_time > 0):
            raise BrokenData(
                f"repetition time is {self.repetition_time} s", self.key, "Give the time between two rows in seconds."
            )
        if self.responses.n_rows < 2:
            raise BrokenData(
                f"the recording has {self.responses.n_rows} row(s)", self.key, "A run needs at least two volumes."
            )

    @property
    def key(self) -> str:
        """`study/subject/story[/session]`, unique within a study."""
        return "/".join(part for part in (self.study, self.subject, self.story, self.session) if part)

    @property
    def duration(self) -> float:
        """Length in s."""
        return self.responses.n_rows * self.repetition_time

    def words_between(self, start: float, stop: float) -> tuple[Word, ...]:
        """Words whose onset lies in [start, stop), both in s."""
        return tuple(word for word in self.words if start <= word.onset < stop)


class Study(ABC):
    """One brain data set in a folder.

    Class facts (all required): `name`, `url`, `doi`, `licence`, `citation`, `language`, and `info`, the counts that a
    complete copy has (for example `{"subjects": 28}`).

    Parameters
    ----------
    root
        Folder with the files. Raises `MissingData` when it is not there.
    """

    name: ClassVar[str]
    url: ClassVar[str]
    doi: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    language: ClassVar[str]
    info: ClassVar[dict[str, Any]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        absent = [fact for fact in FACTS if not hasattr(cls, fact)]
        if absent and not inspect.isabstract(cls):
            raise TypeError(f"{cls.__name__} is a Study without {', '.join(absent)}: state them as class attributes")

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise MissingData(
                f"no folder for study {self.name}",
                self.root,
                f"Give --root the folder that holds it, or see `plasticode fetch {self.name} --help`.",
            )

    @abstractmethod
    def subjects(self) -> list[str]:
        """Subjects found under the root, sorted."""

    @abstractmethod
    def stories(self, subject: str) -> list[str]:
        """Stories that the subject heard, sorted."""

    @abstractmethod
    def run(self, subject: str, story: str, session: str = "") -> Run:
        """The recording; its responses are read when they are sliced."""

    def sessions(self, subject: str, story: str) -> list[str]:
        """Repeats of the story: one, without a name, unless the study says otherwise."""
        return [""]

    def sources(self, subject: str, story: str, session: str = "") -> list[Path]:
        """Files on which the run depends; their content names its cache entry (see `prepare`)."""
        return []

    def cache_key(self) -> dict[str, Any]:
        """Whatever besides the sources decides the responses: a study with parameters adds them (see `prepare`)."""
        return {"class": type(self).__qualname__, "version": 1}

    def runs(self, subjects: Sequence[str] | None = None, stories: Sequence[str] | None = None) -> Iterator[Run]:
        """Runs of the chosen subjects and stories (all by default), in sorted order.

        Raises `MissingData` when a subject or a story is named that the study does not have.
        """
        for recording in self.recordings(subjects, stories):
            yield self.run(*recording)

    def recordings(
        self, subjects: Sequence[str] | None = None, stories: Sequence[str] | None = None
    ) -> list[tuple[str, str, str]]:
        """(subject, story, session) of the chosen runs, without reading any."""
        known = self.subjects()
        self._all_known(subjects, known, "subject")
        found = [(subject, story) for subject in subjects or known for story in self.stories(subject)]
        self._all_known(stories, {story for _, story in found}, "story")
        return [
            (subject, story, session)
            for subject, story in found
            if stories is None or story in stories
            for session in self.sessions(subject, story)
        ]

    def _all_known(self, asked: Sequence[str] | None, known: Sequence[str] | set[str], kind: str) -> None:
        unknown = [name for name in asked or () if name not in known]
        if unknown:
            raise MissingData(
                f"no {kind} {', '.join(unknown)} in study {self.name}",
                self.root,
                f"There are: {', '.join(sorted(known)) or 'none'}.",
            )


def study_class(name: str) -> type[Study]:
    """The Study in `datasets/<name>.py`: the file is the registry. Raises `MissingData` for a name without one."""
    if name in study_names():
        module = importlib.import_module(f".{name}", __package__)
        for value in vars(module).values():
            if inspect.isclass(value) and issubclass(value, Study) and getattr(value, "name", None) == name:
                return value
    raise MissingData(f"no study named {name!r}", "--study", f"Choose one of: {', '.join(study_names())}.")


def open_study(name: str, root: str | Path, options: Mapping[str, Any] | None = None) -> Study:
    """The study in a folder; `options` are its reader's own (for example a BIDS folder's task and space).

    Raises `WrongArgument` for an option that the reader does not have.
    """
    made: Callable[..., Study] = study_class(name)
    try:
        return made(root, **(options or {}))
    except TypeError as error:
        raise WrongArgument(str(error), f"options of study {name}", "See the reader's parameters.") from error


def study_names() -> list[str]:
    """Names of the studies that the package can read, from its files and without importing them."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(path.stem for path in files if f'name = "{path.stem}"' in path.read_text(encoding="utf-8"))
