"""Windows of a study's stories as a LightningDataModule; split by story and by person, fitted on training runs only."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lightning import LightningDataModule
from rich.console import Console
from torch.utils.data import DataLoader

from ..datasets.errors import BrokenData, Leak, MissingData, WrongArgument
from ..datasets.prepare import prepare
from ..datasets.study import Run, Study, open_study
from ..datasets.windows import WindowShape
from .language_model import LanguageModel
from .network import SAME_TIME, BrainToTextNetwork, DataFacts
from .run_folder import RunFolder
from .split_audit_evidence import PreTraining
from .split_audit_scopes import recorded
from .split_audit_verbs import audit_fit
from .text_features import TextFeatures
from .trained import Split, TrainedModel
from .unfold import Unfold
from .window_batches import Batch, EpochKeys, RandomBatches, WholeRuns, WindowSet


class StoryWindows(LightningDataModule):
    """Batches of windows from several stories; windows of one story are each other's hard negatives.

    Parameters
    ----------
    study, root, subjects
        Where the recordings are and whose are trained on (all by default).
    study_options
        Further parameters of the study's reader, for example `{task: story, space: MNI152NLin2009cAsym}` of `bids`.
    language_model
        Folder of a pre-trained language model: alphabet and word vectors come from it. Raises `Leak` when it has read
        a story that is held out here.
    validation_stories, test_stories, test_subjects
        Held out by name. Of test stories only the words are read, by the audit of the split; of test people nothing.
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
        study_options: dict[str, Any] | None = None,
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
        if min(stories_per_batch, windows_per_story, steps_per_epoch) < 1:
            raise WrongArgument(
                f"stories_per_batch {stories_per_batch}, windows_per_story {windows_per_story}, "
                f"steps_per_epoch {steps_per_epoch}",
                "data",
                "Give numbers of at least 1.",
            )
        self.study_name, self.root, self.language_model_path = study, os.path.expandvars(root), language_model
        self.options = dict(study_options or {})
        self.subjects, self.test_subjects = subjects, set(test_subjects or [])
        self.validation, self.test = set(validation_stories or []), set(test_stories or [])
        self.window = window or WindowShape()
        self.stories_per_batch, self.windows_per_story = stories_per_batch, windows_per_story
        self.steps_per_epoch, self.seed = steps_per_epoch, seed
        self.scored: list[str] = []
        self.manifest: dict[str, Any] | None = None
        self.train: WindowSet | None = None

    def setup(self, stage: str | None = None) -> None:
        """Prepare the recordings and lay out their words; standardisation is fitted on the training runs."""
        if self.train is not None:
            return
        self.language_model = LanguageModel.load(Path(self.language_model_path))
        study = open_study(self.study_name, self.root, self.options)
        people = [s for s in self.subjects or study.subjects() if s not in self.test_subjects]
        if not people or (unknown := sorted(set(people) - set(study.subjects()))):
            named = f"no person {', '.join(unknown)}" if people else "no person is left to train on"
            raise MissingData(named, self.root, f"There are: {', '.join(study.subjects())}; see also test_subjects.")
        heard = {story for person in people for story in study.stories(person)}
        self._check_split(heard)
        found = prepare(study, subjects=people, stories=sorted(heard - self.test))
        # A recording without words (rest, or a story whose text is not there) would be taught as silence.
        runs = [run for run in found if run.words]
        if silent := ", ".join(run.key for run in found if not run.words):
            Console(stderr=True).print(f"left out of training, without words: {silent}", markup=False, soft_wrap=True)
        if not any(run.story not in self.validation for run in runs):
            raise MissingData("no recording with words to train on", self.root, "Give the words that were heard.")
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
        self.split = self._split(study, training, watched)

    def _split(self, study: Study, training: Sequence[Run], watched: Sequence[Run]) -> Split:
        # A new person on a story that others were trained on is no test: its text was seen.
        named = [
            (subject, story) for subject in study.subjects() for story in study.stories(subject) if story in self.test
        ]
        trained, chose = (tuple((run.subject, run.story) for run in runs) for runs in (training, watched))
        volumes, read = self.unfold is not None, self.language_model.stories
        fitted = recorded(trained, chose, read, self.study_name, self.facts.n_channels, volumes=volumes)
        return Split(self.study_name, trained, chose, tuple(named), self.options, fitted)

    def audit(self, run: RunFolder) -> None:
        """Audit the split before training, see `split_audit`; of the test stories only the words are looked at."""
        assert self.train is not None
        study = open_study(self.study_name, self.root, self.options)
        # One recording of each, of those that are there.
        named = set(self.split.test)
        heard = {one[1]: one for one in reversed(study.recordings()) if one[:2] in named}
        scored = [study.run(*one) for one in heard.values()]
        recordings, console = (*self._audited(), scored), Console(stderr=True)
        read = PreTraining.of(Path(self.language_model_path))
        self.manifest = audit_fit(run, self.split, self.window, recordings, read, console)

    def _audited(self) -> tuple[list[Run], list[Run]]:
        """Recordings that were trained on, and those that chose."""
        assert self.train is not None
        return self.train.runs, [found for found in self.watched.runs if found.story in self.validation]

    def trained(self, network: BrainToTextNetwork) -> TrainedModel:
        """The network with all that is needed to decode."""
        model = self.language_model
        notes = {"split_audit": self.manifest} if self.manifest else {}
        return TrainedModel(
            network, model.size, model.characters, self.features, self.window, self.split, model.stories, notes
        )

    def _check_split(self, heard: set[str]) -> None:
        unknown = sorted((self.validation | self.test) - heard)
        if len(unknown) == len(self.validation | self.test) and unknown:
            raise MissingData(
                f"no held-out story is there: {', '.join(unknown)}", self.root, "Correct the config's split."
            )
        if unknown:
            # Not an error: not everybody heard every story. But a misspelt name would be trained on.
            Console(stderr=True).print(f"held out by name but not there: {', '.join(unknown)}", soft_wrap=True)
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
        if times[-1] - times[0] > SAME_TIME:
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
            affine=tuple(map(tuple, self.unfold.union.affine.tolist())) if self.unfold else None,
        )

    def train_dataloader(self) -> DataLoader[Batch]:
        assert self.train is not None
        batches = RandomBatches(self.train, self.stories_per_batch, self.windows_per_story, self.seed)
        return DataLoader(batches, batch_size=None, sampler=EpochKeys(self.steps_per_epoch))

    def val_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(WholeRuns(self.watched), batch_size=None)

    def test_dataloader(self) -> DataLoader[Batch]:
        """The runs held out for the test, one batch each; read here for the first time."""
        assert self.train is not None
        study = open_study(self.study_name, self.root, self.options)
        # Channels without a place cannot be carried over to people who were not trained on.
        named = [(s, t) for s, t in self.split.test if self.unfold or s in self.facts.subjects]
        runs = [run for s, t in named for run in prepare(study, subjects=[s], stories=[t])]
        self.scored = [f"{run.subject}/{run.story}" for run in runs]
        # Masks of people who were not trained on are new: they join the others on the same grid.
        self.unfold = Unfold([*self.train.runs, *self.watched.runs, *runs]) if self.unfold else None
        return DataLoader(WholeRuns(self._windows(runs)), batch_size=None)

    def predict_dataloader(self) -> DataLoader[Batch]:
        """The same runs as for the test."""
        return self.test_dataloader()

    def _windows(self, runs: Sequence[Run]) -> WindowSet:
        characters = self.language_model.characters
        return WindowSet(runs, self.features, characters, self.facts.subjects, self.window, self.unfold)
