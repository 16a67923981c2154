"""Scored windows that say what a training window says in other words, by sentence embeddings where there is a model.

Windows of different spoken stories reach a cosine of .72 at most (lebel2023, 3,345 windows, all-MiniLM-L6-v2), so .85
is far outside. Where the training stories are nearer to each other by nature (a small grammar) the limit moves up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from ..datasets.prepare import default_cache
from ..datasets.study import Run
from ..datasets.whole_file import whole_file
from ..datasets.windows import WindowShape, windows
from . import semantic
from .split_audit_findings import NOT_CHECKED, Check, Finding

NAME = "same meaning"
LOWEST, HIGHEST = 0.85, 0.97  # between them the limit is `MARGIN` above what training stories have with each other
MARGIN = 0.05
FEWEST = 10  # words: two windows of "mm" are no paraphrase

Spoken = list[tuple[Run, float, str]]


def meaning_check(training: Sequence[Run], scored: Sequence[Run], shape: WindowShape, model: str) -> Check:
    """Every scored window against every training window."""
    if reason := semantic.unavailable(model):
        return Check(NAME, "", NOT_CHECKED, reason)
    known, asked = _spoken(training, shape), _spoken(scored, shape)
    if not known or not asked:
        return Check(NAME, "", NOT_CHECKED, f"no window of {FEWEST} words or more on both sides")
    held, new = _embedded(known, model), _embedded(asked, model)
    limit, similarity = _limit(held, known), new @ held.T
    best = similarity.argmax(axis=1)
    findings = [
        Finding.of(NAME, run, f"cosine {similarity[i, best[i]]:.2f} with a window of {known[best[i]][0].key}", onset)
        for i, (run, onset, _) in enumerate(asked)
        if similarity[i, best[i]] >= limit
    ]
    over = f"{len(asked)} scored x {len(known)} training windows of {FEWEST} words or more"
    seen = f"{model}; largest cosine {float(similarity.max()):.2f}, a leak from {limit:.2f}"
    return Check.judged(NAME, over, findings, seen)


def _limit(held: Float32[np.ndarray, "window feature"], known: Spoken) -> float:
    """From what windows of different training stories have in common: 99.9% of each window's largest cosine."""
    _, story = np.unique([run.story for run, _, _ in known], return_inverse=True)
    similarity = np.where(story[:, None] == story, np.float32(-1), held @ held.T)
    return float(np.clip(np.quantile(similarity.max(axis=1), 0.999) + MARGIN, LOWEST, HIGHEST))


def _spoken(runs: Sequence[Run], shape: WindowShape) -> Spoken:
    """Windows with words enough, of one recording of every story."""
    once = {(run.story, run.words): run for run in runs}.values()
    found = [(run, window.onset, window.text) for run in once for window in windows(run, shape)]
    return [row for row in found if len(row[2].split()) >= FEWEST]


def _embedded(spoken: Spoken, model: str) -> Float32[np.ndarray, "window feature"]:
    """Embeddings, story by story out of the cache, where they are kept by model and text."""
    texts: dict[str, list[str]] = {}
    for run, _, text in spoken:
        texts.setdefault(run.key, []).append(text)
    return np.concatenate([_remembered(part, model) for part in texts.values()])


def _remembered(texts: Sequence[str], model: str) -> Float32[np.ndarray, "window feature"]:
    key = hashlib.sha256("\n".join([model, *texts]).encode()).hexdigest()[:24]
    path = default_cache() / "embeddings" / f"{key}.npy"
    if path.is_file():
        return np.asarray(np.load(path, allow_pickle=False), np.float32)
    values = semantic.embed(texts, model)
    with whole_file(path) as draft, draft.open("wb") as file:
        np.save(file, values, allow_pickle=False)
    return values
