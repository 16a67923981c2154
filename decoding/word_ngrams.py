"""A language model of words: counts of what followed what, smoothed after Kneser and Ney.

p(w | h) = max(c(hw) - D, 0) / c(h) + D n(h) / c(h) p(w | h'), with n(h) the kinds of words that followed h, h' the
context without its first word, and below the longest context the number of kinds of words before hw in place of c(hw)
(Kneser & Ney 1995, interpolated as in Chen & Goodman 1999, section 3). Two bodies of text are mixed: spoken stories,
of which there are few, and prose. It knows every word of its vocabulary after any context in well under a
millisecond, which is what a beam of words needs; a text of eight million words takes half a minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int

from ..datasets.errors import MissingData, WrongArgument

DISCOUNT = 0.75
REMEMBERED = 20_000  # contexts whose odds are kept

Words = Int[np.ndarray, " _word"]  # numbers in the vocabulary
Context = tuple[int, ...]


@runtime_checkable
class Proposer(Protocol):
    """A language model as a beam of words needs it."""

    @property
    def vocabulary(self) -> Sequence[str]: ...

    def __call__(
        self, texts: Sequence[Sequence[int]], k: int
    ) -> tuple[Int[np.ndarray, "text k"], Float32[np.ndarray, "text k"]]:
        """The `k` likeliest next words of every text (numbers in the vocabulary) and their log odds, in nats."""


@dataclass(frozen=True, eq=False)
class Followers:
    """Which words followed each context of one length, context by context.

    `contexts` (context,) are numbers in ascending order; those of context i are `words[first[i]:first[i + 1]]`.
    """

    contexts: Int[np.ndarray, " context"]
    first: Int[np.ndarray, " bound"]
    words: Int[np.ndarray, " pair"]
    counts: Int[np.ndarray, " pair"]

    def after(self, context: int) -> tuple[Words, Float32[np.ndarray, " word"]]:
        place = int(np.searchsorted(self.contexts, context))
        if place == len(self.contexts) or self.contexts[place] != context:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        part = slice(int(self.first[place]), int(self.first[place + 1]))
        return self.words[part].astype(np.int64), self.counts[part].astype(np.float32)


@dataclass(frozen=True, eq=False)
class Counts:
    """Of one body of text: followers by length of context, longest first, and how many kinds of words precede each."""

    followers: Sequence[Followers]
    kinds: Float32[np.ndarray, " word"]

    @classmethod
    def of(cls, texts: Sequence[Words], n_words: int, order: int) -> Counts:
        """Count texts in which `n_words` stands for every unknown word."""
        pad = np.full(order - 1, n_words)
        stream = np.concatenate([pad, *(part for text in texts for part in (text, pad))]).astype(np.int64)
        windows = np.lib.stride_tricks.sliding_window_view(stream, order)
        grams = _numbers(windows[windows[:, -1] < n_words], n_words + 1)
        unique, counts = np.unique(grams, return_counts=True)
        followers = []
        for length in range(order - 1, 0, -1):
            followers.append(_followers(unique, counts, n_words + 1))
            unique, counts = np.unique(unique % (n_words + 1) ** length, return_counts=True)
        kinds = np.zeros(n_words, np.float32)
        kinds[unique] = counts
        return cls(followers, kinds)

    def odds(self, context: Sequence[int]) -> Float32[np.ndarray, " word"]:
        """p of every word of the vocabulary."""
        base = len(self.kinds) + 1
        chances: np.ndarray = (self.kinds + 0.5) / (self.kinds + 0.5).sum()
        for length, followers in enumerate(reversed(self.followers), start=1):
            words, counts = followers.after(_number(context[len(context) - length :], base))
            if len(words):
                total = counts.sum()
                chances = chances * (DISCOUNT * len(words) / total)
                chances[words] += (counts - DISCOUNT) / total
        return np.asarray(chances, np.float32)


@dataclass(frozen=True, eq=False)
class WordNgrams:
    """Proposes words (see `Proposer`).

    Parameters
    ----------
    vocabulary
        Distinct words.
    bodies
        Bodies of text, and the weight of each.
    """

    vocabulary: Sequence[str]
    bodies: Sequence[tuple[Counts, float]]
    _known: dict[tuple[Context, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        vocabulary: Sequence[str],
        stories: Sequence[str],
        prose: Sequence[str] = (),
        share: float = 0.5,
        order: int = 3,
    ) -> WordNgrams:
        """From folded texts; `share` is the weight of the stories, where there is prose beside them.

        Raises `MissingData` without text and `WrongArgument` for contexts that cannot be numbered.
        """
        if not 0 < share < 1 or not 2 <= order <= 4 or len(vocabulary) >= 2**15:
            raise WrongArgument(
                f"share {share}, order {order}, {len(vocabulary)} words",
                "word language model",
                "Give a share within 0 and 1, an order of 2 to 4, and up to 32,767 words.",
            )
        index = {word: i for i, word in enumerate(vocabulary)}
        texts = [[_ids(text, index) for text in body if text.split()] for body in (stories, prose)]
        weights = [share, 1 - share] if all(texts) else [1.0, 1.0]
        bodies = [
            (Counts.of(body, len(vocabulary), order), weight)
            for body, weight in zip(texts, weights, strict=True)
            if body
        ]
        if not bodies or not vocabulary:
            raise MissingData("no text to count", "word language model", "Give training stories or prose.")
        return cls(list(vocabulary), bodies)

    def __call__(
        self, texts: Sequence[Sequence[int]], k: int
    ) -> tuple[Int[np.ndarray, "text k"], Float32[np.ndarray, "text k"]]:
        length = len(self.bodies[0][0].followers)
        beginning = (len(self.vocabulary),) * length
        found = [self._best((*beginning, *text[-length:])[-length:], min(k, len(self.vocabulary))) for text in texts]
        return np.stack([words for words, _ in found]), np.stack([odds for _, odds in found])

    def log_odds(self, text: Sequence[int]) -> Float32[np.ndarray, " word"]:
        """Nats of every word of the vocabulary after a text."""
        length = len(self.bodies[0][0].followers)
        context = (*(len(self.vocabulary),) * length, *text)[-length:]
        return np.asarray(np.log(sum(weight * counts.odds(context) for counts, weight in self.bodies)), np.float32)

    def _best(self, context: Context, k: int) -> tuple[np.ndarray, np.ndarray]:
        if (context, k) not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            odds = self.log_odds(context)
            best = np.argpartition(-odds, k - 1)[:k]
            best = best[np.lexsort((best, -odds[best]))]
            self._known[context, k] = best, odds[best]
        return self._known[context, k]

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything but the vocabulary, by name (see `of`)."""
        found: dict[str, np.ndarray] = {"weights": np.array([weight for _, weight in self.bodies])}
        for body, (counts, _) in enumerate(self.bodies):
            found[f"{body}.kinds"] = counts.kinds
            for level, part in enumerate(counts.followers):
                names = ("contexts", "first", "words", "counts")
                found |= {f"{body}.{level}.{name}": getattr(part, name) for name in names}
        return found

    @classmethod
    def of(cls, vocabulary: Sequence[str], arrays: Mapping[str, np.ndarray]) -> WordNgrams:
        """From what `arrays` gave."""
        bodies = []
        for body, weight in enumerate(arrays["weights"].tolist()):
            levels = sum(name.startswith(f"{body}.") and name.endswith(".contexts") for name in arrays)
            followers = [
                Followers(*(arrays[f"{body}.{level}.{name}"] for name in ("contexts", "first", "words", "counts")))
                for level in range(levels)
            ]
            bodies.append((Counts(followers, arrays[f"{body}.kinds"]), weight))
        return cls(list(vocabulary), bodies)


def _ids(text: str, index: Mapping[str, int]) -> Words:
    return np.array([index.get(word, len(index)) for word in text.split()], np.int64)


def _number(context: Sequence[int], base: int) -> int:
    number = 0
    for word in context:
        number = number * base + int(word)
    return number


def _numbers(grams: Int[np.ndarray, "gram word"], base: int) -> Int[np.ndarray, " gram"]:
    return np.asarray(grams @ base ** np.arange(grams.shape[1] - 1, -1, -1))


def _followers(unique: Int[np.ndarray, " gram"], counts: Int[np.ndarray, " gram"], base: int) -> Followers:
    """Of n-grams by number, ascending: the last word follows the others."""
    contexts, first = np.unique(unique // base, return_index=True)
    bounds = np.append(first, len(unique)).astype(np.int32)
    return Followers(contexts, bounds, (unique % base).astype(np.int16), counts.astype(np.int32))
