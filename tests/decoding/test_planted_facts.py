"""Oracles: the interval of the score itself where the oracle is perfect, and a ratio known by hand."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from plasticode.datasets.synthetic import SyntheticStudy
from plasticode.decoding import planted_facts
from plasticode.decoding.evaluation import ScoredStory
from plasticode.decoding.identification import top_pairs
from plasticode.decoding.intervals import interval
from plasticode.decoding.planted_facts import oracle_facts
from plasticode.decoding.reading import Reader
from plasticode.decoding.results import DECODER, StoryScores

N, STORIES = 12, ("a", "b", "c")
PERFECT = np.eye(N)


def scored(tiny, story, similarity, kept=tuple(range(N))):
    square = np.ix_(kept, kept)
    pairs = {"latent_top1": top_pairs(similarity[square], 1)}
    scores = {DECODER: StoryScores("arrays", "S1", story, "seen subject, unseen story", 5, pairs)}
    reading = Reader(tiny.model()).read(tiny.run(story=story, n_rows=N * tiny.rows))
    return ScoredStory(reading, kept, {}, similarity[square], scores)


def share(monkeypatch, stories, best):
    monkeypatch.setattr(planted_facts, "oracle", lambda *_: SimpleNamespace(similarity=best))
    (fact,) = oracle_facts(SyntheticStudy.__new__(SyntheticStudy), stories)
    low, high = map(float, re.match(r"95% interval (\S+) to (\S+), ", fact["detail"]).groups())
    assert fact["name"] == "share of the oracle, S1"
    return fact["value"], low, high


def test_beside_a_perfect_oracle_the_share_and_its_interval_are_those_of_the_score(tiny, monkeypatch):
    rng = np.random.default_rng(0)
    stories = [scored(tiny, story, rng.normal(size=(N, N)) + 1.5 * np.eye(N)) for story in STORIES]
    own = [story.scores[DECODER].samples("latent_top1") for story in stories]
    found = share(monkeypatch, stories, PERFECT)
    assert found == pytest.approx((np.concatenate(own).mean(), *interval(own, STORIES)), abs=5e-4)
    assert found[1] < found[0] < found[2]


def test_an_oracle_that_errs_on_the_same_windows_leaves_a_share_of_1_and_no_doubt(tiny, monkeypatch):
    half = np.roll(np.eye(N), 1, axis=0) * (np.arange(N) % 2 == 0)[:, None] + np.eye(N) * (np.arange(N) % 2)[:, None]
    stories = [scored(tiny, story, half) for story in STORIES]
    assert share(monkeypatch, stories, half) == pytest.approx((1, 1, 1))


def test_the_oracle_is_asked_about_the_scored_windows_only(tiny, monkeypatch):
    """It fails on the two windows without words; among the others it is perfect."""
    best = PERFECT.copy()
    best[[0, 1]], best[2:, 0] = -PERFECT[[0, 1]], 2
    stories = [scored(tiny, story, PERFECT, tuple(range(2, N))) for story in STORIES]
    assert share(monkeypatch, stories, best) == (1, 1, 1)


def test_an_oracle_that_finds_nothing_has_no_share(tiny, monkeypatch):
    stories = [scored(tiny, story, PERFECT) for story in STORIES]
    assert np.isnan(share(monkeypatch, stories, -PERFECT)).all()
