"""A made study in the layout of lebel2023: words with planted responses, on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from plasticode.cli import main

STORIES = [f"story{letter}" for letter in "abcdefghij"]
HELD = {"validation": STORIES[-3:-2], "test": STORIES[-2:]}
N_ROWS, N_CHANNELS, N_WORDS = 140, 40, 60


def made(folder: Path) -> Path:
    """lebel2023 in its reduced layout: a word's own pattern appears one and two rows after it, in noise."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), rng.integers(2, 7))) + str(i) for i in range(N_WORDS)]
    follows = rng.dirichlet(np.full(N_WORDS, 0.1), size=N_WORDS)
    patterns = rng.normal(size=(2, N_WORDS, N_CHANNELS))
    texts, rows = {}, []
    for story in STORIES:
        said, last = [], 0
        for _ in range(N_ROWS):
            row = []
            for _ in range(rng.integers(0, 4)):
                last = rng.choice(N_WORDS, p=follows[last])
                row.append(last)
            said.append(row)
        clean = np.zeros((N_ROWS + 2, N_CHANNELS))
        for at, row in enumerate(said):
            for delay in (1, 2):
                clean[at + delay] += patterns[delay - 1, row].sum(axis=0)
        noisy = clean[:N_ROWS] + 2 * rng.normal(size=(N_ROWS, N_CHANNELS))
        rows.append((noisy - noisy.mean(axis=0)) / noisy.std(axis=0))
        texts[story] = [" ".join(words[word] for word in row) for row in said]
    folder.mkdir()
    start = np.arange(len(STORIES)) * N_ROWS
    pcs = np.concatenate(rows).astype(np.float16)
    np.savez(folder / "uts03.npz", pcs=pcs, story=np.array(STORIES), start=start, stop=start + N_ROWS)
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    return folder


def fit(root: Path, run: Path, *more: str) -> int:
    held = [f"--data.{part}_stories={json.dumps(stories)}" for part, stories in HELD.items()]
    told = ["--data.study", "lebel2023", "--data.root", str(root), *held, "--beam.hypotheses=10", "--beam.evidence=1"]
    return main(["fit-encoding", *told, "--run-dir", str(run), *more])
