"""Windows of a study's stories as a LightningDataModule; split by story and by person, fitted on training runs only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..datasets.errors import BrokenData, Leak, MissingData, WrongArgument
from ..datasets.prepare import prepare
from ..datasets.study import Run, study_class
from ..datasets.windows import WindowShape
from .characters import Characters, padded
from .corpus_module import EpochKeys
from .language_model import LanguageModel
from .network import DataFacts
from .text_features import RunText, TextFeatures
from .unfold import Unfold


class Batch(NamedTuple):
    """Windows of responses and what was heard. `subject` is -1 for a person who was not trained on."""

    responses: Float[Tensor, "batch rows channel"]
    subject: Int[Tensor, " batch"]
    mask: Int[Tensor, " batch"]
    features: Float[Tensor, "batch time feature"]
    counts: Float[Tensor, "batch time 2"]
    characters: Int[Tensor, "batch character"]


class StoryWindows(LightningDataModule):
    """Batches of windows from several stories; windows of one story are each other's hard negatives.

    Parameters
    ----------
    study, root, subjects
        Where the recordings are and whose are trained on (all by default).
    language_model
        Folder of a pre-trained language model: alphabet and word vectors come from it. Raises `Leak` when it has read
        a story that is held out here.
    validation_stories, test_stories, test_subjects
        Held out by name. Test stories and test people are never read here.
    window
        Length of a window's text and haemodynamic reach, s.
    stories_per_batch, windows_per_story, steps_per_epoch
        Make-up of a batch, and batches in an epoch.
    """

    def __init__(
        self,
        study: str,
        root: str,
        language_model: str,
        subjects: list[str] | None = None,
        validation_stories: list[str] | None = None,
        test_stories: list[str] | None = None,
        test_subjects: list[str] | None = None,
        window: WindowShape | None = None,
        stories_per_batch: int = 8,
        windows_per_story: int = 8,
        steps_per_epoch: int = 50,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.study_name, self.root, self.language_model_path = study, root, language_model
        self.subjects, self.test_subjects = subjects, set(test_subjects or [])
        self.validation, self.test = set(validation_stories or []), set(test_stories or [])
        self.window = window or WindowShape()
        self.stories_per_batch, self.windows_per_story = stories_per_batch, windows_per_story
        self.steps_per_epoch, self.seed = steps_per_epoch, seed
        self.train: WindowSet | None = None

    def setup(self, stage: str | None = None) -> None:
        """Prepare the recordings and lay out their words; standardisation is fitted on the training runs."""
        if self.train is not None:
            return
        self.language_model = LanguageModel.load(Path(self.language_model_path))
        study = study_class(self.study_name)(self.root)
        people = [s for s in self.subjects or study.subjects() if s not in self.test_subjects]
        heard = {story for person in people for story in study.stories(person)}
        self._check_split(heard)
        runs = prepare(study, subjects=people, stories=sorted(heard - self.test))
        training = [run for run in runs if run.story not in self.validation]
        watched = [run for run in runs if run.story in self.validation]
        self.features = TextFeatures(self.language_model.vectors).fit(training)
        self.unfold = Unfold(runs) if runs[0].responses.mask is not None else None
        self.train = WindowSet(
            training, self.features, self.language_model.characters, people, self.window, self.unfold
        )
        self.watched = WindowSet(
            watched or training, self.features, self.language_model.characters, people, self.window, self.unfold
        )
        self.facts = self._facts(people, runs)

    def _check_split(self, heard: set[str]) -> None:
        unknown = sorted((self.validation | self.test) - heard)
        if len(unknown) == len(self.validation | self.test) and unknown:
            raise MissingData(
                f"no held-out story is there: {', '.join(unknown)}", self.root, "Correct the config's split."
            )
        if both := sorted(self.validation & self.test):
            raise WrongArgument(f"{', '.join(both)} for validation and for test", "split", "Name each story once.")
        if not heard - self.validation - self.test:
            raise WrongArgument("every story is held out", "split", "Leave stories for training.")
        read = {name.split("/", 1)[1] for name in self.language_model.stories}
        if leaked := sorted(read & (self.validation | self.test)):
            raise Leak(
                f"the language model has read held-out stories: {', '.join(leaked)}",
                self.language_model_path,
                "Pre-train it with these in `excluded_stories`.",
            )

    def _facts(self, people: Sequence[str], runs: Sequence[Run]) -> DataFacts:
        assert self.train is not None
        times = sorted({run.repetition_time for run in runs})
        if len(times) > 1:
            raise BrokenData(f"repetition times differ: {times} s", self.root, "Train on recordings of one kind.")
        counts = np.concatenate([text.counts for text in self.train.texts]).mean(axis=0)
        return DataFacts(
            subjects=tuple(people),
            rows=self.window.rows(times[0]),
            reach=self.window.reach_rows(times[0]),
            repetition_time=times[0],
            n_channels=max(run.responses.n_channels for run in runs),
            n_text_features=self.features.n_features,
            mean_counts=(float(counts[0]), float(counts[1])),
            grid=self.unfold.grid if self.unfold else None,
        )

    def train_dataloader(self) -> DataLoader[Batch]:
        assert self.train is not None
        batches = RandomBatches(self.train, self.stories_per_batch, self.windows_per_story, self.seed)
        return DataLoader(batches, batch_size=None, sampler=EpochKeys(self.steps_per_epoch))

    def val_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(WholeRuns(self.watched), batch_size=None)


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
            characters=padded([begin + self.characters.encode(text.text(a, b)) for text, a, b in texts]),
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
