"""Minutes of a new person's recordings, for a network that was trained on others, as a LightningDataModule."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..datasets.errors import BrokenData, MissingData, WrongArgument
from ..datasets.prepare import prepare
from ..datasets.study import Run, Study, open_study
from .language_model import LanguageModel
from .network import BrainToTextNetwork
from .person_alignment import Stretches
from .reading import Reader
from .split_audit_evidence import read
from .story_module import StoryWindows
from .stretches import Stretch, first_minutes
from .trained import Split, TrainedModel
from .unfold import Unfold
from .window_batches import WindowSet

SCOPES = ("encoder and decoder", "choice of checkpoint")  # see `split_audit_scopes`


class PersonWindows(StoryWindows):
    """Windows from the first minutes of a person whom a network was not trained on.

    The minutes are of the network's own training stories, so that what others heard stays apart from what is scored.
    There is no validation: the person's stories that others were watched on are not among the minutes, so epochs and
    rates are to be chosen on other people, and the epoch is kept that has the least loss on the minutes themselves.

    Parameters
    ----------
    trained
        Folder of the run whose network is adapted: study, held-out stories and window are its own.
    root, language_model
        Folders of the recordings, and of the language model that the network was trained with.
    subject
        The new person. Raises `WrongArgument` for somebody whom the network was trained on.
    minutes
        As many as there are by default.
    draw
        Which order the person's stories come in.
    stories_per_batch, windows_per_story, steps_per_epoch, seed
        As of `StoryWindows`; a story is a stretch of some five minutes here (`stretches`).
    """

    def __init__(
        self,
        trained: str,
        root: str,
        language_model: str,
        subject: str,
        minutes: float = math.inf,
        draw: int = 0,
        stories_per_batch: int = 4,
        windows_per_story: int = 8,
        steps_per_epoch: int = 20,
        seed: int = 0,
    ) -> None:
        self.parent = TrainedModel.load(Path(os.path.expandvars(trained)))
        split = self.parent.split
        super().__init__(
            split.study,
            root,
            language_model,
            dict(split.options),
            [subject],
            test_stories=sorted({story for _, story in split.test}),
            window=self.parent.window,
            stories_per_batch=stories_per_batch,
            windows_per_story=windows_per_story,
            steps_per_epoch=steps_per_epoch,
            seed=seed,
        )
        if subject in self.parent.subjects:
            raise WrongArgument(
                f"{subject} is one of those whom the network was trained on", "data.subject", "Name a new person."
            )
        self.subject, self.minutes, self.draw = subject, minutes, draw
        self.tuned = False  # whether layers that read everybody were changed

    def setup(self, stage: str | None = None) -> None:
        """Prepare the minutes; raises `MissingData` where the person heard no story of the network's training."""
        if self.train is not None:
            return
        self.language_model = self._same_language_model()
        study = open_study(self.study_name, self.root, self.options)
        runs = self._heard(study)
        for run in runs:
            self._require_readable(run)
        stretches = first_minutes(runs, self.minutes)
        recordings = {(run.story, run.session): run for run in runs}
        cut = [one.of(recordings[one.story, one.session]) for one in stretches]
        self.used = sum(run.duration for run in cut) / 60  # minutes
        self.own, self.others = self._shared(study, stretches, recordings)
        self.features = self.parent.features
        self.unfold = Unfold(cut) if runs[0].responses.mask is not None else None
        facts = self.parent.network.facts
        self.facts = replace(facts, subjects=(*facts.subjects, self.subject))
        # What is too short for a window (the minutes may end just inside a story) still counts in the alignment.
        long = [run for run in cut if run.responses.n_rows >= facts.rows]
        self.train = WindowSet(
            long, self.features, self.parent.characters, self.facts.subjects, self.window, self.unfold
        )
        self.watched = self.train
        self.split = self._with_person(study, [recordings[one.story, one.session] for one in stretches])

    def trained(self, network: BrainToTextNetwork) -> TrainedModel:
        """The adapted network, read like any other; its notes say of whom there were how many minutes."""
        new = {**self.parent.notes.get("new_people", {}), self.subject: round(self.used, 2)}
        notes = {**self.parent.notes, "new_people": new} | ({"split_audit": self.manifest} if self.manifest else {})
        notes |= {"tuned_for": self.subject} if self.tuned else {}
        return replace(self.parent, network=network, split=self.split, notes=notes)

    def _heard(self, study: Study) -> list[Run]:
        """The person's recordings of the network's training stories, in the draw's order.

        Where channels have no place only those that all of its people heard, since they align the person to them.
        """
        if self.subject not in study.subjects():
            raise MissingData(f"no person {self.subject}", self.root, f"There are: {', '.join(study.subjects())}.")
        people = [None] if self.parent.carries_over else self._known()
        heard = [self.parent.split.trained_stories(who) for who in people]
        stories = sorted(set(study.stories(self.subject)).intersection(*heard))
        runs = prepare(study, subjects=[self.subject], stories=stories) if stories else []
        first = {run.story: run for run in reversed(runs) if run.words}  # one session: other ones say the same words
        if not first:
            raise MissingData(
                f"{self.subject} heard none of the stories that the network was trained on with words",
                self.root,
                "Name another person.",
            )
        found = [first[story] for story in sorted(first)]
        return [found[at] for at in np.random.default_rng(self.draw).permutation(len(found))]

    def _known(self) -> list[str]:
        """Those whom the network was trained on from the start; of later ones there were minutes only."""
        return [who for who in self.parent.subjects if who not in self.parent.notes.get("new_people", {})]

    def _same_language_model(self) -> LanguageModel:
        """Raises `WrongArgument` unless it is the one whose reading the network's text comes from."""
        given, parent = LanguageModel.load(Path(self.language_model_path)), self.parent
        same = (
            given.characters.symbols == parent.characters.symbols
            and given.size == parent.decoder_size
            and given.stories == parent.language_stories
            and tuple(given.vectors.vocabulary) == tuple(parent.vectors.vocabulary)
            and np.array_equal(given.vectors.table, parent.vectors.table)
        )
        if not same:
            raise WrongArgument(
                "the network was trained with another language model",
                self.language_model_path,
                "Give the one that its config names.",
            )
        return given

    def _audited(self) -> tuple[list[Run], list[Run]]:
        """The minutes, and what the network was trained and watched on, as far as it is below the root."""
        assert self.train is not None
        study = open_study(self.study_name, self.root, self.options)
        old = self.parent.split
        return [*read(study, old.train), *self.train.runs], read(study, old.validation)

    def _require_readable(self, run: Run) -> None:
        """Of channels a stem can make what the network reads, of another clock, grid or width it cannot."""
        reader, facts = Reader(self.parent), self.parent.network.facts
        if facts.grid is not None:
            reader.accepts(run)
            return
        reader.require_clock(run, facts.repetition_time)
        if run.responses.mask is not None or run.responses.n_channels > facts.n_channels:
            what = "volumes" if run.responses.mask is not None else f"{run.responses.n_channels} channels"
            raise BrokenData(
                f"{what}, but the network reads {facts.n_channels} channels",
                run.key,
                "Give recordings of the kind that it was trained on.",
            )

    def _shared(
        self, study: Study, stretches: Sequence[Stretch], own: dict[tuple[str, str], Run]
    ) -> tuple[Stretches, dict[str, Stretches]]:
        """The person's responses to the stretches, and those of the trained people; none where channels lie in one
        space."""
        if next(iter(own.values())).responses.mask is not None:
            return [], {}
        found: dict[str, Stretches] = {}
        for who in self._known():
            runs = prepare(study, subjects=[who], stories=sorted({one.story for one in stretches}), progress=False)
            theirs = {run.story: run for run in reversed(runs)}
            found[who] = [one.of(theirs[one.story]).responses[:] for one in stretches]
        return [one.of(own[one.story, one.session]).responses[:] for one in stretches], found

    def _with_person(self, study: Study, used: Sequence[Run]) -> Split:
        """The network's split and, as trained on, the person's stories.

        The epoch that is exported is the one with the least loss on the person's own minutes.
        """
        old = self.parent.split
        own = tuple(dict.fromkeys((run.subject, run.story) for run in used))
        named = tuple((self.subject, story) for story in study.stories(self.subject) if story in self.test)
        listed = [list(pair) for pair in own]
        fitted = {**old.fitted}
        for scope in SCOPES:
            if isinstance(fitted.get(scope), list):
                fitted[scope] = [*fitted[scope], *listed]
        if self.others:  # both sides of the alignment
            before = fitted.get("alignment")
            both = [[who, story] for who in (self.subject, *self.others) for _, story in own]
            fitted["alignment"] = [*(before if isinstance(before, list) else []), *both]
        return replace(old, train=(*old.train, *own), test=tuple(dict.fromkeys((*old.test, *named))), fitted=fitted)
