"""Oracles: a planted model that must find everything, the same model on noise, and true texts handed in as decoded."""

from dataclasses import replace

import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData
from plasticode.datasets.study import Word
from plasticode.decoding.evaluation import Evaluation
from plasticode.decoding.reading import Reader
from plasticode.decoding.results import ALONE, DECODER, FREQUENT, METRICS, RIDGE, rows_of_story, rows_pooled
from plasticode.decoding.ridge import Ridge
from plasticode.decoding.search import Search

SEARCH = Search(2, agreement=4.0)
NO_MODEL = "no-such-sentence-model"


@pytest.fixture
def evaluation(tiny):
    return Evaluation(Reader(tiny.planted()), SEARCH, NO_MODEL)


def story(tiny, seed=0, noise=0.0, **changes):
    run = tiny.run(story=f"story{seed}", n_rows=300, seed=seed, **changes)
    return tiny.heard(run, noise=noise)


def values(scores):
    return {row.metric: row for row in rows_of_story(scores)}


def test_a_planted_signal_is_found_and_stands_above_its_null(tiny, evaluation):
    rows = values(evaluation.score(story(tiny, noise=0.5)).scores[DECODER])
    assert rows["latent_top1"].value > 0.95
    assert rows["latent_percentile"].value > 0.99
    assert rows["word_rate_r"].value > 0.6
    assert rows["latent_top1"].chance == pytest.approx(1 / 60)
    for metric in ("latent_top1", "latent_percentile", "word_rate_r"):
        assert rows[metric].p < 0.05
        assert rows[metric].null_mean < rows[metric].ci_low


def test_noise_is_at_chance(tiny, evaluation):
    scored = [evaluation.score(tiny.run(story=f"s{seed}", n_rows=300, seed=seed)) for seed in range(4)]
    rows = {row.metric: row for row in rows_pooled([one.scores[DECODER] for one in scored])}
    assert rows["latent_top1"].value < 0.06
    assert rows["latent_percentile"].value == pytest.approx(0.5, abs=0.08)
    assert rows["text_percentile"].value == pytest.approx(0.5, abs=0.08)


def test_every_promised_metric_has_a_row_or_a_reason(tiny, evaluation):
    rows = values(evaluation.score(story(tiny)).scores[DECODER])
    own = {metric for metric in METRICS if not metric.startswith("likelihood")}  # those are of encoding models
    assert set(rows) | set(evaluation.absent()) == own
    assert not set(rows) & set(evaluation.absent())
    assert NO_MODEL in evaluation.absent()["semantic"]


def test_true_texts_handed_in_as_decoded_make_no_error(tiny, evaluation, monkeypatch):
    monkeypatch.setattr(Reader, "write", lambda self, reading, search: list(reading.true))
    rows = values(evaluation.score(story(tiny)).scores[DECODER])
    assert (rows["cer"].value, rows["wer"].value, rows["bleu1"].value) == (0, 0, pytest.approx(1))
    assert rows["text_top1"].value == 1


def test_windows_without_words_are_written_but_not_scored(tiny, evaluation):
    run = tiny.run(n_rows=60)
    silent = tuple(word for word in run.words if not 20 <= word.onset < 40)
    quiet = tiny.heard(tiny.run(n_rows=63, words=silent))
    ridge = Ridge(tiny.features()).fit([story(tiny, seed, 0.1) for seed in (7, 8)])
    scored = replace(evaluation, ridges={"S1": ridge}).score(quiet)
    np.testing.assert_allclose(np.diag(scored.similarity), 1, atol=1e-5)
    np.testing.assert_array_equal(scored.similarity[2], scored.reading.similarity()[4, list(scored.kept)])
    assert values(scored.scores[RIDGE])["latent_top1"].value == 1
    assert scored.kept == (0, 1, *range(4, 12))
    assert scored.similarity.shape == (10, 10)
    assert len(scored.texts[DECODER]) == 12
    assert scored.scores[DECODER].n_windows == 10


@pytest.mark.parametrize("words", [[], [Word("face", 3.0, 3.1)]])
def test_a_recording_without_words_to_compare_with_is_refused(tiny, evaluation, words):
    with pytest.raises(BrokenData, match=r"window\(s\) with words \(arrays/S1/one\)"):
        evaluation.score(tiny.run(words=words))


def test_the_quadrant_comes_from_the_model_s_own_split(tiny, evaluation):
    scored = evaluation.score(story(tiny))
    assert {scores.quadrant for scores in scored.scores.values()} == {"seen subject, unseen story"}


def test_baselines_are_scored_beside_and_only_where_they_can_be(tiny, evaluation):
    assert set(evaluation.score(story(tiny)).scores) == {DECODER, ALONE}
    ridge = Ridge(tiny.features()).fit([story(tiny, seed, 0.1) for seed in (7, 8)])
    full = Evaluation(evaluation.reader, SEARCH, NO_MODEL, {"S1": ridge}, ["a dead cab", "a face"])
    scored = full.score(story(tiny, noise=0.1))
    assert set(scored.scores) == {DECODER, ALONE, FREQUENT, RIDGE}
    assert values(scored.scores[RIDGE])["latent_top1"].value == 1
    assert "cer" not in values(scored.scores[RIDGE])
    assert "latent_top1" not in values(scored.scores[ALONE])
    words = scored.reading.counts[..., 0].sum(dim=1).round().int().clamp(min=1).tolist()
    assert [len(text.split()) for text in scored.texts[FREQUENT]] == words


def test_the_language_model_alone_knows_nothing_of_the_responses(tiny, evaluation):
    scored = evaluation.score(story(tiny))
    lengths = scored.reading.counts[..., 1].sum(dim=1).round().tolist()
    by_length = dict(zip(lengths, scored.texts[ALONE], strict=True))
    assert scored.texts[ALONE] == [by_length[length] for length in lengths]


def test_the_same_recording_scores_the_same_twice(tiny, evaluation):
    one, two = (evaluation.score(story(tiny)) for _ in range(2))
    assert one.texts == two.texts
    np.testing.assert_array_equal(one.similarity, two.similarity)
