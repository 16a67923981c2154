"""`plasticode fit-encoding`: encoding models, speech rates and a word language model from training recordings.

Minutes on two cores and no network to train; the run folder is then decoded, evaluated and audited like any other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import yaml
from rich.console import Console
from rich.progress import track

from ..datasets.corpus import read_documents
from ..datasets.errors import MissingData, WrongArgument
from ..datasets.prepare import prepare
from ..datasets.study import Run, Study, open_study
from ..datasets.whole_file import write_text
from .across_people import AcrossPeople
from .causal_words import CausalWords
from .characters import fold
from .encoding_bands import encoding_model
from .encoding_decoder import EncodingDecoder, Person
from .encoding_features import words_by_row
from .encoding_model import EncodingModel
from .encoding_settings import EncodingData, EncodingFit
from .network import SAME_TIME
from .new_person import NewPerson, only
from .run_folder import RunFolder
from .search import Search
from .segmentation import Segmentation
from .speech_rate import SpeechRate
from .split_audit_evidence import PreTraining
from .split_audit_scopes import recorded
from .split_audit_verbs import audit_fit
from .trained import Split
from .word_ngrams import Proposer, WordNgrams
from .word_vectors import WordVectors


def fit_encoding(settings: EncodingFit, run: RunFolder, console: Console) -> EncodingDecoder:
    """Fit and write the run folder; the split is audited first. Raises `Leak`, `MissingData`, `WrongArgument`."""
    run.require_new()
    data = settings.data
    study = open_study(data.study, os.path.expandvars(data.root), data.study_options)
    training, watched = recordings(study, data, console)
    read = _Read.of(data, training)
    model = encoding_model(read.vectors, data.window.rows(training[0].repetition_time))
    new = new_people(data, training, model)
    split = _split(study, data, training, watched, new)
    paths = tuple(os.path.expandvars(path) for path in data.paths)
    language = PreTraining(None, read.stories(data.study), paths, read.sources, settings.proposer or "")
    manifest = audit_fit(run, split, data.window, (training, watched, _scored(study, split)), language, console)
    people: dict[str, Person] = {}
    for subject in track(sorted({one.subject for one in training}), description="fitting", console=console):
        own = [one for one in training if one.subject == subject]
        people[subject] = new[subject].fit() if subject in new else _person(model, own)
    decoder = EncodingDecoder(
        people=people,
        language=read.proposer(settings),
        beam=settings.beam,
        window=data.window,
        split=split,
        repetition_time=training[0].repetition_time,
        letters=read.letters,
        sources=read.sources,
        language_stories=read.stories(data.study),
        notes={"split_audit": manifest, "new_people": dict(data.minutes)},
    )
    _record(settings, run, split)
    decoder.save(run.path)
    return decoder


@dataclass(frozen=True, eq=False)
class _Read:
    """The text that is read: training stories by name and prose, both folded, and word vectors from all of it."""

    transcripts: Mapping[str, str]
    prose: Sequence[str]
    sources: tuple[str, ...]
    vectors: WordVectors

    @classmethod
    def of(cls, data: EncodingData, training: Sequence[Run]) -> _Read:
        """Prose is parted into words as the transcripts are."""
        first = {one.story: one for one in reversed(training)}
        transcripts = {
            story: " ".join(word for row in words_by_row(first[story]) for word in row) for story in sorted(first)
        }
        documents = read_documents([os.path.expandvars(path) for path in data.paths])
        parted = Segmentation.of(list(transcripts.values()))
        prose = [parted(fold(one.text)) for one in documents]
        vectors = WordVectors.fit([*prose, *transcripts.values()])
        return cls(transcripts, prose, tuple(one.source for one in documents), vectors)

    def stories(self, study: str) -> tuple[str, ...]:
        return tuple(f"{study}/{story}" for story in self.transcripts)

    @property
    def letters(self) -> float:
        """Characters of a word and its blank, mean over the stories."""
        words = [word for text in self.transcripts.values() for word in text.split()]
        return sum(map(len, words)) / len(words) + 1

    def proposer(self, settings: EncodingFit) -> Proposer:
        if settings.proposer:
            return CausalWords.of(os.path.expandvars(settings.proposer), self.vectors.vocabulary)
        stories = list(self.transcripts.values())
        return WordNgrams.fit(self.vectors.vocabulary, stories, self.prose, settings.story_share)


def recordings(study: Study, data: EncodingData, console: Console) -> tuple[list[Run], list[Run]]:
    """Those with words: to fit on, and of the validation stories. Raises `MissingData` where there are none."""
    held = {*data.validation_stories, *data.test_stories}
    people = data.subjects or study.subjects()
    if unknown := sorted(set(people) - set(study.subjects())):
        raise MissingData(f"no person {', '.join(unknown)}", study.root, f"There are: {', '.join(study.subjects())}.")
    heard = {story for person in people for story in study.stories(person)}
    if held and not held & heard:
        raise MissingData("no held-out story is there", study.root, "Correct the config's split.")
    if absent := sorted(held - {story for person in study.subjects() for story in study.stories(person)}):
        console.print(f"held out, but not there: {', '.join(absent)}", markup=False, highlight=False, soft_wrap=True)
    found = prepare(study, subjects=people, stories=sorted(heard - set(data.test_stories)))
    training = [one for one in found if one.words and one.story not in held]
    if not training:
        raise MissingData("no recording with words to fit on", study.root, "Give the words that were heard.")
    times = sorted({one.repetition_time for one in training})
    if times[-1] - times[0] > SAME_TIME:
        raise WrongArgument(f"repetition times {times} s", "fit-encoding", "Resample the recordings to one.")
    return training, [one for one in found if one.words and one.story in data.validation_stories]


def new_people(data: EncodingData, training: Sequence[Run], model: EncodingModel) -> dict[str, NewPerson]:
    """By name. Raises `MissingData` for somebody who is not there, or where nobody else is."""
    there = {one.subject for one in training}
    if unknown := sorted(set(data.minutes) - there):
        raise MissingData(f"no person {', '.join(unknown)}", "data.minutes", f"There are: {', '.join(sorted(there))}.")
    found = {}
    for subject, minutes in data.minutes.items():
        # Nobody new lends to anybody.
        kept = [one for one in training if one.subject == subject or one.subject not in data.minutes]
        runs = {(one.subject, one.story): one for one in reversed(kept)}
        people = AcrossPeople(runs, sorted({story for _, story in runs}), [], model)
        found[subject] = NewPerson(people, subject, minutes)
    return found


def _person(model: EncodingModel, own: Sequence[Run]) -> Person:
    fitted = model.fit(own)
    return Person(fitted, SpeechRate.fit(only(own, fitted.channels)))


def _split(
    study: Study, data: EncodingData, training: Sequence[Run], watched: Sequence[Run], new: Mapping[str, NewPerson]
) -> Split:
    named = [
        (subject, story)
        for subject in study.subjects()
        for story in study.stories(subject)
        if story in data.test_stories
    ]
    used = {subject: {stretch.story for stretch in person.stretches} for subject, person in new.items()}
    kept = [one for one in training if one.story in used.get(one.subject, {one.story})]
    fitted, chose = (tuple((one.subject, one.story) for one in runs) for runs in (kept, watched))
    read = [f"{data.study}/{story}" for story in {one.story for one in training}]
    volumes = training[0].responses.mask is not None
    scopes = recorded(fitted, chose, sorted(read), data.study, training[0].responses.n_channels, volumes=volumes)
    if used:
        scopes["alignment"] = [[subject, story] for subject, stories in used.items() for story in sorted(stories)]
    return Split(data.study, fitted, chose, tuple(named), data.study_options, scopes)


def _scored(study: Study, split: Split) -> list[Run]:
    """One person's recording of each test story: its words are audited."""
    heard = {story: subject for subject, story in reversed(split.test)}
    return [study.run(subject, story, study.sessions(subject, story)[0]) for story, subject in heard.items()]


def _record(settings: EncodingFit, run: RunFolder, split: Split) -> None:
    """config.yaml, split.json, search.json and versions.json."""
    beam = settings.beam
    run.write_json("split.json", asdict(split))
    run.write_json("search.json", asdict(Search(beam.hypotheses, 0.0, beam.evidence)))
    run.write_versions()
    write_text(run.config, yaml.safe_dump(asdict(settings), sort_keys=False, allow_unicode=True))
