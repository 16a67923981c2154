"""Oracles: the contract in datasets/study.py, held against every study that the package has."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import plasticode.datasets
import plasticode.decoding
import pytest
from plasticode.cli import VERBS
from plasticode.datasets.design import SyntheticDesign
from plasticode.datasets.errors import MissingData
from plasticode.datasets.prepare import prepare
from plasticode.datasets.study import FACTS, Study, study_class, study_names
from plasticode.datasets.synthetic import write_synthetic

FOLDERS = {  # below $PLASTICODE_DATA
    "brennan2016": "alice_fmri_roi",
    "lebel2023": "uts_stories_fmri",
    "localizer": "bold4d_studyforrest_localizer",
    "studyforrest": "studyforrest_roi",
}
SMALL = SyntheticDesign.small()
MADE = {"synthetic", "bids"}
SMALL_INFO = {"subjects": SMALL.n_subjects, "stories": len(SMALL.stories)}
LAYOUTS = {"bids"}  # a layout, not a data set: how much is in a user's folder is not known


def modules(package: ModuleType) -> list[str]:
    return [f"{package.__name__}.{found.name}" for found in pkgutil.iter_modules(package.__path__)]


def own(module: ModuleType) -> Iterator[tuple[str, object]]:
    """What a module defines itself, without private names."""
    for name, value in vars(module).items():
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__:
            yield name, value


def named_studies() -> dict[str, list[type[Study]]]:
    """Study classes that have a name, by module."""
    found: dict[str, list[type[Study]]] = {}
    for path in modules(plasticode.datasets):
        classes = [value for _, value in own(importlib.import_module(path)) if inspect.isclass(value)]
        for value in classes:
            if issubclass(value, Study) and "name" in vars(value):
                found.setdefault(path.rsplit(".", 1)[1], []).append(value)
    return found


@pytest.fixture(scope="module", params=study_names())
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Each study where its recordings are at hand; the synthetic one is made, and read as a plain BIDS folder too."""
    name = request.param
    if name in MADE:
        made = write_synthetic(tmp_path_factory.mktemp("contract") / name, SMALL, progress=False)
        return study_class(name)(made.root)
    if "PLASTICODE_DATA" not in os.environ:
        pytest.skip("PLASTICODE_DATA does not name a folder of real recordings")
    if name not in FOLDERS:
        pytest.skip(f"this test does not know in which folder of PLASTICODE_DATA {name} lies")
    return study_class(name)(Path(os.environ["PLASTICODE_DATA"]) / FOLDERS[name])


def test_every_study_is_found_by_the_name_of_its_file_and_is_alone_in_it() -> None:
    by_file = {file: [one.name for one in classes] for file, classes in named_studies().items()}
    assert by_file == {name: [name] for name in study_names()}


@pytest.mark.parametrize("name", study_names())
def test_every_study_states_its_facts(name: str) -> None:
    cls = study_class(name)
    assert [fact for fact in FACTS if not getattr(cls, fact) and not (fact == "info" and name in LAYOUTS)] == []
    assert (cls.__doc__ or "").strip()
    assert cls.__doc__ != Study.__doc__
    assert cls.url.startswith("https://")


@pytest.mark.parametrize("absent", FACTS)
def test_a_study_without_a_fact_is_a_type_error_that_names_it(absent: str) -> None:
    body = {fact: {} if fact == "info" else "x" for fact in FACTS if fact != absent}
    body |= {method: lambda self: None for method in ("subjects", "stories", "run")}
    with pytest.raises(TypeError, match=f"without {absent}: state them"):
        type("Nameless", (Study,), body)


@pytest.mark.parametrize("name", study_names())
def test_a_missing_root_says_where_and_how_to_get_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingData) as caught:
        study_class(name)(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in str(caught.value)
    assert "--root" in str(caught.value)


@pytest.mark.parametrize("name", study_names())
def test_an_empty_root_is_missing_data_too(name: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(MissingData, match=str(tmp_path / "data")):
        prepare(study_class(name)(tmp_path / "data"), tmp_path / "cache")


def test_a_complete_copy_has_the_counts_that_the_study_states(study: Study) -> None:
    info = SMALL_INFO if study.name in MADE else study.info
    subjects = study.subjects()
    assert subjects == sorted(set(subjects))
    assert len(subjects) == info["subjects"]
    for subject in subjects:
        stories = study.stories(subject)
        assert stories == sorted(set(stories))
        expected = info.get("stories", len(stories))
        assert len(stories) == (expected[subject] if isinstance(expected, dict) else expected)


def test_a_run_keeps_the_contract(study: Study) -> None:
    subject = study.subjects()[-1]
    run = study.run(subject, study.stories(subject)[0])
    assert (run.study, run.subject) == (study.name, subject)
    onsets = [word.onset for word in run.words]
    assert onsets == sorted(onsets)
    assert run.words
    assert all(word.text.strip() for word in run.words)
    rows = run.responses[: run.responses.n_rows]
    assert rows.shape == run.responses.shape
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    np.testing.assert_array_equal(run.responses[3:9], rows[3:9])
    np.testing.assert_array_equal(run.responses.padded(-2, 4)[2:], rows[:4])


def test_reading_a_run_twice_gives_the_same_run(study: Study) -> None:
    recording = study.recordings(study.subjects()[:1])[0]
    first, again = study.run(*recording), type(study)(study.root).run(*recording)
    assert first.words == again.words
    np.testing.assert_array_equal(first.responses[0:40], again.responses[0:40])


def test_every_recording_is_named_once_and_its_files_are_there(study: Study) -> None:
    recordings = study.recordings()
    assert len(recordings) == len(set(recordings))
    assert all(path.exists() for recording in recordings[:3] for path in study.sources(*recording))


def test_unknown_names_are_missing_data_that_lists_what_there_is(study: Study) -> None:
    with pytest.raises(MissingData, match=f"no subject nobody in study {study.name}.*There are: "):
        list(study.runs(["nobody"]))
    with pytest.raises(MissingData, match=f"no story nothing in study {study.name}.*There are: "):
        list(study.runs(stories=["nothing"]))


@pytest.mark.parametrize("path", [*modules(plasticode.datasets), *modules(plasticode.decoding)])
def test_everything_public_says_what_it_is(path: str) -> None:
    module = importlib.import_module(path)
    assert (module.__doc__ or "").strip()
    things = [(name, value) for name, value in own(module) if inspect.isclass(value) or inspect.isfunction(value)]
    # What a verb's two functions do is its --help, which test_cli.py reads.
    told = {f"{verb.replace('-', '_')}_{part}" for verb in VERBS for part in ("arguments", "run")}
    bare = [name for name, value in things if not said(name, value) and name not in told]
    assert bare == []


def said(name: str, value: object) -> bool:
    """Whether there is a docstring that somebody wrote: a dataclass without one gets its signature."""
    text = value.__doc__ or ""
    return bool(text.strip()) and not text.startswith(f"{name}(")
