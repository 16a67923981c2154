"""Oracles: words laid out by hand, and the cosine of flattened arrays."""

import numpy as np
import pytest
import torch
from plasticode.datasets.study import Word
from plasticode.decoding.text_features import TextEmbedding, TextFeatures, similarity
from plasticode.decoding.word_vectors import WordVectors


@pytest.fixture
def vectors():
    return WordVectors(["a", "be"], np.array([[1.0, 2.0], [10.0, 20.0]], np.float32))


def words(*timed):
    return [Word(text, onset, onset + 0.1) for text, onset in timed]


def test_words_lie_on_the_row_of_their_onset(tiny, vectors):
    run = tiny.run(n_rows=4, words=words(("a", 0.0), ("be", 1.99), ("be", 2.0), ("zoo", 6.5)))
    text = TextFeatures(vectors).of(run)
    np.testing.assert_array_equal(text.features, [[11, 22, 2, 5], [10, 20, 1, 3], [0, 0, 0, 0], [0, 0, 1, 4]])
    np.testing.assert_array_equal(text.counts, text.features[:, -2:])
    assert text.texts == ["a be", "be", "", "zoo"]


@pytest.mark.parametrize("repetition_time", [0.72, 2.0045, 1.5])
def test_a_word_on_the_time_of_a_row_lies_on_it_however_the_division_rounds(tiny, vectors, repetition_time):
    said = words(*((f"{row}", row * repetition_time) for row in range(200)))
    text = TextFeatures(vectors).of(tiny.run(n_rows=200, words=said, repetition_time=repetition_time))
    assert text.texts == [str(row) for row in range(200)]


def test_words_outside_the_recording_are_left_out(tiny, vectors):
    run = tiny.run(n_rows=3, words=words(("a", -0.5), ("be", 5.9), ("a", 6.0), ("a", 600.0)))
    text = TextFeatures(vectors).of(run)
    assert text.texts == ["", "", "be"]
    assert text.counts.sum() == 1 + 3


def test_a_word_with_several_parts_counts_as_several_words_and_silence_as_none(tiny, vectors):
    run = tiny.run(n_rows=2, words=words(("A-be!", 0.5), ("...", 0.7)))
    text = TextFeatures(vectors).of(run)
    np.testing.assert_array_equal(text.features[0], [11, 22, 2, 5])
    assert text.texts == ["a be", ""]


def test_a_run_without_words_has_features_of_zero(tiny, vectors):
    text = TextFeatures(vectors).of(tiny.run(n_rows=3, words=[]))
    np.testing.assert_array_equal(text.features, 0)
    assert text.text(0, 3) == ""


def test_the_text_of_rows_is_joined_by_single_spaces(tiny, vectors):
    run = tiny.run(n_rows=4, words=words(("a", 0.5), ("be", 4.5), ("a", 5.0), ("c", 6.5)))
    text = TextFeatures(vectors).of(run)
    assert text.text(0, 4) == "a be a c"
    assert text.text(1, 3) == "be a"


def test_standardisation_makes_training_rows_zero_mean_with_unit_counts_and_one_scale_of_content(tiny):
    runs = [tiny.run(seed=1), tiny.run(seed=2)]
    features = TextFeatures(tiny.vectors()).fit(runs)
    rows = np.concatenate([features.of(run).features for run in runs])
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(rows[:, -2:].std(axis=0), 1, atol=1e-5)
    assert len(set(features.scale[:-2].tolist())) == 1
    assert len(set(rows[:, :-2].std(axis=0).round(3).tolist())) > 1


def test_standardisation_comes_from_the_fitted_runs_only(tiny):
    train, other = tiny.run(seed=1), tiny.run(seed=2, words=words(("a", 0.0), ("dead", 1.0)))
    features = TextFeatures(tiny.vectors()).fit([train])
    mean, scale = features.mean.copy(), features.scale.copy()
    standardised = features.of(other)
    raw = TextFeatures(tiny.vectors()).of(other).features
    np.testing.assert_allclose(standardised.features, (raw - mean) / scale, rtol=1e-6)
    np.testing.assert_array_equal(standardised.counts, raw[:, -2:])


def test_fitting_leaves_the_unfitted_features_as_they_were(tiny):
    features = TextFeatures(tiny.vectors())
    assert features.fit([tiny.run()]) is not features
    np.testing.assert_array_equal(features.mean, 0)


def test_the_embedding_is_linear_and_reads_three_rows():
    torch.manual_seed(0)
    embedding, x = TextEmbedding(4, 3), torch.randn(2, 6, 4)
    zero = embedding(torch.zeros(2, 6, 4))
    torch.testing.assert_close(embedding(2 * x) - zero, 2 * (embedding(x) - zero))
    changed = x.clone()
    changed[:, 3] += 1
    moved = (embedding(changed) != embedding(x)).any(dim=2).any(dim=0)
    assert moved.tolist() == [False, False, True, True, True, False]


def test_similarity_is_the_cosine_of_whole_windows():
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(3, 4, 2)), rng.normal(size=(5, 4, 2))
    found = similarity(torch.tensor(one), torch.tensor(two)).numpy()
    for i, left in enumerate(one):
        for j, right in enumerate(two):
            cosine = (left * right).sum() / np.sqrt((left**2).sum() * (right**2).sum())
            assert found[i, j] == pytest.approx(cosine)
