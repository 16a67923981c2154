"""What is drawn is what was given."""

import math

import matplotlib
import nibabel
import numpy as np
import pytest
from matplotlib.colors import to_hex
from plasticode.decoding import figures
from plasticode.decoding.figures import Estimate
from plasticode.page_figure import png, svg


def estimate(value=0.2, **changes):
    given = {"ci_low": 0.1, "ci_high": 0.3, "null_mean": 0.05, "null_sd": 0.01, "chance": 0.04, **changes}
    return Estimate("S1", value, **given)


def test_a_learning_curve_is_the_logged_points():
    points = np.array([[0, 3.0], [10, 2.0], [20, 1.5]])
    axes = figures.learning_curve({"training": points, "validation": points + 1}, "nats").axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), points)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training", "validation"]


def test_an_estimate_is_drawn_with_its_interval_null_chance_and_baselines():
    figure = figures.estimates([estimate(baselines={"ridge": 0.15})], "Top-1", ["oracle", "ridge"])
    lines = [sorted({round(float(x), 6) for x in line.get_xdata()}) for line in figure.axes[0].lines]
    assert lines == [[0.0304, 0.0696], [0.05], [0.04], [0.15], [0.1, 0.3], [0.2]]
    assert figure.axes[0].lines[3].get_marker() == figures.MARKERS[1]


def test_a_panel_survives_numbers_that_were_not_computed():
    nothing = estimate(math.nan, ci_low=math.nan, ci_high=math.nan, null_mean=math.nan, null_sd=math.nan)
    assert svg(figures.estimates([nothing], "CER", [])).data.startswith(b"<?xml")


def test_panels_with_more_rows_are_taller():
    few, many = (figures.estimates([estimate()] * n, "", []).get_figheight() for n in (2, 28))
    assert many > 3 * few


def test_best_guesses_are_filled_where_they_are_right():
    similarity = np.eye(5)
    best, right = np.array([0.0, 1, 2, 0, 0]), np.array([True, True, True, False, False])
    wrong, hit = figures.identification_matrix(similarity, right, best).axes[0].lines[1:3]
    np.testing.assert_array_equal(hit.get_xydata(), [[1, 1], [2, 2], [3, 3]])
    np.testing.assert_array_equal(wrong.get_xydata(), [[1, 4], [1, 5]])
    assert (hit.get_markerfacecolor(), wrong.get_markerfacecolor()) == (figures.ORANGE, "none")


def test_bars_are_the_counts_and_the_line_is_chance():
    axes = figures.rank_histogram(np.array([5.0, 2, 1]), np.array([3.0, 3, 2]), "all").axes[0]
    assert [bar.get_height() for bar in axes.patches] == [5, 2, 1]
    assert list(axes.lines[0].get_ydata()) == [3, 3, 2, 2]


def test_the_end_of_training_is_ringed():
    x, y = np.array([9.0, 5, 2]), np.array([3.0, 2, 1])
    axes = figures.rate_distortion(x, y, np.array([0.001, 0.01, 0.1]), "rate", "distortion", "beta").axes[0]
    np.testing.assert_array_equal(axes.lines[1].get_xydata(), [[2, 1]])


def test_the_glass_brain_shows_left_on_the_left():
    volume = np.zeros((20, 20, 20), np.float32)
    affine = np.diag([8.0, 8, 8, 1])
    affine[:3, 3] = -80
    volume[3, 10, 10] = 1  # x = -56 mm
    figure = figures.glass_brain(nibabel.Nifti1Image(volume, affine), colourbar=False)
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    left, right = images[0].filled(0), images[2].filled(0)
    assert left.max() > 0.5
    assert right.max() == pytest.approx(0)


def test_the_same_figure_is_the_same_bytes_and_leaves_the_settings_alone():
    before = dict(matplotlib.rcParams)
    first, second = (svg(figures.estimates([estimate()], "CER", [])) for _ in range(2))
    assert first == second
    assert dict(matplotlib.rcParams) == before
    assert png(figures.estimates([estimate()], "CER", [])).data.startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["$5 and $6", "雪の峠", "a<b>&c", "long " * 40])
def test_any_name_can_be_drawn(name):
    drawn = figures.estimates([Estimate(name, 0.2, 0.1, 0.3, 0.05, 0.01, 0.04)], name, [])
    assert svg(drawn).data.startswith(b"<?xml")


def test_group_colours_differ():
    assert len({to_hex(colour) for colour in figures.GROUPS}) == len(figures.GROUPS)
