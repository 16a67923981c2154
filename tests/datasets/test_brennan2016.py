"""Oracles: the arrays that the test wrote; the published figures (27 usable people, word rate r = 0.31-0.41)."""

from pathlib import Path

import numpy as np
import pytest
from nilearn.glm.first_level import compute_regressor
from plasticode.datasets.brennan2016 import STORY, Brennan2016
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument


def small(root: Path) -> np.ndarray:
    """Three people, of whom s2 never varies."""
    rows = np.random.default_rng(0).normal(100, 3, (3, 30, 6)).astype(np.float32)
    rows[1] = 7.0
    np.savez(root / "alice_roi.npz", subjects=np.array(["s1", "s2", "s3"]), roi6mm=rows, roi10mm=2 * rows[:, ::-1])
    (root / "words.tsv").write_text('onset\toffset\tword\n20.5\t21.0\tAlice\n22.0\t22.5\tnull\n23\t24\t"\n')
    return rows


def test_a_person_whose_recording_never_varies_is_left_out(tmp_path: Path) -> None:
    small(tmp_path)
    study = Brennan2016(tmp_path)
    assert study.subjects() == ["s1", "s3"]
    with pytest.raises(MissingData, match=r"no subject s2 .*There are: s1, s3"):
        study.run("s2", STORY)


@pytest.mark.parametrize("radius", [6, 10])
def test_responses_are_the_recording_z_scored_by_itself(tmp_path: Path, radius: int) -> None:
    rows = small(tmp_path)[2].astype(float)
    rows = rows if radius == 6 else rows[::-1]
    run = Brennan2016(tmp_path, radius=radius).run("s3", STORY)
    np.testing.assert_allclose(run.responses[:], (rows - rows.mean(0)) / rows.std(0), atol=1e-4)


def test_the_story_begins_twenty_seconds_before_row_zero(tmp_path: Path) -> None:
    small(tmp_path)
    words = Brennan2016(tmp_path).run("s1", STORY).words
    assert [(word.text, word.onset, word.offset) for word in words] == [
        ("Alice", 0.5, 1.0),
        ("null", 2.0, 2.5),
        ('"', 3.0, 4.0),
    ]


def test_regions_of_another_radius_have_another_cache(tmp_path: Path) -> None:
    small(tmp_path)
    assert Brennan2016(tmp_path, radius=6).cache_key() != Brennan2016(tmp_path, radius=10).cache_key()


def test_wrong_input_is_named(tmp_path: Path) -> None:
    small(tmp_path)
    with pytest.raises(WrongArgument, match=r"no regions of radius 8 mm .*Choose 6 or 10"):
        Brennan2016(tmp_path, radius=8)  # type: ignore[arg-type]
    (tmp_path / "words.tsv").write_text("onset\toffset\tword\nsoon\t21.0\tAlice\n")
    with pytest.raises(BrokenData, match="onset nan s"):
        Brennan2016(tmp_path).run("s1", STORY)
    (tmp_path / "words.tsv").write_text("word\tonset\n")
    with pytest.raises(BrokenData, match=r"the columns are word, onset .*Give onset, offset and word"):
        Brennan2016(tmp_path).run("s1", STORY)
    (tmp_path / "words.tsv").unlink()
    with pytest.raises(MissingData, match=r"no words of the story .*words\.tsv"):
        Brennan2016(tmp_path).run("s1", STORY)


def test_the_real_recordings_follow_the_word_rate(real_data: Path) -> None:
    runs = list(Brennan2016(real_data / "alice_fmri_roi").runs())
    assert len(runs) == 27
    assert runs[0].responses.shape == (362, 6)
    assert len(runs[0].words) == 2127
    onsets = np.array([word.onset for word in runs[0].words])
    assert onsets.min() >= 0
    assert onsets.max() < runs[0].duration
    mean = np.mean([run.responses[:] for run in runs], axis=0)
    events = onsets, np.full(len(onsets), 0.3), np.ones(len(onsets))
    rate = compute_regressor(events, "spm", np.arange(362) * 2.0)[0][:, 0]
    correlations = [np.corrcoef(rate, region)[0, 1] for region in mean.T]
    assert min(correlations) > 0.30
    assert max(correlations) < 0.42
