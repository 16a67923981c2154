"""The sentences say what the paired differences and the nulls' rows say, and no more."""

import math

import pytest
from plasticode.decoding.null_battery import ALONE_AS_NOISE, NOISE, OTHER, ZERO
from plasticode.decoding.null_verdict import chance_sentence, noise_beats_alone, noise_sentence, noise_warning
from plasticode.decoding.report_input import Comparison, NullScore
from plasticode.decoding.results import ALONE, DECODER

UNSEEN = "seen subject, unseen story"


def against(metric, difference, low, high, first=NOISE, second=ALONE_AS_NOISE, subject="S1"):
    return Comparison(subject, UNSEEN, metric, first, second, difference, low, high)


def null(system, metric, p):
    return NullScore("s", "S1", "all", UNSEEN, metric, 0.1, 0, 1, 0, 1, 0, p, 30, 0.03, system)


@pytest.mark.parametrize("second", [ALONE, ALONE_AS_NOISE])
def test_a_win_of_noise_is_warned_of_with_score_person_and_interval(second):
    row = against("semantic", 0.03, 0.01, 0.05, second=second)
    warning = noise_warning([row, against("cer", 0.02, 0.01, 0.03)])
    assert noise_beats_alone([row]) == [row]
    assert warning.startswith("WARNING: fed noise, the decoder beats the language model alone in semantic score of S1")
    assert "(by 0.030 [0.010, 0.050])" in warning
    assert noise_warning([row, row]) == warning
    assert "character error rate" not in warning


@pytest.mark.parametrize(
    ("metric", "difference", "low", "high"),
    [("cer", 0.02, 0.01, 0.03), ("bleu1", -0.02, -0.03, -0.01), ("cer", -0.02, -0.03, 0.01), ("wer", -1, math.nan, 0)],
)
def test_what_is_worse_or_not_distinguishable_is_no_win(metric, difference, low, high):
    rows = [against(metric, difference, low, high)]
    assert noise_warning(rows) == ""
    assert "in none of 1 paired difference," in noise_sentence(rows)


def test_an_error_rate_is_won_by_being_lower():
    assert "character error rate of S1" in noise_warning([against("cer", -0.02, -0.03, -0.01)])


def test_the_decoder_s_own_win_is_none_of_noise():
    rows = [against("cer", -0.02, -0.03, -0.01, first=DECODER, second=ALONE)]
    assert noise_warning(rows) == noise_sentence(rows) == ""


def test_the_sentence_counts_wins_and_gives_every_person_s_error_rate():
    rows = [against("cer", 0.02, 0.01, 0.03), against("cer", 0.01, -0.01, 0.03, subject="S2")]
    said = noise_sentence([*rows, against("bleu1", 0.1, 0.05, 0.2, second=ALONE)])
    assert "in 1 of 3 paired differences" in said
    assert "S1 0.020 [0.010, 0.030] and S2 0.010 [−0.010, 0.030]" in said


def test_nulls_that_pass_are_counted_beside_what_luck_gives_but_not_another_brain():
    rows = [null(ZERO, "latent_top1", 0.6), null(NOISE, "text_top1", 0.01), null(OTHER, "latent_top1", 0.001)]
    said = chance_sentence([*rows, null(NOISE, "cer", 0.01), null(NOISE, "latent_top1", math.nan)])
    assert "Of 2 scores of nulls that know nothing of the story, 1 lay above" in said
    assert "about 0.1): noise input, text, top-1 of S1." in said
    assert chance_sentence([]) == ""
