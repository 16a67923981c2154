"""Word vectors from the co-occurrences in a corpus: positive pointwise mutual information, then a truncated SVD.

Levy & Goldberg 2014, "Neural word embedding as implicit matrix factorization" (NeurIPS): skip-gram with negative
sampling factorises this matrix. Context counts are smoothed with the power .75 and weighted by 1/distance; the
vectors are U S^(1/2). A text's vector weighs its words by a / (a + p(word)) and drops the mean vector (Arora et al.
2017, "A simple but tough-to-beat baseline for sentence embeddings", ICLR). Seconds for 8 million words, no network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Float32, Float64, Int
from sklearn.utils.extmath import randomized_svd

UNKNOWN = -1


class WordVectors:
    """Weighted, centred vectors of the words of a vocabulary; words outside it have the zero vector.

    Parameters
    ----------
    vocabulary
        Distinct words.
    table
        (word, feature): what a word adds to the vector of a text.
    """

    def __init__(self, vocabulary: Sequence[str], table: Float32[np.ndarray, "word feature"]) -> None:
        if len(vocabulary) != len(table):
            raise ValueError(f"{len(vocabulary)} words but {len(table)} vectors")
        self.vocabulary, self.table = list(vocabulary), np.ascontiguousarray(table, dtype=np.float32)
        self._index = {word: i for i, word in enumerate(self.vocabulary)}

    @property
    def n_features(self) -> int:
        return int(self.table.shape[1])

    def ids(self, words: Sequence[str]) -> Int[np.ndarray, " word"]:
        """Row of each word in the table, `UNKNOWN` where there is none."""
        return np.array([self._index.get(word, UNKNOWN) for word in words], dtype=np.int64)

    def __call__(self, words: Sequence[str]) -> Float32[np.ndarray, "word feature"]:
        """What each word adds; zero for unknown words."""
        ids = self.ids(words)
        vectors = self.table[np.maximum(ids, 0)] if len(ids) else np.zeros((0, self.n_features), np.float32)
        return np.where(ids[:, None] == UNKNOWN, np.float32(0), vectors)

    def text(self, text: str) -> Float32[np.ndarray, " feature"]:
        """Sum over the words of a folded text."""
        return np.asarray(self(text.split()).sum(axis=0), dtype=np.float32)

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        n_features: int = 200,
        n_words: int = 10_000,
        reach: int = 5,
        rarity: float = 1e-3,
        seed: int = 0,
    ) -> WordVectors:
        """Vectors of the `n_words` most frequent words of folded texts; co-occurrence never crosses a text's end."""
        words = [text.split() for text in texts]
        counts = Counter(word for text in words for word in text)
        vocabulary = [word for word, _ in counts.most_common(n_words)]
        index = {word: i for i, word in enumerate(vocabulary)}
        gap = [UNKNOWN] * reach
        ids = np.array([i for text in words for i in [*(index.get(w, UNKNOWN) for w in text), *gap]], dtype=np.int32)
        vectors = _factorise(_information(_cooccurrences(ids, len(vocabulary), reach)), n_features, seed)
        share = np.array([counts[word] for word in vocabulary], dtype=np.float64)
        share /= share.sum()
        weight = rarity / (rarity + share)
        table = weight[:, None] * (vectors - share @ vectors)
        return cls(vocabulary, table.astype(np.float32))


def text_similarity(
    vectors: WordVectors, decoded: Sequence[str], true: Sequence[str]
) -> Float64[np.ndarray, "decoded true"]:
    """Cosine of the summed word vectors of decoded and true texts, each side centred over the story.

    Only words count here: when they were said is not known to a decoded text.
    """
    sides = [np.stack([vectors.text(text) for text in texts]) for texts in (decoded, true)]
    flat = [side - side.mean(axis=0) for side in sides]
    unit = [side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-8) for side in flat]
    return np.asarray(unit[0] @ unit[1].T, dtype=np.float64)


def _cooccurrences(ids: Int[np.ndarray, " token"], n_words: int, reach: int) -> sp.csr_matrix:
    counts = sp.csr_matrix((n_words, n_words), dtype=np.float32)
    for distance in range(1, reach + 1):
        left, right = ids[:-distance], ids[distance:]
        both = (left != UNKNOWN) & (right != UNKNOWN)
        weight = np.full(int(both.sum()), 1.0 / distance, np.float32)
        counts = counts + sp.csr_matrix((weight, (left[both], right[both])), shape=counts.shape)
    return counts + counts.T


def _information(counts: sp.csr_matrix) -> sp.csr_matrix:
    """Positive pointwise mutual information, in nats."""
    total = np.asarray(counts.sum(axis=1)).ravel()
    context = total**0.75
    pairs = counts.tocoo()
    value = np.log(pairs.data * context.sum() / (total[pairs.row] * context[pairs.col]))
    kept = value > 0
    return sp.csr_matrix((value[kept], (pairs.row[kept], pairs.col[kept])), shape=counts.shape)


def _factorise(information: sp.csr_matrix, n_features: int, seed: int) -> Float[np.ndarray, "word feature"]:
    """Unit-length rows of U S^(1/2), zero-padded where the vocabulary is smaller than the number of features."""
    rank = min(n_features, information.shape[0])
    left, scale, _ = randomized_svd(information, n_components=rank, n_iter=4, random_state=seed)
    vectors = left * np.sqrt(scale)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-8)
    return np.pad(vectors, ((0, 0), (0, n_features - rank)))
