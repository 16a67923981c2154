"""The sentences say what the rows say, and no more."""

import math

import pytest
from plasticode.decoding.null_battery import NOISE, ZERO
from plasticode.decoding.report_input import Comparison, Score
from plasticode.decoding.report_verdict import lead, verdict
from plasticode.decoding.results import ALONE

UNSEEN = "seen subject, unseen story"


def score(metric, value, p, subject="S1", quadrant=UNSEEN, chance=math.nan):
    return Score("s", subject, "all", quadrant, metric, value, 0, 1, 0, 1, 0, p, 30, chance)


def sentences(*scores, comparisons=()):
    return dict(verdict(scores, comparisons))


def test_a_score_beyond_its_null_is_said_with_chance_and_p():
    said = sentences(score("latent_top1", 0.21, 0.002, chance=0.034))[UNSEEN]
    assert "ranked first among its story's windows in 21% of cases (chance 3.4%)" in said
    assert "above the permuted pairing (p = 0.002)" in said


@pytest.mark.parametrize("p", [0.05, 0.4, math.nan])
def test_a_score_within_its_null_is_said_not_to_be_above_it(p):
    said = sentences(score("latent_top1", 0.21, p))[UNSEEN]
    assert "not above the permuted pairing" in said
    assert "nan" not in said


def test_subjects_are_told_apart():
    rows = [score("word_rate_r", 0.5, 0.0001, "S1"), score("word_rate_r", 0.1, 0.3, "S2")]
    assert "above the permuted pairing for S1 (p < 0.001), not for S2 (p = 0.300)" in sentences(*rows)[UNSEEN]


def test_text_scores_are_sorted_by_whether_they_beat_the_null():
    said = sentences(score("cer", 0.7, 0.01), score("bleu1", 0.2, 0.5))[UNSEEN]
    assert "closer to what was heard than text paired at random by character error rate, but not by BLEU-1" in said
    assert "was no closer" in sentences(score("cer", 0.7, 0.5))[UNSEEN]


def test_story_rows_do_not_enter():
    row = Score("s", "S1", "tale", UNSEEN, "cer", 0.1, 0, 1, 0, 1, 0, 0.001, 30, math.nan)
    assert verdict([row], []) == []


@pytest.mark.parametrize(
    ("difference", "low", "high", "expected"),
    [
        (-0.02, -0.03, -0.01, "lower (better) for S1"),
        (0.02, 0.01, 0.03, "higher (worse) for S1"),
        (-0.02, -0.05, 0.01, "not distinguishable for S1"),
        (-0.02, math.nan, math.nan, "not distinguishable for S1"),
    ],
)
def test_a_difference_is_claimed_only_where_its_interval_excludes_zero(difference, low, high, expected):
    comparison = Comparison("S1", UNSEEN, "cer", "decoder", "language model alone", difference, low, high)
    said = sentences(score("cer", 0.7, 0.01), comparisons=[comparison])[UNSEEN]
    assert f"Against language model alone, the character error rate of decoder was {expected}" in said


def test_stories_seen_in_training_are_no_test_of_decoding():
    seen = "seen subject, seen story"
    rows = [score("cer", 0.1, 0.001, quadrant=seen)]
    assert "no test of decoding" in sentences(*rows)[seen]
    assert "nothing here tests decoding" in lead(rows, [])


def test_the_lead_counts_subjects_beyond_the_null():
    rows = [score("latent_top1", 0.2, p, subject) for subject, p in (("S1", 0.001), ("S2", 0.2), ("S3", 0.04))]
    assert "the latent picked the right window for 2 of 3 subjects" in lead(rows, [])


def test_the_lead_counts_the_error_rate_against_the_language_model_alone_and_not_against_its_null():
    """Two beat the null, as any text of the right length does; one of them beats the language model."""
    rows = [score("cer", 0.7, 0.001, subject) for subject in ("S1", "S2")]
    bounds = {"S1": (-0.03, -0.01), "S2": (-0.03, 0.01)}
    beside = [Comparison(who, UNSEEN, "cer", "plasticode", ALONE, -0.01, *bounds[who]) for who in bounds]
    beside += [Comparison("S1", UNSEEN, "cer", "plasticode", "most frequent words", -0.2, -0.3, -0.1)]
    beside += [Comparison("S1", "seen subject, seen story", "cer", "plasticode", ALONE, -0.2, -0.3, -0.1)]
    said = lead(rows, beside)
    assert said.startswith("The character error rate was lower than that of the language model alone")
    assert said.endswith("for 1 of 2 subjects.")
    assert "character error rate" not in lead([*rows, score("latent_top1", 0.2, 0.001)], [])
    noise = Comparison("S1", UNSEEN, "cer", NOISE, ALONE, -0.01, *bounds["S1"])
    assert lead(rows, [*beside, noise]) == said


def test_the_rate_matched_scores_are_said_with_how_many_they_are_and_their_chance():
    rows = [score(f"{what}_rate_matched_top1", 0.4, 0.001, chance=0.2) for what in ("latent", "text")]
    said = sentences(*rows)[UNSEEN]
    for what in ("latent", "written text"):
        opening = f"Among itself and the 4 windows nearest to it in word count, the {what} ranked it first"
        assert f"{opening} in 40% of cases (chance 20%): above the permuted pairing (p = 0.001)" in said


def test_of_the_nulls_only_noise_input_is_said_beside_the_decoder():
    rows = [Comparison("S1", UNSEEN, "cer", "plasticode", system, -0.2, -0.3, -0.1) for system in (NOISE, ZERO)]
    said = sentences(score("cer", 0.7, 0.01), comparisons=rows)[UNSEEN]
    assert "Against noise input, the character error rate of plasticode was lower (better)" in said
    assert "zero input" not in said
