"""Text for the synthetic study: a stochastic grammar over topics, and the times at which it is spoken.

A topic lasts two to four sentences and then gives way to another, chosen evenly: a Markov chain over topics. Half a
minute of a story therefore has a content that can be recognised, and that no language model can know beforehand.
The text holds lower-case letters, the space and the apostrophe only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from .lexicon import TOPICS, Topic
from .study import Word

T = TypeVar("T")

TEMPLATES = tuple(
    template.split()
    for template in (
        "the PERSON ACTION the THING",
        "the QUALITY PERSON ACTION the THING in the PLACE",
        "then the PERSON ACTION the QUALITY THING again",
        "i saw the PERSON with the THING near the PLACE",
        "there was a THING in the PLACE and the PERSON ACTION it",
        "but the PERSON didn't leave the PLACE",
        "it's the QUALITY THING that the PERSON ACTION",
        "when the PERSON found the PLACE she ACTION the THING",
        "they said the PLACE was QUALITY",
        "later we ACTION the THING beside the PERSON",
    )
)
SLOTS = {"PERSON", "THING", "ACTION", "QUALITY", "PLACE"}
SENTENCES_PER_TOPIC = (2, 4)

# Streams of random numbers that never meet: the text for a language model is not a story of the data set.
_STORY, _CORPUS = 1, 2

LEAD_IN = 0.5  # s of silence before the first word
RATES = (1.5, 3.5)  # words/s, the slowest and the fastest
PERIODS = ((25.0, 40.0), (50.0, 80.0))  # s, of the two waves that modulate the rate: shorter than a high-pass of 100 s
PAUSES = (0.3, 0.9)  # s between two sentences
VOICED = 0.9  # share of the time from onset to onset that the word itself takes


def story(seed: int, duration: float, index: int = 0) -> list[Word]:
    """Story number `index` of a seed: all words that end within `duration` seconds."""
    rng = np.random.default_rng([seed, _STORY, index])
    return spoken(sentences(rng), duration, rng)


def corpus(seed: int, n_characters: int) -> str:
    """`n_characters` of text of the same grammar, on which a language model can be trained; never a story's text."""
    rng, parts, length = np.random.default_rng([seed, _CORPUS]), [], 0
    for sentence in sentences(rng):
        parts.append(" ".join(sentence))
        length += len(parts[-1]) + 1
        if length > n_characters:
            break
    return " ".join(parts)[:n_characters]


def sentences(rng: np.random.Generator) -> Iterator[list[str]]:
    """Sentences without end, a few on each topic."""
    topic = int(rng.integers(len(TOPICS)))
    while True:
        for _ in range(rng.integers(SENTENCES_PER_TOPIC[0], SENTENCES_PER_TOPIC[1] + 1)):
            yield _sentence(TOPICS[topic], rng)
        topic = (topic + int(rng.integers(1, len(TOPICS)))) % len(TOPICS)


def _sentence(topic: Topic, rng: np.random.Generator) -> list[str]:
    template = _frequent(TEMPLATES, rng)
    return [_frequent(getattr(topic, part.lower()), rng) if part in SLOTS else part for part in template]


def _frequent(items: Sequence[T], rng: np.random.Generator) -> T:
    """One of the items, the k-th with a probability proportional to 1 / k (Zipf's law)."""
    weights = 1 / np.arange(1, len(items) + 1)
    return items[int(rng.choice(len(items), p=weights / weights.sum()))]


def spoken(text: Iterator[list[str]], duration: float, rng: np.random.Generator) -> list[Word]:
    """Words with onset and offset in s, up to `duration`.

    A word takes a time that grows with its length; the rate changes slowly as the sum of two waves.
    """
    waves = [(rng.uniform(*period), rng.uniform(0, 2 * np.pi)) for period in PERIODS]
    words: list[Word] = []
    clock = LEAD_IN
    for sentence in text:
        for word in sentence:
            step = (len(word) + 2) / 6.5 / _rate(clock, waves)  # 6.5: the mean of length + 2 in this grammar
            if clock + step > duration:
                return words
            words.append(Word(word, round(clock, 3), round(clock + VOICED * step, 3)))
            clock += step
        clock += rng.uniform(*PAUSES)
    return words


def _rate(time: float, waves: list[tuple[float, float]]) -> float:
    """Words/s at a time in s, within `RATES`."""
    swing = np.mean([np.sin(2 * np.pi * time / period + phase) for period, phase in waves])
    slow, fast = RATES
    return float((slow + fast) / 2 + (fast - slow) / 2 * swing)
