"""Windows of recordings as batches of tensors; the same key always gives the same batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from ..datasets.errors import BrokenData, MissingData
from ..datasets.study import Run
from ..datasets.windows import WindowShape
from .characters import Characters, padded
from .text_features import RunText, TextFeatures
from .unfold import Unfold

# Few different widths: torch keeps compiled kernels and buffers for each that it meets, and memory grows with them.
WIDTH = 64


class Batch(NamedTuple):
    """Windows of responses and what was heard. `subject` is -1 for a person who was not trained on."""

    responses: Float[Tensor, "batch rows channel"]
    subject: Int[Tensor, " batch"]
    mask: Int[Tensor, " batch"]
    features: Float[Tensor, "batch time feature"]
    counts: Float[Tensor, "batch time 2"]
    characters: Int[Tensor, "batch character"]


class WindowSet:
    """Runs with their words laid out, cut into windows on demand."""

    def __init__(
        self,
        runs: Sequence[Run],
        features: TextFeatures,
        characters: Characters,
        subjects: Sequence[str],
        shape: WindowShape,
        unfold: Unfold | None,
    ) -> None:
        if not runs:
            raise MissingData("no recording to make windows from", "split", "Give runs to train on and to watch.")
        self.runs, self.characters, self.unfold = list(runs), characters, unfold
        self.texts: list[RunText] = [features.of(run) for run in runs]
        self.subject = [list(subjects).index(run.subject) if run.subject in subjects else -1 for run in runs]
        self.rows, self.reach = shape.rows(runs[0].repetition_time), shape.reach_rows(runs[0].repetition_time)
        short = [run.key for run in runs if run.responses.n_rows < self.rows]
        if short:
            raise BrokenData(
                f"shorter than one window of {shape.duration:.0f} s", ", ".join(short), "Leave the run(s) out."
            )

    def batch(self, places: Sequence[tuple[int, int]]) -> Batch:
        """Windows given as (run, first row)."""
        runs = [self.runs[run] for run, _ in places]
        width = max(run.responses.n_channels for run in self.runs)
        rows = np.zeros((len(places), self.rows + self.reach, width), np.float32)
        for row, run, (_, start) in zip(rows, runs, places, strict=True):
            row[:, : run.responses.n_channels] = run.responses.padded(start, start + self.rows + self.reach)
        texts = [(self.texts[run], start, start + self.rows) for run, start in places]
        begin = [Characters.BEGIN]
        return Batch(
            responses=torch.from_numpy(rows),
            subject=torch.tensor([self.subject[run] for run, _ in places]),
            mask=torch.tensor([self.unfold.mask_of[run.key] if self.unfold else 0 for run in runs]),
            features=torch.from_numpy(np.stack([text.features[a:b] for text, a, b in texts])),
            counts=torch.from_numpy(np.stack([text.counts[a:b] for text, a, b in texts])),
            characters=padded([begin + self.characters.encode(text.text(a, b)) for text, a, b in texts], WIDTH),
        )

    def whole(self, run: int) -> Batch:
        """The non-overlapping windows of a run."""
        last = self.runs[run].responses.n_rows - self.rows
        return self.batch([(run, start) for start in range(0, last + 1, self.rows)])


class RandomBatches(Dataset[Batch]):
    """The batch of a key (epoch, step): the same key gives the same windows."""

    def __init__(self, windows: WindowSet, stories: int, per_story: int, seed: int) -> None:
        self.windows, self.stories, self.per_story, self.seed = windows, stories, per_story, seed
        self.last = [run.responses.n_rows - windows.rows for run in windows.runs]
        self.hearings: dict[str, list[int]] = {}
        for i, run in enumerate(windows.runs):
            self.hearings.setdefault(run.story, []).append(i)

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        rng = np.random.default_rng([self.seed, *key])
        names = list(self.hearings)
        # Every story once: two people who hear the same words are no negatives for each other.
        chosen = rng.choice(len(names), size=min(self.stories, len(names)), replace=False)
        runs = [int(rng.choice(self.hearings[names[story]])) for story in chosen]
        return self.windows.batch([(run, start) for run in runs for start in self._starts(run, rng)])

    def _starts(self, run: int, rng: np.random.Generator) -> Iterator[int]:
        """First rows of windows that do not overlap, at a random phase."""
        phase = int(rng.integers(min(self.windows.rows, self.last[run] + 1)))
        starts = np.arange(phase, self.last[run] + 1, self.windows.rows)
        yield from rng.permutation(starts)[: self.per_story].tolist()


class WholeRuns(Dataset[Batch]):
    """One batch per run: its non-overlapping windows, among which the right one is to be found."""

    def __init__(self, windows: WindowSet) -> None:
        self.windows = windows

    def __len__(self) -> int:
        return len(self.windows.runs)

    def __getitem__(self, run: int) -> Batch:
        return self.windows.whole(run)


class EpochKeys(Sampler[tuple[int, int]]):
    """Keys (epoch, step); Lightning calls `set_epoch`, so a resumed run goes on with its own batches."""

    def __init__(self, steps: int) -> None:
        self.steps, self.epoch = steps, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        # A generator, because Lightning asks a resumed run for the iterator before it sets the epoch.
        for step in range(self.steps):
            yield self.epoch + 2, step  # the validation keys begin with 1, these with 2 and more

    def __len__(self) -> int:
        return self.steps
