"""Oracles: the tables, point by point, for what is drawn; the same bytes twice; a test's p for the bars over time."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from plasticode.analysis.figures_layers import layer_lines
from plasticode.analysis.figures_map import layer_map
from plasticode.analysis.figures_matrices import rdm_panels, rule_matrix
from plasticode.analysis.figures_rules import resolution_points, rule_points
from plasticode.analysis.figures_time import time_curves
from plasticode.analysis.rsa import Rsa
from plasticode.analysis.rsa_map import scaled_map
from plasticode.analysis.rsa_pictures import Drawn, at_own_resolution, chosen
from plasticode.analysis.time_clusters import Cluster, ClusterTest
from plasticode.analysis.time_resolved import Curves
from plasticode.analysis.time_table import time_table
from plasticode.page_figure import BLUE, GREY, ORANGE, PALE, saved
from scipy.spatial.distance import pdist


@pytest.fixture
def rules(analysed: Rsa) -> pd.DataFrame:
    return at_own_resolution(chosen(analysed))


def marks(axes: object, colour: str) -> list[tuple[float, float, bool]]:
    """Points (x, y) of single marks in a colour, and whether they are filled."""
    lines = [line for line in axes.lines if line.get_markersize() > 3 and len(line.get_xdata()) == 1]  # type: ignore[attr-defined]
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]), line.get_markerfacecolor() != "white")
        for line in lines
        if line.get_markeredgecolor() == colour
    ]


def test_every_mean_interval_and_subject_is_where_the_table_says(rules: pd.DataFrame) -> None:
    figure = rule_points(rules, "spearman")
    axes = figure.axes[0]
    here = rules[(rules["region"] == "A")]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[:3] == ["true (3 seeds)", "noise (3 seeds)", "single (1 seed)"]
    mean = here[(here["subject"] == "all") & ~here["baseline"]]
    expected = [(row.value, y, row.p_fdr < 0.05) for y, row in enumerate(mean.itertuples())]
    np.testing.assert_allclose(marks(axes, BLUE), expected)
    dots = np.sort(np.concatenate([line.get_xdata() for line in axes.lines if line.get_color() == PALE]))
    np.testing.assert_allclose(dots, np.sort(here[here["subject"] != "all"]["value"]))
    (band,) = [patch for patch in axes.patches if patch.get_width() < 1]
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx(
        tuple(mean[["ceiling_low", "ceiling_high"]].iloc[0])
    )


def test_a_region_of_one_subject_says_why_rules_are_not_there(rules: pd.DataFrame) -> None:
    axes = rule_points(rules, "spearman").axes[2]
    assert marks(axes, BLUE) == []
    assert [text.get_text().split("\n")[0] for text in axes.texts] == ["one subject:"]


def test_baselines_stand_at_the_networks_resolution(rules: pd.DataFrame) -> None:
    baselines = rules[~rules["is_network"]]
    assert set(baselines["resolution"].dropna()) == {16}
    assert set(baselines["label"]) == {"pixels", "mean colour", "edge energy", "Gabor energy", "halves"}


def test_layers_are_drawn_trained_beside_untrained(analysed: Rsa, figures: dict[str, Drawn]) -> None:
    axes = figures["layers_A"].figure.axes[0]
    table = analysed.rules
    here = table[
        (table["region"] == "A") & (table["label"] == "true") & (table["measure"] == "spearman") & ~table["is_choice"]
    ]
    mean = here[(here["subject"] == "all") & here["own_resolution"]]
    (line,) = [line for line in axes.lines if line.get_color() == BLUE and len(line.get_xdata()) == 2]
    np.testing.assert_allclose(line.get_ydata(), mean["value"])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["layer1", "layer2"]
    dashed = [line for line in axes.lines if line.get_color() == GREY]
    untrained = table[(table["region"] == "A") & (table["label"] == "untrained") & (table["measure"] == "spearman")]
    untrained = untrained[~untrained["is_choice"] & (untrained["subject"] == "all") & untrained["own_resolution"]]
    np.testing.assert_allclose(dashed[0].get_ydata(), untrained["value"])


def test_a_layer_figure_needs_no_untrained_network(analysed: Rsa) -> None:
    table = analysed.rules
    here = table[(table["region"] == "A") & (table["label"] == "true") & ~table["is_choice"] & table["own_resolution"]]
    figure = layer_lines(here, here.iloc[:0], "spearman")
    assert len(figure.axes) == 1


def test_the_matrix_prints_the_values_of_the_table(rules: pd.DataFrame) -> None:
    texts = [text.get_text() for text in rule_matrix(rules, "spearman").axes[0].texts]
    mean = rules[rules["subject"] == "all"]
    assert sorted(texts) == sorted(f"{value:.2f}".replace("-", "\N{MINUS SIGN}") for value in mean["value"])


def test_each_resolution_has_its_mark(analysed: Rsa) -> None:
    shown = chosen(analysed)
    shown = shown[shown["is_network"]]
    axes = resolution_points(shown, "spearman").axes[0]
    drawn = {line.get_label(): line for line in axes.lines if line.get_label().startswith("shown")}
    for size, colour in ((16, BLUE), (9, ORANGE)):
        line = drawn[f"shown at {size} px"]
        assert line.get_color() == colour
        mean = shown[(shown["region"] == "A") & (shown["subject"] == "all") & (shown["resolution"] == size)]
        np.testing.assert_allclose(line.get_xdata(), mean["value"])


def test_thumbnails_lie_level_with_their_rows() -> None:
    n = 20
    images = np.zeros((n, 1, 6, 6), np.uint8)
    images[:, 0] = (np.arange(n) * 10 + 20)[:, None, None]
    axes = rdm_panels({"x": np.zeros((n, n))}, images).axes[0]
    _, above, left = axes.images
    for picture, axis in ((above, 1), (left, 0)):
        low, high = sorted(picture.get_extent()[:2] if axis else picture.get_extent()[2:])
        canvas = picture.get_array()[:, :, 0]
        for i in range(n):
            along = np.flatnonzero((canvas == i * 10 + 20).any(axis=1 - axis))
            centre = low + (along.mean() + 0.5) / canvas.shape[axis] * (high - low)
            assert centre == pytest.approx(i)


def test_matrices_need_no_images() -> None:
    assert len(rdm_panels({"x": np.eye(5), "y": np.eye(5)}, None).axes[0].images) == 1


def test_the_map_keeps_distances_that_two_dimensions_hold() -> None:
    places = np.random.default_rng(0).normal(size=(5, 2)) * 0.1
    rows = np.random.default_rng(1).normal(size=(5, 190))
    told = [{"label": f"item {i}", "layer": "", "depth": 0, "is_region": False, "baseline": False} for i in range(5)]
    found = scaled_map(told, rows, "pearson")
    assert found["stress"].iloc[0] > 0.05  # five unrelated RDMs are equally far from each other: not in a plane
    planar = np.zeros((5, 190))
    planar[:, :3] = [[1, *place] for place in places]
    # Cosine distances of unit vectors that spread little are those of a plane, up to the square.
    near = scaled_map(told, planar, "cosine")
    assert np.corrcoef(pdist(near[["x", "y"]]), pdist(places))[0, 1] > 0.9


def test_the_map_names_every_region_and_says_its_stress(analysed: Rsa) -> None:
    figure = layer_map(analysed.map)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"A", "B", "C", "pixels", "halves"} <= set(texts)
    assert figure.axes[0].get_title(loc="left") == f"stress {analysed.map['stress'].iloc[0]:.2f}"


def test_bars_over_time_stand_where_clusters_are_significant() -> None:
    time = np.linspace(-0.1, 0.4, 51)
    values = np.random.default_rng(0).normal(size=(4, 2, 51)) * 0.05
    curves = Curves(values, time, ("V1", "words"), ("a", "b", "c", "d"), "spearman", 20)
    p = np.where((time > 0.105) & (time < 0.195), 0.01, 0.3)
    test = ClusterTest(p, p, (Cluster(0.11, 0.19, 9.0, 0.01),), 2.0, 16, True)
    table = time_table(curves, {"V1": test}, (np.full(51, 0.1), np.full(51, 0.2)))
    assert table.groupby("model")["p"].min().to_dict() == {"V1": 0.01} | {"words": pytest.approx(np.nan, nan_ok=True)}
    np.testing.assert_allclose(table[table["model"] == "V1"]["error"], values[:, 0].std(axis=0, ddof=1) / 2)
    axes = time_curves(table).axes[0]
    bars = [bar for bar in axes.collections if hasattr(bar, "get_segments") and len(bar.get_segments())]
    (bar,) = bars
    ends = np.array([segment[:, 0] for segment in bar.get_segments()])
    assert (ends.min(), ends.max()) == pytest.approx((0.105, 0.195))
    assert tuple(bar.get_colors()[0]) == to_rgba(BLUE)
    labels = {text.get_text() for legend in axes.figure.legends for text in legend.get_texts()}
    assert labels == {"noise ceiling", "V1", "words"}


def test_one_subject_has_a_curve_without_error() -> None:
    curves = Curves(np.zeros((1, 1, 3)), np.arange(3.0), ("m",), ("a",), "spearman", 20)
    assert time_table(curves, {})["error"].isna().all()
    assert time_curves(time_table(curves, {})).axes[0].get_title(loc="left").startswith("1 subject,")


def test_the_same_figure_is_the_same_bytes_and_leaves_the_settings_alone(rules: pd.DataFrame) -> None:
    before = dict(matplotlib.rcParams)
    few = rules[rules["region"] == "C"]
    for kind in ("png", "pdf", "svg"):
        assert saved(rule_points(few, "spearman"), kind) == saved(rule_points(few, "spearman"), kind)
    assert dict(matplotlib.rcParams) == before
