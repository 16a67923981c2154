"""The oracle: perfect without noise, at chance without signal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plasticode.datasets.design import SyntheticDesign
from plasticode.datasets.errors import BrokenData
from plasticode.datasets.oracle import OracleScore, oracle
from plasticode.datasets.synthetic import SyntheticStudy, write_synthetic
from plasticode.datasets.windows import WindowShape

SHORT = WindowShape(duration=10.0, reach=8.0)


def small(root: Path, snr: float, **changes: object) -> SyntheticStudy:
    return write_synthetic(root / f"snr{snr:g}", SyntheticDesign.small(snr=snr, **changes), progress=False)


def scores(study: SyntheticStudy) -> list[OracleScore]:
    return [oracle(study, "sub-01", story, SHORT) for story in study.stories("sub-01")]


def test_the_oracle_is_right_about_every_window_when_the_signal_is_huge(tmp_path: Path) -> None:
    for score in scores(small(tmp_path, snr=100.0)):
        assert score.n_windows == 9
        assert (score.top1, score.top5, score.percentile) == (1, 1, 1)


def test_the_oracle_is_at_chance_without_signal(tmp_path: Path) -> None:
    for score in scores(small(tmp_path, snr=0.0)):
        assert score.top1 == pytest.approx(1 / 9)
        assert score.top5 == pytest.approx(5 / 9)
        assert score.percentile == pytest.approx(0.5)


def test_the_oracle_is_at_chance_on_a_recording_of_another_story(tmp_path: Path) -> None:
    study = small(tmp_path, snr=3.0, train=("amber", "birch", "cedar"))
    paths = [study.image_path("sub-01", story) for story in study.stories("sub-01")]
    images = [path.read_bytes() for path in paths]
    for path, image in zip(paths, images[1:] + images[:1], strict=True):  # the words stay where they are
        path.write_bytes(image)
    assert np.mean([score.percentile for score in scores(study)]) == pytest.approx(0.5, abs=0.15)


def test_a_stronger_signal_is_identified_better(tmp_path: Path) -> None:
    means = [np.mean([score.percentile for score in scores(small(tmp_path, snr))]) for snr in (0.03, 0.15, 1.0)]
    assert means[0] < means[1] < means[2]


def test_the_right_words_leave_only_the_noise_that_the_model_expects(tmp_path: Path) -> None:
    study = small(tmp_path, snr=1.0, drift=0.0, spikes=0, durations=(360.0, 360.0))
    score = oracle(study, "sub-01", "lagoon")
    n_voxels, n_rows = study.run("sub-01", "lagoon").responses.n_channels, 15
    # -2 log-likelihood of the truth is chi-squared, its degrees of freedom the window's values.
    middle = -2 * np.diag(score.similarity)[1:-1] / (n_voxels * n_rows)
    assert middle == pytest.approx(1, abs=0.1), middle


def test_a_window_as_long_as_the_run_is_its_own_only_candidate(tmp_path: Path) -> None:
    study = small(tmp_path, snr=1.0)
    score = oracle(study, "sub-01", "amber", WindowShape(duration=study.run("sub-01", "amber").duration))
    assert (score.n_windows, score.top1) == (1, 1)


def test_ties_count_as_a_random_choice() -> None:
    score = OracleScore.of(np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 0.0], [3.0, 3.0, 3.0]]))
    assert score.top1 == pytest.approx((1 / 2 + 1 + 1 / 3) / 3)
    assert score.top5 == 1
    assert score.percentile == pytest.approx((3 / 4 + 1 + 1 / 2) / 3)


def test_a_story_shorter_than_the_window_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenData, match="less than one window"):
        oracle(small(tmp_path, snr=1.0), "sub-01", "amber", WindowShape(duration=200.0))
