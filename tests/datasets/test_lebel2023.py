"""Oracles: the arrays that the test wrote; the authors' own code for the clock; the counts in SOURCE.md."""

import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData, MissingData
from plasticode.datasets.lebel2023 import Lebel2023
from plasticode.datasets.standardise import Standardised
from plasticode.datasets.study import study_class, study_names

N_ROWS, N_VOXELS = 12, 7


def z(rows: np.ndarray) -> np.ndarray:
    return (rows - rows.mean(0)) / rows.std(0)


def reduced(root: Path) -> np.ndarray:
    """UTS07 heard two stories of 5 and 6 rows, of which one has a text."""
    pcs = np.random.default_rng(0).normal(3, 2, (11, 4)).astype(np.float16)
    np.savez(root / "uts07.npz", pcs=pcs, story=np.array(["b", "a"]), start=np.array([0, 5]), stop=np.array([5, 11]))
    (root / "texts.json").write_text(json.dumps({"a": ["one two", "", "three", "", "", "four"], "elsewhere": []}))
    return pcs


def grid(words: list[tuple[float, float, str]]) -> str:
    entries = "\n".join(f'{start}\n{end}\n"{text}"' for start, end, text in words)
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n60\n<exists>\n2\n'
    phones = '"IntervalTier"\n"phone"\n0\n60\n0\n'
    return f'{head}{phones}"IntervalTier"\n"word"\n0\n60\n{len(words)}\n{entries}\n'


def official(root: Path, folder: str = "derivatives", n_trs: int = N_ROWS + 20) -> np.ndarray:
    rows = np.random.default_rng(1).normal(5, 3, (N_ROWS, N_VOXELS))
    base = root / folder
    (base / "preprocessed_data" / "UTS03").mkdir(parents=True)
    (base / "TextGrids").mkdir()
    with h5py.File(base / "preprocessed_data" / "UTS03" / "story.hf5", "w") as file:
        file["data"] = rows
    words = [
        (1.0, 2.0, "early"),
        (10.0, 10.5, "Zero"),
        (10.5, 15.0, "{sp}"),
        (15.0, 16.0, "five"),
        (40.0, 41.0, "late"),
    ]
    (base / "TextGrids" / "story.TextGrid").write_text(grid(words))
    (base / "respdict.json").write_text(json.dumps({"story": n_trs}))
    return rows


def recording(root: Path) -> Path:
    return root / "derivatives" / "preprocessed_data" / "UTS03" / "story.hf5"


def replace_data(path: Path, rows: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["data"] = rows


def test_the_file_is_the_registry() -> None:
    assert {"lebel2023", "brennan2016", "studyforrest", "localizer"} <= set(study_names())
    assert study_class("lebel2023") is Lebel2023


def test_any_folder_in_the_reduced_layout_just_works(tmp_path: Path) -> None:
    pcs = reduced(tmp_path)
    study = Lebel2023(tmp_path)
    assert study.recordings() == [("UTS07", "a", ""), ("UTS07", "b", "")]
    run = study.run("UTS07", "a")
    np.testing.assert_allclose(run.responses[:], z(pcs[5:11].astype(float)), atol=1e-5)
    assert study.sources("UTS07", "a") == [tmp_path / "uts07.npz", tmp_path / "texts.json"]


def test_words_of_a_repetition_share_it_evenly(tmp_path: Path) -> None:
    reduced(tmp_path)
    run = Lebel2023(tmp_path).run("UTS07", "a")
    assert run.timing == "repetition"
    assert [word.text for word in run.words] == ["one", "two", "three", "four"]
    assert [word.onset / run.repetition_time for word in run.words] == pytest.approx([0, 0.5, 2, 5])
    assert [word.offset / run.repetition_time for word in run.words] == pytest.approx([0.5, 1, 3, 6])


def test_a_story_without_text_is_a_run_without_words(tmp_path: Path) -> None:
    reduced(tmp_path)
    assert Lebel2023(tmp_path).run("UTS07", "b").words == ()
    (tmp_path / "texts.json").unlink()
    study = Lebel2023(tmp_path)
    assert study.run("UTS07", "a").words == ()
    assert study.sources("UTS07", "a") == [tmp_path / "uts07.npz"]


def test_a_text_of_another_length_is_refused(tmp_path: Path) -> None:
    reduced(tmp_path)
    (tmp_path / "texts.json").write_text(json.dumps({"a": ["too", "short"]}))
    with pytest.raises(BrokenData, match=r"story a has no list of 6 strings.*texts\.json.*belongs to these recordings"):
        Lebel2023(tmp_path).run("UTS07", "a")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"stop": np.array([5, 12])}, "outside the rows"),
        ({"story": np.array(["a", "a"])}, "listed twice"),
        ({"start": np.array([0])}, "has 2 entries along 'story', others have 1|has 1 entries along 'story'"),
        ({"pcs": np.zeros(11, np.float16)}, "has 1 axes instead of"),
        ({"story": np.array(["b", None], dtype=object)}, "not a readable .npz archive"),
    ],
)
def test_a_broken_archive_is_named(tmp_path: Path, change: dict[str, np.ndarray], what: str) -> None:
    reduced(tmp_path)
    with np.load(tmp_path / "uts07.npz") as archive:
        arrays = dict(archive)
    np.savez(tmp_path / "uts07.npz", **(arrays | change))
    with pytest.raises(BrokenData, match=what):
        Lebel2023(tmp_path).stories("UTS07")


def test_a_truncated_archive_is_named(tmp_path: Path) -> None:
    reduced(tmp_path)
    path = tmp_path / "uts07.npz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BrokenData, match=r"not a readable \.npz archive.*uts07\.npz"):
        Lebel2023(tmp_path).stories("UTS07")


def test_unknown_names_are_errors_that_list_the_known(tmp_path: Path) -> None:
    reduced(tmp_path)
    study = Lebel2023(tmp_path)
    with pytest.raises(MissingData, match=r"no subject UTS03 .*There are: UTS07"):
        study.stories("UTS03")
    with pytest.raises(MissingData, match=r"no story c .*There are: a, b"):
        study.run("UTS07", "c")


def test_a_folder_in_neither_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"neither uts\*\.npz nor derivatives/preprocessed_data"):
        Lebel2023(tmp_path)


@pytest.mark.parametrize("folder", ["derivatives", "derivative"])
@pytest.mark.parametrize("inside", [False, True])
def test_the_official_layout_is_recognised_from_its_root_and_from_inside(
    tmp_path: Path, folder: str, inside: bool
) -> None:
    rows = official(tmp_path, folder)
    study = Lebel2023(tmp_path / folder if inside else tmp_path)
    run = study.run("UTS03", "story")
    np.testing.assert_allclose(run.responses[:], z(rows), atol=1e-5)
    np.testing.assert_allclose(run.responses[3:5], z(rows)[3:5], atol=1e-5)
    assert run.responses.mask is None
    assert len(study.sources("UTS03", "story")) == 3


def test_row_zero_is_where_the_authors_code_puts_it(tmp_path: Path) -> None:
    """HuthLab/deep-fMRI-dataset: TRs at arange(respdict - 5) * 2.0 - 10.0 s of the audio, then rows [10:-5]."""
    official(tmp_path)
    run = Lebel2023(tmp_path).run("UTS03", "story")
    audio = (np.arange(N_ROWS + 20 - 5) * 2.0 - 10.0)[5 + 5 : -5]
    assert len(audio) == run.responses.n_rows
    assert run.words[0].text == "zero"
    assert run.words[0].onset == 10.0 - audio[0]
    assert [(word.text, word.onset) for word in run.words] == [("zero", 0.0), ("five", 5.0)]
    assert run.timing == "onset"


def test_missing_voxels_become_the_mean(tmp_path: Path) -> None:
    rows = official(tmp_path)
    rows[:, 2], rows[4, 3], rows[:, 5] = np.nan, np.nan, 8.0
    replace_data(recording(tmp_path), rows)
    read = Lebel2023(tmp_path).run("UTS03", "story").responses[:]
    assert not read[:, 2].any()
    assert not read[:, 5].any()
    assert read[4, 3] == 0
    kept = np.delete(rows[:, 3], 4)
    np.testing.assert_allclose(np.delete(read[:, 3], 4), z(kept), atol=1e-5)


@pytest.mark.parametrize(("value", "what"), [(np.nan, "row 4 of the responses holds no value"), (np.inf, "infinite")])
def test_a_lost_volume_is_an_error(tmp_path: Path, value: float, what: str) -> None:
    rows = official(tmp_path)
    rows[4] = value
    replace_data(recording(tmp_path), rows)
    run = Lebel2023(tmp_path).run("UTS03", "story")
    with pytest.raises(BrokenData, match=what):
        run.responses[0:1]


def test_rows_that_the_trimming_cannot_leave_are_refused(tmp_path: Path) -> None:
    official(tmp_path, n_trs=N_ROWS)
    with pytest.raises(BrokenData, match=r"12 rows, but respdict\.json has 12 TRs for story, of which 20 have no row"):
        Lebel2023(tmp_path).run("UTS03", "story")


def test_transcript_and_lengths_may_be_absent(tmp_path: Path) -> None:
    official(tmp_path)
    (tmp_path / "derivatives" / "respdict.json").unlink()
    (tmp_path / "derivatives" / "TextGrids" / "story.TextGrid").unlink()
    assert Lebel2023(tmp_path).run("UTS03", "story").words == ()


def test_responses_survive_the_way_to_another_process(tmp_path: Path) -> None:
    rows = official(tmp_path)
    run = Lebel2023(tmp_path).run("UTS03", "story")
    copy = pickle.loads(pickle.dumps(run.responses))  # noqa: S301  # our own bytes
    np.testing.assert_allclose(copy[:], z(rows), atol=1e-5)


def test_data_kept_in_other_files_is_refused(tmp_path: Path) -> None:
    rows = official(tmp_path)
    path, other = recording(tmp_path), tmp_path / "other.hf5"
    replace_data(other, rows)
    with h5py.File(path, "w") as file:
        file["data"] = h5py.ExternalLink(str(other), "data")
    with pytest.raises(BrokenData, match="is a link to another place"):
        Lebel2023(tmp_path).run("UTS03", "story")
    with h5py.File(path, "w") as file:
        file.create_dataset("data", rows.shape, "f8", external=[(str(tmp_path / "raw"), 0, rows.nbytes)])
    with pytest.raises(BrokenData, match="keeps its values in another file"):
        Lebel2023(tmp_path).run("UTS03", "story")
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout(rows.shape, "f8")
        layout[:] = h5py.VirtualSource(str(other), "data", rows.shape)
        file.create_virtual_dataset("data", layout)
    with pytest.raises(BrokenData, match="keeps its values in another file"):
        Lebel2023(tmp_path).run("UTS03", "story")


def test_a_file_without_the_data_set_is_named(tmp_path: Path) -> None:
    official(tmp_path)
    with h5py.File(recording(tmp_path), "w") as file:
        file["responses"] = np.zeros((3, 3))
    with pytest.raises(MissingData, match="no data set 'data'; there are: responses"):
        Lebel2023(tmp_path).run("UTS03", "story")


def test_a_truncated_recording_is_named(tmp_path: Path) -> None:
    official(tmp_path)
    path = recording(tmp_path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(BrokenData, match=r"HDF5 file cannot be read.*story\.hf5"):
        Lebel2023(tmp_path).run("UTS03", "story")


KEY = "MD5E-s296607872--c905809627b7291b5d031083dc36d56f.hf5"


@pytest.mark.parametrize("kind", ["link", "text"])
def test_a_git_annex_pointer_is_recognised_and_named(tmp_path: Path, kind: str) -> None:
    official(tmp_path)
    path = recording(tmp_path)
    path.unlink()
    if kind == "link":
        path.symlink_to(f"../../../.git/annex/objects/vg/Xz/{KEY}/{KEY}")
    else:
        path.write_text(f"/annex/objects/{KEY}\n")
    study = Lebel2023(tmp_path)
    assert study.stories("UTS03") == ["story"]
    with pytest.raises(MissingData, match=rf"git-annex pointer .*{KEY}, 296,607,872 bytes.*story\.hf5.*git annex get"):
        study.run("UTS03", "story")


def test_standardising_in_blocks_equals_standardising_at_once() -> None:
    rows = np.random.default_rng(2).normal(1e4, 20, (200, 5)).astype(np.float32)
    lazily = Standardised(rows, "here")
    np.testing.assert_allclose(lazily[:], z(rows.astype(float)), atol=2e-4)
    np.testing.assert_array_equal(lazily[50:60], lazily[:][50:60])


def test_the_offline_estimate_is_rows_times_voxels() -> None:
    """Published: UTS03's becomingindian has 408 TRs and 296,607,872 bytes, of which 2,048 are header."""
    assert (408 - 20) * Lebel2023.info["official"]["voxels"]["UTS03"] * 8 + 2048 == 296_607_872
    assert Lebel2023.remote_estimate(["UTS03"])[0].size == 28_088 * 95_556 * 8


@pytest.mark.parametrize("subject", ["UTS01", "UTS02", "UTS03"])
def test_the_real_recordings_are_complete(real_data: Path, subject: str) -> None:
    study = Lebel2023(real_data / "uts_stories_fmri")
    assert len(study.stories(subject)) == Lebel2023.info["stories"][subject]
    runs = list(study.runs([subject]))
    assert sum(run.responses.n_rows for run in runs) == Lebel2023.info["rows"][subject]
    assert all(run.words and run.responses.n_channels == 200 for run in runs)


def test_word_rate_is_in_the_real_responses(real_data: Path) -> None:
    """SOURCE.md: a ridge on rows t+1 .. t+4 predicts the word rate with r near .5. Ten stories train, five test."""
    study = Lebel2023(real_data / "uts_stories_fmri")
    runs = [study.run("UTS03", story) for story in study.stories("UTS03")[:30:2]]
    pairs = [(_delayed(run.responses[:]), _rate(run)) for run in runs]
    features, rates = np.concatenate([x for x, _ in pairs[:10]]), np.concatenate([y for _, y in pairs[:10]])
    weights = np.linalg.solve(features.T @ features + 1e4 * np.eye(features.shape[1]), features.T @ rates)
    scores = [np.corrcoef(x @ weights, y)[0, 1] for x, y in pairs[10:]]
    assert 0.35 < float(np.mean(scores)) < 0.8


def _delayed(rows: np.ndarray) -> np.ndarray:
    return np.hstack([rows[lag : len(rows) - 4 + lag] for lag in (1, 2, 3, 4)])


def _rate(run: object) -> np.ndarray:
    rows = [int(word.onset / run.repetition_time + 1e-6) for word in run.words]  # type: ignore[attr-defined]
    rate = np.bincount(rows, minlength=run.responses.n_rows)[: run.responses.n_rows - 4]  # type: ignore[attr-defined]
    return z(rate.astype(float))
