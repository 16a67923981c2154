"""Oracles: a dense brute-force PPMI and its exact singular value decomposition; texts whose geometry is known."""

from collections import Counter

import numpy as np
import pytest
from plasticode.decoding.word_vectors import WordVectors

TEXTS = [
    "the cat sat on the mat and the dog sat on the rug",
    "a bird sang to the cat",
    "the dog and the bird saw a mat",
    "on and on the dog sang",
]


def dense_table(texts: list[str], reach: int, rarity: float, n_features: int) -> tuple[list[str], np.ndarray]:
    """The module's docstring, written with loops and a dense matrix."""
    counts = Counter(word for text in texts for word in text.split())
    words = sorted(counts)
    index = {word: i for i, word in enumerate(words)}
    joint = np.zeros((len(words), len(words)))
    for text in texts:
        tokens = text.split()
        for i, one in enumerate(tokens):
            for j, other in enumerate(tokens):
                if 0 < abs(i - j) <= reach:
                    joint[index[one], index[other]] += 1 / abs(i - j)
    context = joint.sum(axis=0) ** 0.75
    with np.errstate(divide="ignore"):
        information = np.log(joint / joint.sum(axis=1)[:, None] / (context / context.sum()))
    left, scale, _ = np.linalg.svd(np.maximum(information, 0))
    vectors = left[:, :n_features] * np.sqrt(scale[:n_features])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    share = np.array([counts[word] for word in words]) / sum(counts.values())
    return words, (rarity / (rarity + share))[:, None] * (vectors - share @ vectors)


def gram(vectors: WordVectors, words: list[str]) -> np.ndarray:
    """Inner products, which no rotation or sign of the singular vectors can change."""
    table = vectors(words).astype(np.float64)
    return table @ table.T


@pytest.mark.parametrize("n_features", [4, 7])
def test_vectors_are_those_of_a_dense_brute_force(n_features: int) -> None:
    words, table = dense_table(TEXTS, 3, 0.1, n_features)
    found = WordVectors.fit(TEXTS, n_features=n_features, reach=3, rarity=0.1)
    np.testing.assert_allclose(gram(found, words), table @ table.T, atol=1e-5)


def test_cooccurrence_does_not_cross_texts() -> None:
    words = sorted({word for text in TEXTS for word in text.split()})
    forwards, backwards = (WordVectors.fit(texts, n_features=6) for texts in (TEXTS, TEXTS[::-1]))
    np.testing.assert_allclose(gram(forwards, words), gram(backwards, words), atol=1e-5)


def test_words_with_the_same_contexts_are_near() -> None:
    rng = np.random.default_rng(0)
    animals, tools = ("cat", "dog", "cow"), ("saw", "axe", "file")
    texts = [f"the {rng.choice(animals)} ate hay all day" for _ in range(60)]
    texts += [f"her {rng.choice(tools)} cuts wood very well" for _ in range(60)]
    cat, dog, saw = WordVectors.fit(texts, n_features=4)(["cat", "dog", "saw"])
    cosine = [float(cat @ other / np.linalg.norm(cat) / np.linalg.norm(other)) for other in (dog, saw)]
    assert cosine[0] > 0.9
    assert cosine[1] < 0.2


def test_the_same_seed_gives_the_same_vectors() -> None:
    one, two = (WordVectors.fit(TEXTS, n_features=4, seed=3) for _ in range(2))
    assert one.vocabulary == two.vocabulary
    np.testing.assert_array_equal(one.table, two.table)


def test_only_the_most_frequent_words_have_vectors_and_unknown_words_add_nothing() -> None:
    vectors = WordVectors.fit(TEXTS, n_features=3, n_words=2)
    assert vectors.vocabulary[0] == "the"
    assert len(vectors.vocabulary) == 2
    np.testing.assert_array_equal(vectors(["zebra", "cat"])[0], 0)
    np.testing.assert_array_equal(vectors.text("the zebra"), vectors.text("the"))
    np.testing.assert_array_equal(vectors.text(""), np.zeros(3))


def test_a_small_vocabulary_is_padded_with_zero_features() -> None:
    vectors = WordVectors.fit(["a b a b"], n_features=9)
    assert vectors.table.shape == (2, 9)
    np.testing.assert_array_equal(vectors.table[:, 2:], 0)


def test_a_text_is_the_sum_of_its_words() -> None:
    vectors = WordVectors(["a", "b"], np.array([[1.0, 2.0], [10.0, 20.0]], np.float32))
    np.testing.assert_array_equal(vectors.text("a b b"), [21, 42])
    assert vectors.ids(["b", "x"]).tolist() == [1, -1]


def test_words_and_vectors_of_different_number_are_refused() -> None:
    with pytest.raises(ValueError, match="2 words but 1 vectors"):
        WordVectors(["a", "b"], np.zeros((1, 3), np.float32))
