"""Oracles: the fixed interface of `plasticode evaluate`, planted scores, single metrics computed apart."""

import io
import json
import math
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData, MissingData
from plasticode.decoding.identification import identification_pairs
from plasticode.decoding.intervals import interval
from plasticode.decoding.metrics import cer_pairs
from plasticode.decoding.nulls import pair_curve, permuted_null
from plasticode.decoding.results import (
    METRICS,
    Row,
    StoryScores,
    WordRate,
    as_frame,
    print_table,
    read_rows,
    rows_of_story,
    rows_pooled,
    write_rows,
)
from rich.console import Console

FIELDS = [
    *("study", "subject", "story", "quadrant", "metric", "value", "ci_low", "ci_high"),
    *("null_mean", "null_sd", "z", "p", "n_windows", "chance"),
]


def planted(story: str, n: int = 25, signal: float = 3.0, subject: str = "S1", seed: int = 0) -> StoryScores:
    rng = np.random.default_rng([seed, n, *story.encode()])
    similarity = rng.normal(size=(n, n)) + signal * np.eye(n)
    true = rng.poisson(3, size=10 * n).astype(float)
    rate = WordRate(true + 2 * rng.normal(size=true.size), true)
    pairs = {"cer": 1 - similarity / 10, **identification_pairs(similarity, "latent")}
    return StoryScores("study", subject, story, "seen subject, unseen story", 10, pairs, rate)


def by_metric(rows: list[Row]) -> dict[str, Row]:
    return {row.metric: row for row in rows}


def test_a_row_has_the_fields_of_the_interface_in_their_order() -> None:
    assert [field.name for field in fields(Row)] == FIELDS


def test_rows_hold_the_numbers_of_the_parts() -> None:
    scores = planted("a")
    row, pairs = by_metric(rows_of_story(scores))["cer"], scores.pairs["cer"]
    null = permuted_null([pair_curve(pairs, 4)], lower_is_better=True)
    low, high = interval([np.diag(pairs)[:, None]], ["a"])
    expected = Row(
        "study", "S1", "a", scores.quadrant, "cer", np.diag(pairs).mean(), low, high,
        null.mean, null.sd, null.z, null.p, 25, math.nan,
    )  # fmt: skip
    assert asdict(row) == pytest.approx(asdict(expected), nan_ok=True)


def test_metrics_come_in_the_order_of_the_interface_and_only_where_scored() -> None:
    metrics = [row.metric for row in rows_of_story(planted("a"))]
    assert metrics == ["latent_top1", "latent_top5", "latent_percentile", "cer", "word_rate_r"]
    assert [metric for metric in METRICS if metric in metrics] == metrics


def test_pooled_rows_find_what_single_stories_cannot() -> None:
    stories = [planted(name) for name in "abcdef"]
    single, pooled = by_metric(rows_of_story(stories[0])), by_metric(rows_pooled(stories))
    for metric in ("latent_top1", "cer", "word_rate_r"):
        row = pooled[metric]
        assert (row.story, row.n_windows) == ("all", 150)
        assert row.ci_low < row.value < row.ci_high
        assert row.p < 0.001
    assert single["latent_top1"].p >= 1 / 19


def test_nothing_planted_is_nothing_found() -> None:
    pooled = by_metric(rows_pooled([planted(name, signal=0.0) for name in "abcdef"]))
    for metric in ("latent_top1", "latent_percentile", "cer"):
        assert pooled[metric].p > 0.01
        assert abs(pooled[metric].z) < 4


def test_pooled_chance_weighs_stories_by_their_windows() -> None:
    pooled = by_metric(rows_pooled([planted("a", 20), planted("b", 30)]))
    assert pooled["latent_top1"].chance == pytest.approx(2 / 50)
    assert pooled["latent_top5"].chance == pytest.approx(10 / 50)
    assert pooled["latent_percentile"].chance == 0.5
    assert math.isnan(pooled["cer"].chance)


def test_subjects_and_quadrants_are_pooled_apart() -> None:
    unseen = replace(planted("b"), quadrant="unseen subject, unseen story")
    rows = rows_pooled([planted("a"), planted("b"), planted("a", subject="S2"), unseen])
    assert [(row.subject, row.quadrant, row.n_windows) for row in rows if row.metric == "cer"] == [
        ("S1", "seen subject, unseen story", 50),
        ("S2", "seen subject, unseen story", 25),
        ("S1", "unseen subject, unseen story", 25),
    ]


def test_the_order_of_the_stories_does_not_move_the_value() -> None:
    stories = [planted(name, n) for name, n in zip("abc", (20, 25, 30), strict=True)]
    forward, backward = by_metric(rows_pooled(stories)), by_metric(rows_pooled(stories[::-1]))
    assert all(forward[metric].value == pytest.approx(backward[metric].value) for metric in forward)


def test_reordering_windows_on_both_sides_does_not_move_the_value() -> None:
    decoded, true = ["a b", "c d e", "f", "g h"], ["a c", "d e", "f g", "h"]
    order = [2, 0, 3, 1]
    shuffled = cer_pairs([decoded[i] for i in order], [true[i] for i in order])
    assert np.trace(shuffled) == pytest.approx(np.trace(cer_pairs(decoded, true)))


def test_a_story_too_short_for_a_null_has_none() -> None:
    row = by_metric(rows_of_story(planted("a", 7)))["cer"]
    assert math.isfinite(row.value)
    assert all(math.isnan(value) for value in (row.null_mean, row.null_sd, row.z, row.p))


def test_written_rows_are_read_back_and_undefined_is_null(tmp_path: Path) -> None:
    rows, path = rows_of_story(planted("größer", 7)), tmp_path / "results.json"
    write_rows(rows, path)
    written = json.loads(path.read_text(encoding="utf-8"))
    assert [list(entry) for entry in written] == [FIELDS] * len(rows)
    assert by_metric(rows)["cer"].story == written[0]["story"] == "größer"
    assert written[3]["chance"] is None
    assert written[3]["p"] is None
    assert [asdict(row) for row in read_rows(path)] == [pytest.approx(asdict(row), nan_ok=True) for row in rows]
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_files_that_hold_no_rows_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"no results.*none\.json.*plasticode evaluate"):
        read_rows(tmp_path / "none.json")
    for text in ("{", "[1]", '[{"study": "x"}]', "3"):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(BrokenData, match=r"not a list of result rows.*bad\.json"):
            read_rows(tmp_path / "bad.json")


def test_the_frame_has_a_column_per_field() -> None:
    frame = as_frame(rows_of_story(planted("a")))
    assert list(frame.columns) == FIELDS
    assert list(as_frame([]).columns) == FIELDS
    assert frame.loc[frame.metric == "latent_top1", "chance"].item() == pytest.approx(1 / 25)


def test_the_table_shows_each_value_beside_its_null_and_says_what_is_absent() -> None:
    console = Console(width=220, file=io.StringIO())
    row = Row("study", "S1", "[a]", "q", "cer", 0.71, 0.65, 0.78, 0.81, 0.02, -5.0, 0.0123, 25, math.nan)
    print_table([row], console, {"meteor": "nltk is not installed"})
    text = console.file.getvalue()
    for part in ("[a]", "0.710", "[0.650, 0.780]", "0.810 ± 0.020", "-5.0", "0.012", "25"):
        assert part in text
    assert "meteor: not computed, nltk is not installed" in text


def test_pair_matrices_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BrokenData, match=r"pair matrices of rouge.*study/S1/a.*named as in METRICS"):
        replace(planted("a"), pairs={"rouge": np.zeros((3, 3))})
    with pytest.raises(BrokenData, match="shapes"):
        replace(planted("a"), pairs={"cer": np.zeros((3, 3)), "wer": np.zeros((4, 4))})
    with pytest.raises(BrokenData, match="shapes"):
        replace(planted("a"), pairs={"cer": np.zeros((3, 4))})
