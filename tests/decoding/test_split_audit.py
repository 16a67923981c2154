"""Oracles: leaks planted one at a time in a split that is clean without them; the split and its data unchanged."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from plasticode.datasets.errors import Leak
from plasticode.datasets.study import Responses, Word
from plasticode.decoding import semantic, split_audit_evidence, split_audit_verbs
from plasticode.decoding.run_folder import RunFolder
from plasticode.decoding.split_audit import audit
from plasticode.decoding.split_audit_corpus import Sketch
from plasticode.decoding.split_audit_evidence import Evidence, PreTraining, numbers_of
from plasticode.decoding.split_audit_findings import NOT_CHECKED, NOT_RECORDED, PASSED
from plasticode.decoding.split_audit_manifest import manifest_of, signature
from plasticode.decoding.split_audit_scopes import EXPECTED, recorded
from plasticode.decoding.split_audit_table import print_audit
from plasticode.decoding.split_audit_verbs import audit_fit, audit_split
from plasticode.decoding.trained import Split
from rich.console import Console

ROWS, RATE = 60, 3  # rows of 2 s, words in each
TRAINED = (("S1", "amber"), ("S1", "birch"), ("S2", "amber"))
STOCK = "and i was like oh my god i do not know"


def spoken(seed):
    """Words of a story that no other story has in this order: one of 400 made words each."""
    return [f"w{i}" for i in np.random.default_rng(seed).integers(400, size=ROWS * RATE)]


def timed(words):
    return tuple(Word(word, 2.0 * i / RATE, 2.0 * i / RATE) for i, word in enumerate(words))


@pytest.fixture
def told(tiny):
    """Makes a recording of a story with its own words, or with those given; its responses are its own noise."""
    seeds = {}

    def make(subject, story, words=None, responses=None):
        seed = seeds.setdefault(story, len(seeds))
        run = tiny.run(subject, story, ROWS, 12, seed=100 + len(seeds) * 7 + len(subject) + ord(subject[-1]))
        held = run.responses if responses is None else Responses(np.asarray(responses, np.float32))
        return replace(run, words=timed(spoken(seed) if words is None else words), responses=held)

    return make


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No sentence model, and a cache of the test's own."""
    monkeypatch.setenv("PLASTICODE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(semantic, "unavailable", lambda name: "left out of this test")


@pytest.fixture
def clean(tiny, told, tmp_path):
    """Two people, two training stories, one that chose the checkpoint, one that is scored; all scopes recorded."""
    training = tuple(told(*pair) for pair in TRAINED)
    watched, scored = (told("S1", "kelp"),), (told("S1", "lagoon"), told("S2", "lagoon"))
    read = ("arrays/amber", "arrays/birch")
    fitted = recorded(TRAINED, (("S1", "kelp"),), read, "arrays", 12, volumes=False)
    split = Split("arrays", TRAINED, (("S1", "kelp"),), (("S1", "lagoon"), ("S2", "lagoon")), fitted=fitted)
    numbers = numbers_of(training, watched, scored)
    Sketch.sample([" ".join(spoken(999))]).save(tmp_path / "language_model")
    language = PreTraining(tmp_path / "language_model", read)
    return Evidence(
        split, tiny.window, training, watched, scored, numbers=numbers, language=language, model_split=split
    )


def again(evidence, **changes):
    """The evidence with changes, and the numbers that then belong to it."""
    found = replace(evidence, **changes)
    return replace(found, numbers=numbers_of(found.training, found.watched, found.scored))


def with_text(evidence, words):
    """The same words heard by everybody who is scored."""
    return again(evidence, scored=tuple(replace(run, words=timed(words)) for run in evidence.scored))


def with_scope(evidence, name, pairs):
    fitted = {**evidence.split.fitted, name: [*evidence.split.fitted["encoder and decoder"], *pairs]}
    return replace(evidence, split=replace(evidence.split, fitted=fitted))


def edited(words, seed=3):
    """One word in ten another one."""
    changed = np.random.default_rng(seed).random(len(words)) < 0.1
    return [f"x{i}" if change else word for i, (word, change) in enumerate(zip(words, changed, strict=True))]


def seen_story(evidence):
    return again(evidence, scored=(*evidence.scored, evidence.training[0]))


def new_person_on_a_seen_story(evidence):
    run = replace(evidence.training[1], subject="S9", responses=evidence.scored[0].responses)
    return again(evidence, scored=(run,))


def wrong_quadrant(evidence):
    return replace(evidence, claimed=(("S1", "lagoon", "unseen subject, unseen story"),))


def chose_and_scored(evidence):
    return again(evidence, scored=evidence.watched)


def trains_and_chooses(evidence):
    return replace(evidence, split=replace(evidence.split, validation=(("S1", "amber"),)))


def copied_window(evidence):
    words, source = [word.text for word in evidence.scored[0].words], evidence.training[0].words
    words[15:45] = [word.text for word in source[60:90]]
    return with_text(evidence, words)


def copied_sentence(evidence):
    """Twenty-five words in a row, less than half of a window of 40 s."""
    words, source = [word.text for word in evidence.scored[0].words], evidence.training[0].words
    words[5:30] = [word.text for word in source[150:175]]
    return with_text(replace(evidence, window=replace(evidence.window, duration=40.0)), words)


def edited_copy(evidence):
    return with_text(evidence, edited([word.text for word in evidence.training[1].words]))


def renamed_story(evidence):
    return with_text(evidence, [word.text for word in evidence.training[1].words])


def renamed_validation_story(evidence):
    return with_text(evidence, [word.text for word in evidence.watched[0].words])


def cut_in_time(evidence):
    """The scored recording goes on where a training recording of the same acquisition ends."""
    rows = {"train": {"S1/amber": ["S1/scan-1", 0, 60]}, "test": {"S1/lagoon": ["S1/scan-1", 61, 121]}}
    return replace(evidence, split=replace(evidence.split, rows=rows))


def rows_in_common(evidence):
    """The last ten rows of a training recording are the first ten of a scored one, and no record says so."""
    first, values = evidence.scored[0], evidence.scored[0].responses[0:ROWS].copy()
    values[:10] = evidence.training[0].responses[50:60]
    return again(evidence, scored=(replace(first, responses=Responses(values)),))


def same_person(evidence):
    run = replace(evidence.training[0], subject="S9", story="lagoon", words=evidence.scored[0].words)
    return again(evidence, scored=(run,))


def same_person_rescaled(evidence):
    values = evidence.training[0].responses[0:ROWS]
    noise = np.random.default_rng(5).normal(size=values.shape)
    run = replace(evidence.scored[0], subject="S9", responses=Responses((3 * values + 1 + noise).astype(np.float32)))
    return again(evidence, scored=(run,))


def same_recording_renamed(evidence):
    return again(evidence, scored=(replace(evidence.scored[0], responses=evidence.training[0].responses),))


def read_by_name(evidence):
    return replace(evidence, language=replace(evidence.language, stories=("arrays/lagoon",)))


def read_in_the_corpus(evidence):
    book = evidence.language.folder / "book.txt"
    book.write_text("Once. " + " ".join(word.text for word in evidence.scored[0].words).upper() + ", and so on.")
    return replace(evidence, language=PreTraining(None, (), (str(book),), ("book.txt",)))


def read_by_stored_numbers(evidence):
    Sketch.sample([" ".join(word.text for word in evidence.scored[0].words)]).save(evidence.language.folder)
    return evidence


def moved_record(evidence):
    split = replace(evidence.split, train=(*TRAINED, ("S2", "birch")))
    return replace(evidence, split=split)


def same_meaning(evidence):
    values = {"model": np.ones((1, 4), np.float32) / 2}
    semantic.unavailable = lambda name: None
    semantic.embed = lambda texts, model: np.repeat(values["model"], len(texts), axis=0)
    return evidence


PLANTED = {
    seen_story: "seen story",
    new_person_on_a_seen_story: "seen story",
    wrong_quadrant: "wrong quadrant",
    chose_and_scored: "checkpoint choice",
    trains_and_chooses: "checkpoint choice",
    copied_window: "duplicate text",
    copied_sentence: "duplicate text",
    edited_copy: "near-duplicate text",
    renamed_story: "story under another name",
    renamed_validation_story: "story under another name",
    same_meaning: "same meaning",
    cut_in_time: "neighbouring rows",
    rows_in_common: "neighbouring rows",
    same_person: "subject under another name",
    same_person_rescaled: "subject under another name",
    same_recording_renamed: "recording trained on",
    read_by_name: "language model's stories",
    read_in_the_corpus: "pre-training corpus",
    read_by_stored_numbers: "pre-training corpus",
    moved_record: "split record",
}


@pytest.mark.parametrize(("plant", "name"), PLANTED.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_leak_is_caught_by_its_name(clean, plant, name, monkeypatch):
    for place in ("unavailable", "embed"):
        monkeypatch.setattr(semantic, place, getattr(semantic, place))  # put back afterwards
    found = audit(plant(clean))
    assert name in {finding.name for finding in found.findings}
    with pytest.raises(Leak, match=rf"the split leaks: .*{name} \(\d+ row"):
        found.refuse("runs/x")


@pytest.mark.parametrize(
    "scope", ["PCA", "alignment", "mask", "voxel selection", "text standardisation", "word vectors"]
)
@pytest.mark.parametrize(("who", "said"), [("S1", "this recording"), ("S7", "this story")])
def test_a_scope_that_holds_a_scored_story_is_caught_by_what_was_fitted(clean, scope, who, said):
    findings = audit(with_scope(clean, scope, [[who, "lagoon"]])).findings
    assert {finding.name for finding in findings} == {f"scope: {scope}"}
    assert f"{scope} was fitted on {said}" in {finding.detail for finding in findings}


def test_a_clean_split_passes_with_every_check_made(clean):
    found = audit(clean)
    assert found.findings == []
    results = {check.name: check.result for check in found.checks}
    assert results.pop("same meaning") == NOT_CHECKED  # no model in this test
    assert set(results.values()) == {PASSED}
    assert {f"scope: {name}" for name in EXPECTED} <= set(results)
    found.refuse("runs/x")


def test_a_phrase_that_two_stories_share_is_no_leak(clean):
    training = [word.text for word in clean.training[0].words]
    training[30:42] = training[90:102] = STOCK.split()
    words = [word.text for word in clean.scored[0].words]
    words[0:12] = words[100:112] = STOCK.split()
    known = tuple(replace(run, words=timed(training)) for run in clean.training if run.story == "amber")
    evidence = replace(with_text(clean, words), training=known, window=replace(clean.window, duration=20.0))
    assert audit(evidence).findings == []


def test_only_the_windows_that_were_copied_are_named(clean):
    rows = [finding for finding in audit(copied_window(clean)).findings if finding.name == "duplicate text"]
    assert {finding.story for finding in rows} == {"lagoon"}
    assert [finding.start for finding in rows] == [10.0, 20.0]


def test_rows_are_neighbours_within_the_reach_and_no_further(clean):
    rows = {"train": {"S1/amber": ["scan", 0, 60]}, "test": {"S1/lagoon": ["scan", 61, 121]}}
    near = audit(replace(clean, split=replace(clean.split, rows=rows))).findings
    assert [(finding.subject, finding.story, finding.start) for finding in near] == [("S1", "lagoon", 0.0)]
    rows["test"]["S1/lagoon"] = ["scan", 62, 122]  # the reach is two rows
    assert audit(replace(clean, split=replace(clean.split, rows=rows))).findings == []


def test_a_recording_before_a_training_part_is_as_near_as_one_after_it(clean):
    rows = {"train": {"S1/amber": ["scan", 61, 121]}, "test": {"S1/lagoon": ["scan", 0, 60]}}
    near = audit(replace(clean, split=replace(clean.split, rows=rows))).findings
    assert [finding.start for finding in near] == [110.0]


def test_what_is_not_recorded_and_what_is_not_at_hand_is_said(clean):
    bare = replace(clean, split=replace(clean.split, fitted={}), language=PreTraining(), training=(), missing="gone")
    results = {check.name: (check.result, check.detail) for check in audit(bare).checks}
    assert all(results[f"scope: {name}"][0] == NOT_RECORDED for name in EXPECTED)
    assert results["pre-training corpus"][0] == NOT_CHECKED
    for name in ("shared text", "same meaning", "identical rows", "rescaled recordings", "neighbouring rows"):
        assert results[name] == (NOT_CHECKED, "the training recordings are not at hand: gone")


def test_a_corpus_that_is_gone_is_not_checked_and_no_error(clean):
    language = PreTraining(None, (), ("$NOWHERE/book.txt",), ("book.txt",))
    (check,) = [c for c in audit(replace(clean, language=language)).checks if c.name == "pre-training corpus"]
    assert check.result == NOT_CHECKED
    assert "book.txt" in check.detail


def test_the_components_of_lebel2023_are_said_to_be_their_makers(clean):
    for fitted in ({}, recorded(TRAINED, (), (), "lebel2023", 200, volumes=False)):
        split = replace(clean.split, study="lebel2023", fitted=fitted)
        (check,) = [c for c in audit(replace(clean, split=split)).checks if c.name == "scope: PCA"]
        assert check.result == NOT_RECORDED
        assert "fitted by its makers" in check.detail


def test_the_manifest_is_signed_and_a_change_by_hand_shows(clean):
    manifest = manifest_of(audit(clean), clean, "audit")
    assert manifest["clean"]
    assert json.loads(json.dumps(manifest)) == manifest
    assert signature(manifest) == manifest["sha256"]
    assert signature(manifest | {"clean": False}) != manifest["sha256"]


@pytest.mark.parametrize("plant", [copied_window, same_recording_renamed])
def test_other_data_have_another_digest(clean, plant):
    first, second = (manifest_of(audit(clean), found, "audit") for found in (clean, plant(clean)))
    assert first["split_sha256"] == second["split_sha256"]
    assert first["data_sha256"] != second["data_sha256"]


def test_the_table_names_checks_and_rows(clean):
    said = io.StringIO()
    print_audit(audit(copied_window(clean)), Console(file=said, width=200))
    assert "audit of the split" in said.getvalue()
    assert "scope: voxel selection" in said.getvalue()
    assert "duplicate text" in said.getvalue().split("rows that leak")[1]


def test_a_fit_is_refused_before_it_begins_and_leaves_its_manifest(clean, tmp_path):
    run, quiet = RunFolder(tmp_path / "run"), Console(file=io.StringIO())
    parts = (clean.training, clean.watched, clean.scored)
    manifest = audit_fit(run, clean.split, clean.window, parts, clean.language, quiet)
    assert json.loads((run.path / "split_audit.json").read_text()) == manifest
    leaking = copied_window(clean)
    with pytest.raises(Leak, match="duplicate text"):
        audit_fit(run, clean.split, clean.window, (*parts[:2], leaking.scored), clean.language, quiet)
    assert not json.loads((run.path / "split_audit.json").read_text())["clean"]


@pytest.fixture
def run_dir(clean, tiny, tmp_path, monkeypatch):
    """A finished run on disk whose study is in memory."""
    study = tiny.study(tmp_path, [*clean.training, *clean.watched, *clean.scored])
    read = lambda study, subjects, stories, progress=True: list(study.runs(subjects, stories))  # noqa: E731
    for module in (split_audit_evidence, split_audit_verbs):
        monkeypatch.setattr(module, "open_study", lambda *_: study)
        monkeypatch.setattr(module, "prepare", read)
    replace(tiny.model(), split=clean.split, language_stories=clean.language.stories).save(tmp_path / "run")
    clean.language.folder.rename(tmp_path / "run" / "language_model")
    tiny.language_model(clean.language.stories).save(tmp_path / "run" / "language_model")
    return tmp_path / "run"


def test_the_verb_audits_what_is_held_out_by_name(run_dir, tmp_path):
    path = audit_split(run_dir, tmp_path, Console(file=io.StringIO()))
    manifest = json.loads(path.read_text())
    assert path == run_dir / "split_audit.json"
    assert (manifest["clean"], manifest["recordings"]["scored"]) == (True, [["S1", "lagoon"], ["S2", "lagoon"]])


def test_the_verb_refuses_a_split_whose_record_was_moved(run_dir, tmp_path, clean):
    RunFolder(run_dir).write_json("split.json", vars(moved_record(clean).split))
    with pytest.raises(Leak, match="split record"):
        audit_split(run_dir, tmp_path, Console(file=io.StringIO()))


def test_the_verb_reads_the_quadrants_that_results_claim(run_dir, tmp_path):
    row = {"subject": "S1", "story": "lagoon", "quadrant": "unseen subject, unseen story"}
    RunFolder(run_dir).write_json("results.json", [row])
    with pytest.raises(Leak, match="wrong quadrant"):
        audit_split(run_dir, tmp_path, Console(file=io.StringIO()))
