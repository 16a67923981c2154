"""The audit of a split: every way in which what is scored may have been seen, each by its name.

A finding is a leak. What cannot be looked at is "not checked", what nobody wrote down "not recorded": both stand in
the table and in the manifest, and neither passes silently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..datasets.errors import PlasticodeError
from ..datasets.splits import quadrant
from ..datasets.study import Run
from . import split_audit_rows as rows
from .split_audit_corpus import Sketch, corpus_at_hand
from .split_audit_evidence import Evidence
from .split_audit_findings import NOT_CHECKED, PASSED, Audit, Check, Finding
from .split_audit_meaning import NAME as MEANING
from .split_audit_meaning import meaning_check
from .split_audit_overlap import WindowedText
from .split_audit_scopes import scope_checks
from .split_audit_text import text_check

UNREAD = "scored responses are not read before training ends; `evaluate` and `audit split` read them"
ELSEWHERE = "left to `evaluate` and `audit split`: it takes a sentence model"


def audit(evidence: Evidence) -> Audit:
    """All checks, in the order in which data flow."""
    return Audit(tuple(_checks(evidence)))


def _checks(evidence: Evidence) -> Iterator[Check]:
    yield _record(evidence)
    yield _quadrants(evidence)
    yield _choice(evidence)
    if evidence.missing:
        for name in ("shared text", MEANING, "identical rows", "rescaled recordings", "neighbouring rows"):
            yield Check(name, "", NOT_CHECKED, f"the training recordings are not at hand: {evidence.missing}")
    else:
        yield text_check([*evidence.training, *evidence.watched], evidence.scored, evidence.window)
        yield _meaning(evidence)
        yield from _responses(evidence)
    yield from scope_checks(evidence.split.fitted, evidence.scored, evidence.split.study)
    yield _read_by_name(evidence)
    yield _corpus(evidence)


def _record(evidence: Evidence) -> Check:
    """The split beside the model against the split inside it."""
    name, inside = "split record", evidence.model_split
    if inside is None:
        return Check(name, "", NOT_CHECKED, "there is no trained model yet")
    moved = [
        Finding(name, subject, story, f"{part}: in one of split.json and model.json only")
        for part in ("train", "validation", "test")
        for subject, story in sorted(set(getattr(inside, part)) ^ set(getattr(evidence.split, part)))
    ]
    return Check.judged(name, "split.json against model.json", moved)


def _quadrants(evidence: Evidence) -> Check:
    """Each scored recording's quadrant; a story that was trained on is seen, and a wrong label is a leak too."""
    trained = evidence.split.train
    of_pair = {pair: quadrant(*pair, trained) for pair in evidence.pairs}
    findings = [
        Finding("seen story", subject, story, f"{where}: the story was trained on")
        for (subject, story), where in of_pair.items()
        if where.endswith(", seen story")
    ]
    findings += [
        Finding("wrong quadrant", subject, story, f"results say {said}; it is {quadrant(subject, story, trained)}")
        for subject, story, said in evidence.claimed
        if said != quadrant(subject, story, trained)
    ]
    windows: Counter[str] = Counter()
    for run in evidence.scored:
        windows[of_pair[run.subject, run.story]] += run.responses.n_rows // evidence.window.rows(run.repetition_time)
    detail = "; ".join(f"{where}: {n} windows" for where, n in sorted(windows.items()))
    return Check.judged("quadrant", f"{len(of_pair)} recordings by subject and story", findings, detail)


def _choice(evidence: Evidence) -> Check:
    """No story both trains and chooses the checkpoint, and none that chose it is scored."""
    split, name = evidence.split, "checkpoint choice"
    trained, chose = {story for _, story in split.train}, {story for _, story in split.validation}
    findings = [
        Finding(name, *pair, "trained on and chose the checkpoint") for pair in split.validation if pair[1] in trained
    ]
    findings += [Finding(name, *pair, "chose the checkpoint") for pair in evidence.pairs if pair[1] in chose]
    note = "" if chose else "no validation stories: the checkpoint was chosen on training recordings"
    return Check.judged(name, f"{len(chose)} validation stories", findings, note)


def _meaning(evidence: Evidence) -> Check:
    if evidence.semantic_model is None:
        return Check(MEANING, "", NOT_CHECKED, ELSEWHERE)
    known = [*evidence.training, *evidence.watched]
    return meaning_check(known, evidence.scored, evidence.window, evidence.semantic_model)


def _responses(evidence: Evidence) -> Iterator[Check]:
    training, scored, shape = [*evidence.training, *evidence.watched], evidence.scored, evidence.window
    over = f"{len(scored)} scored x {len(training)} training recordings"
    if evidence.numbers is None:
        for name in ("identical rows", "rescaled recordings"):
            yield Check(name, "", NOT_CHECKED, UNREAD)
    else:
        yield Check.judged("identical rows", over, rows.returned(training, scored, shape, evidence.numbers))
        detail = f"of one shape; a leak from r = {rows.SAME}"
        yield Check.judged("rescaled recordings", over, rows.followed(training, scored), detail)
    near = rows.neighbours(training, scored, evidence.split.rows, shape)
    detail = f"reach {shape.reach:g} s; recordings are acquisitions of their own unless the split records otherwise"
    yield Check.judged("neighbouring rows", over, near, detail)


def _read_by_name(evidence: Evidence) -> Check:
    name, read = "language model's stories", set(evidence.language.stories)
    study = evidence.split.study
    findings = [
        Finding(name, subject, story, "the language model read this story")
        for subject, story in evidence.pairs
        if f"{study}/{story}" in read
    ]
    return Check.judged(name, f"{len(read)} stories that it read", findings)


def _corpus(evidence: Evidence) -> Check:
    """Against the numbers stored with the language model, otherwise against its texts, otherwise not at all."""
    name, language = "pre-training corpus", evidence.language
    unknown = f"what {language.stranger} has read is not known" if language.stranger else ""
    texts = [(run, WindowedText.of(run, evidence.window)) for run in _one_per_text(evidence.scored)]
    if language.folder and (stored := Sketch.load(language.folder)):
        sketch, over = stored, f"{len(stored.numbers):,} stored numbers of 13-word runs, one in {stored.one_in}"
    elif language.sources == () and not language.stranger:
        return Check(name, "no text but the stories that it names", PASSED)
    elif not language.paths:
        return Check(name, "", NOT_CHECKED, unknown or "neither the corpus nor numbers of it are at hand")
    else:
        try:
            sketch = corpus_at_hand(language.paths, [text for _, text in texts])
        except (PlasticodeError, OSError) as error:
            return Check(name, "", NOT_CHECKED, f"the corpus cannot be read: {error}")
        over = f"{len(language.paths)} text file(s) or archive(s), read whole"
    found = Check.judged(name, over, [finding for run, text in texts for finding in sketch.found(run, text)])
    return Check(name, over, NOT_CHECKED, unknown) if unknown and found.result == PASSED else found


def _one_per_text(runs: tuple[Run, ...]) -> list[Run]:
    """A story that several people heard is looked up once."""
    return list({(run.story, run.words, run.responses.n_rows): run for run in runs}.values())
