"""Oracles: the study that was prepared, and counts of how often it was read."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from plasticode.datasets import cache, fingerprint, prepare
from plasticode.datasets.bids import BidsStudy
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from plasticode.datasets.prepare import default_cache, estimate
from plasticode.datasets.study import Responses, Run, Study, VoxelMask, Word

VALUES = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)


class Rows:
    """An array that counts how often row 0 is read, and can break off."""

    def __init__(self, study: CountedStudy, values: np.ndarray) -> None:
        self.study, self.values, self.shape = study, values, values.shape

    def __getitem__(self, rows: slice) -> np.ndarray:
        self.study.reads["begun"] += rows.start == 0
        if self.study.breaks_at is not None and rows.stop > self.study.breaks_at:
            raise KeyboardInterrupt
        return self.values[rows]


class CountedStudy(Study):
    name = "counted"
    url = doi = licence = citation = "none"
    language = "en"
    info: ClassVar[dict[str, Any]] = {}

    def __init__(self, root: Path, values: np.ndarray = VALUES, breaks_at: int | None = None, scale: int = 1) -> None:
        super().__init__(root)
        self.values, self.breaks_at, self.scale, self.reads = values, breaks_at, scale, Counter[str]()

    def subjects(self) -> list[str]:
        return ["one", "two"]

    def stories(self, subject: str) -> list[str]:
        return ["a", "b/c"]

    def sources(self, subject: str, story: str, session: str = "") -> list[Path]:
        return sorted(self.root.glob("*.txt"))

    def cache_key(self) -> dict[str, Any]:
        return super().cache_key() | {"scale": self.scale}

    def run(self, subject: str, story: str, session: str = "") -> Run:
        words = (Word("Äpfel", 0.25, 1 / 3), Word("fall", 1.0, 1.5)) if story == "a" else ()
        responses = Responses(Rows(self, self.values * self.scale))
        return Run(self.name, subject, story, 1.5, responses, words, language="de", timing="repetition")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "data.txt").write_text("first")
    return tmp_path / "study"


def quietly(study: Study, cache: Path, **options: Any) -> list[Run]:
    return prepare.prepare(study, cache, progress=False, **options)


def files(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_prepared_runs_equal_the_study(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "ROW_BYTES", 7 * 4 * 6)  # blocks of 7 rows
    study = CountedStudy(folder)
    for run, original in zip(quietly(study, tmp_path / "cache"), study.runs(), strict=True):
        for fact in ("key", "repetition_time", "words", "language", "timing"):
            assert getattr(run, fact) == getattr(original, fact)
        rows = run.responses[0:50]
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(rows, VALUES.astype(np.float16))


def test_prepared_responses_are_memory_mapped_float16(folder: Path, tmp_path: Path) -> None:
    quietly(CountedStudy(folder), tmp_path / "cache")
    for path in (tmp_path / "cache" / "counted").glob("*.npy"):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        assert (array.dtype, array.shape) == (np.float16, (50, 6))
    names = files(tmp_path / "cache" / "counted")
    assert [name.rsplit("_", 1)[0] for name in names if name.endswith(".npy")] == [
        "one_a",
        "one_b-c",
        "two_a",
        "two_b-c",
    ]


def test_a_run_is_sent_to_another_process_without_its_responses(folder: Path, tmp_path: Path) -> None:
    run = quietly(CountedStudy(folder, np.ones((5000, 40))), tmp_path / "cache")[0]
    sent = pickle.dumps(run.responses)
    assert len(sent) < 2000
    np.testing.assert_array_equal(pickle.loads(sent)[0:5000], run.responses[0:5000])  # noqa: S301 # made just above


def test_a_second_prepare_reads_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = CountedStudy(folder)
    quietly(study, tmp_path / "cache")
    assert study.reads["begun"] == 4
    monkeypatch.setattr(fingerprint.hashlib, "file_digest", None)  # not even to hash the sources
    quietly(study, tmp_path / "cache")
    assert study.reads["begun"] == 4


def test_changed_content_and_parameters_make_new_entries_and_a_touch_does_not(folder: Path, tmp_path: Path) -> None:
    def built(scale: int = 1) -> int:
        study = CountedStudy(folder, scale=scale)
        first = quietly(study, tmp_path / "cache")[0]
        np.testing.assert_array_equal(first.responses[0:50], (VALUES * scale).astype(np.float16))
        return study.reads["begun"]

    assert built() == 4
    (folder / "data.txt").touch()
    assert built() == 0
    (folder / "data.txt").write_text("other")
    assert built() == 4
    assert built(scale=2) == 4
    (folder / "data.txt").write_text("first")
    assert built() == 0


def test_without_sources_the_responses_name_the_entry(folder: Path, tmp_path: Path) -> None:
    (folder / "data.txt").unlink()
    quietly(CountedStudy(folder), tmp_path / "cache", subjects=["one"], stories=["a"])
    quietly(CountedStudy(folder), tmp_path / "cache", subjects=["one"], stories=["a"])
    assert len(list(tmp_path.rglob("*.npy"))) == 1
    quietly(CountedStudy(folder, VALUES + 1), tmp_path / "cache", subjects=["one"], stories=["a"])
    assert len(list(tmp_path.rglob("*.npy"))) == 2


def test_an_interrupted_prepare_leaves_whole_entries_only_and_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "ROW_BYTES", 7 * 4 * 6)
    quietly(CountedStudy(folder), tmp_path / "cache", subjects=["one"])
    before = files(tmp_path / "cache")
    with pytest.raises(KeyboardInterrupt):
        quietly(CountedStudy(folder, breaks_at=30), tmp_path / "cache")
    assert files(tmp_path / "cache") == before
    study = CountedStudy(folder)
    runs = quietly(study, tmp_path / "cache")
    assert study.reads["begun"] == 2
    np.testing.assert_array_equal(runs[3].responses[0:50], VALUES.astype(np.float16))


def test_what_a_killed_process_left_is_written_over(folder: Path, tmp_path: Path) -> None:
    quietly(CountedStudy(folder), tmp_path / "cache")
    for path in (tmp_path / "cache" / "counted").glob("*.json"):
        path.unlink()  # the last file of an entry was not reached
    for path in (tmp_path / "cache" / "counted").glob("*.npy"):
        path.with_name(path.name + ".partial").write_bytes(b"half")
        path.write_bytes(b"older")
    study = CountedStudy(folder)
    runs = quietly(study, tmp_path / "cache")
    assert study.reads["begun"] == 4
    np.testing.assert_array_equal(runs[0].responses[0:50], VALUES.astype(np.float16))
    assert not [name for name in files(tmp_path / "cache") if name.endswith(".partial")]


SLOW_STUDY = """
import sys, time
from pathlib import Path
import numpy as np
from plasticode.datasets.prepare import prepare
from plasticode.datasets.study import Responses, Run, Study

class SlowRows:
    shape = 20, 3
    def __getitem__(self, rows):
        with open(sys.argv[2], "a") as log:
            log.write("read\\n")
        time.sleep(0.3)
        return np.ones((20, 3))[rows]

class SlowStudy(Study):
    name, url, doi, licence, citation, language, info = "slow", "", "", "", "", "en", {}
    def subjects(self): return ["one"]
    def stories(self, subject): return ["a"]
    def sources(self, *recording): return [Path(sys.argv[3])]
    def run(self, subject, story, session=""): return Run("slow", subject, story, 1.0, Responses(SlowRows()))

(run,) = prepare(SlowStudy(sys.argv[1]), Path(sys.argv[1]) / "cache", progress=False)
assert run.responses[0:20].sum() == 60
"""


def test_two_processes_at_once_build_an_entry_once(tmp_path: Path) -> None:
    script, log = tmp_path / "slow.py", tmp_path / "log"
    script.write_text(SLOW_STUDY)
    command = [sys.executable, str(script), str(tmp_path), str(log), str(script)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert log.read_text() == "read\n"


def test_a_bids_run_with_a_mask_comes_back_with_its_mask(tree: Any, tmp_path: Path) -> None:
    path = tree.raw()
    study = BidsStudy(tree.root)
    (run,), (original,) = quietly(study, tmp_path / "cache"), study.runs()
    found, made = run.responses.mask, original.responses.mask
    assert isinstance(found, VoxelMask)
    np.testing.assert_array_equal(found.volume, made.volume)
    assert found.same_grid(made)
    np.testing.assert_allclose(run.responses[0:40], original.responses[0:40], atol=4e-3)
    assert run.words == original.words
    assert not list((tmp_path / "cache" / "scratch").iterdir())
    shutil.copy(path, path.with_name("sub-01_task-other_bold.nii.gz"))
    path.with_name("sub-01_task-other_bold.json").write_text('{"RepetitionTime": 2.0}')
    assert [run.words == () for run in quietly(BidsStudy(tree.root), tmp_path / "cache")] == [False, True]


@pytest.mark.parametrize("value", [70000.0, -1e30, np.nan, np.inf])
def test_what_float16_cannot_hold_is_refused(folder: Path, tmp_path: Path, value: float) -> None:
    values = VALUES.copy()
    values[33, 4] = value
    with pytest.raises(BrokenData, match=r"at row 33, channel 4 does not fit into float16 \(counted/one/a\).*z-score"):
        quietly(CountedStudy(folder, values), tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.npy*"))


def test_the_estimate_is_what_the_cache_takes(folder: Path, tmp_path: Path) -> None:
    plan = estimate(CountedStudy(folder), subjects=["two"])
    quietly(CountedStudy(folder), tmp_path / "cache", subjects=["two"])
    headers = 2 * 128
    assert plan.n_runs == 2
    assert plan.bytes_on_disk + headers == sum(path.stat().st_size for path in tmp_path.rglob("*.npy"))


def test_the_estimate_is_printed_before_the_work(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        prepare.prepare(CountedStudy(folder, breaks_at=0), tmp_path / "cache")
    assert "4 run(s) to prepare: 0 MB on disk" in capsys.readouterr().err


def test_a_full_disk_is_said_before_the_work(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 100, 0))
    study = CountedStudy(folder)
    with pytest.raises(WrongArgument, match=r"needs 0 MB but the disk has 0 MB left .*PLASTICODE_CACHE"):
        quietly(study, tmp_path / "cache")
    assert not study.reads


def test_a_damaged_entry_is_named(folder: Path, tmp_path: Path) -> None:
    quietly(CountedStudy(folder), tmp_path / "cache")
    path = next((tmp_path / "cache").rglob("one_a_*.npy"))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BrokenData, match=r"a cache entry is damaged \(.*one_a_.*json\). Remove this file"):
        quietly(CountedStudy(folder), tmp_path / "cache")


def test_a_source_that_is_gone_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"a file of the study is missing \(.*gone.txt\)"):
        fingerprint.file_digest(folder / "gone.txt", tmp_path / "memo")


def test_a_cache_that_cannot_be_made_is_named(folder: Path) -> None:
    with pytest.raises(WrongArgument, match=r"cache folder cannot be made.*data.txt"):
        quietly(CountedStudy(folder), folder / "data.txt" / "cache")


def test_the_default_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLASTICODE_CACHE", "/somewhere")
    assert default_cache() == Path("/somewhere")
    monkeypatch.delenv("PLASTICODE_CACHE")
    assert default_cache() == Path(os.path.expanduser("~/.cache/plasticode"))


def test_an_entry_survives_the_end_of_its_writer(folder: Path, tmp_path: Path) -> None:
    run = CountedStudy(folder).run("one", "a")
    entry = cache.Entry(tmp_path / "stem")
    with entry.locked():
        entry.write(run)
    assert cache.Entry(tmp_path / "stem").read().words == run.words
