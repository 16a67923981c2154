"""Scored text in the corpus that a language model was pre-trained on: shingles of 13 words, as GPT-3's authors did.

Brown et al. 2020, "Language models are few-shot learners", appendix C. The corpus is read where it is at hand, one
file at a time, and only shingles of the scored text are kept; otherwise a sample of the corpus's own numbers, stored
beside the language model when it was trained, answers for it (one in four: a window copied whole is still seen with
probability .997).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int16, UInt64
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ..datasets.corpus import read_documents
from ..datasets.errors import BrokenData
from ..datasets.fingerprint import file_digest
from ..datasets.prepare import default_cache
from ..datasets.study import Run
from ..datasets.whole_file import whole_file
from .split_audit_findings import Finding
from .split_audit_overlap import WindowedText
from .split_audit_shingles import shingles, streamed

LENGTH = 13  # words
SHARE, FEWEST = 0.3, 3  # of a window's shingles, 15 words in a row. A small grammar's own text shares up to .18
ONE_IN = 4
STORED = "read_text.safetensors"
CHARACTERS = 4_000_000


@dataclass(frozen=True, eq=False)
class Sketch:
    """Numbers of shingles that were read, sorted; of those that `one_in` divides, all."""

    numbers: UInt64[np.ndarray, " shingle"]
    one_in: int = 1

    @classmethod
    def sample(cls, texts: Iterable[str], one_in: int = ONE_IN) -> Sketch:
        """Of texts, in about 8 / `one_in` bytes a word."""
        parts = [numbers[numbers % np.uint64(one_in) == 0] for numbers in streamed(texts, LENGTH)]
        return cls(np.unique(np.concatenate([np.zeros(0, np.uint64), *parts])), one_in)

    @classmethod
    def meeting(cls, texts: Iterable[str], wanted: UInt64[np.ndarray, " shingle"]) -> Sketch:
        """Those of the wanted shingles that the texts hold; memory does not grow with the texts."""
        parts = [np.intersect1d(numbers, wanted) for numbers in streamed(texts, LENGTH)]
        return cls(np.unique(np.concatenate([np.zeros(0, np.uint64), *parts])))

    def save(self, folder: Path) -> None:
        """Beside the language model."""
        with whole_file(folder / STORED) as draft:
            save_file({"shingles": self.numbers, "one_in": np.array([self.one_in], np.int64)}, draft)

    @classmethod
    def load(cls, folder: Path) -> Sketch | None:
        """None where none was stored; `BrokenData` for a file that is damaged."""
        if not (folder / STORED).is_file():
            return None
        try:
            held = load_file(folder / STORED)
            return cls(held["shingles"].astype(np.uint64), int(held["one_in"][0]))
        except (SafetensorError, KeyError, IndexError, ValueError) as error:
            raise BrokenData(
                f"hashes of the read text cannot be read: {error}", folder / STORED, "Remove the file."
            ) from error

    def found(self, run: Run, text: WindowedText) -> list[Finding]:
        """Windows of a run whose text was read."""
        numbers = shingles(text.words, LENGTH)
        asked = numbers % np.uint64(self.one_in) == 0
        known, window = np.isin(numbers, self.numbers), text.window[: len(numbers)]
        total = np.bincount(window[asked], minlength=text.n_windows)
        met = np.bincount(window[asked & known], minlength=text.n_windows)
        leaking = np.flatnonzero((met >= FEWEST) & (met >= SHARE * total))
        return [
            Finding.of(
                "pre-training corpus",
                run,
                f"{met[i]} of {total[i]} of its 13-word runs were read by the language model",
                text.onset(int(i)),
            )
            for i in leaking
        ]


def spelled(ids: Int16[np.ndarray, " character"], symbols: str) -> Iterator[str]:
    """Text of a language model's character ids, some million characters at a time (a word at a seam is cut)."""
    points = np.array([ord(symbol) for symbol in f" {symbols}"], "<u4")
    for start in range(0, len(ids), CHARACTERS):
        yield points[ids[start : start + CHARACTERS]].tobytes().decode("utf-32-le")


def corpus_at_hand(paths: Sequence[str], scored: Sequence[WindowedText]) -> Sketch:
    """What the files hold of the scored text; remembered in the cache by the content of both."""
    wanted = np.unique(np.concatenate([np.zeros(0, np.uint64), *(shingles(text.words, LENGTH) for text in scored)]))
    digests = [file_digest(file, default_cache() / "digests") for path in paths for file in _files(Path(path))]
    key = hashlib.sha256(json.dumps([LENGTH, digests]).encode() + wanted.tobytes()).hexdigest()[:24]
    memo = default_cache() / "shingles" / f"{key}.npy"
    if memo.is_file():
        return Sketch(np.load(memo, allow_pickle=False))
    sketch = Sketch.meeting(_texts(paths), wanted)
    with whole_file(memo) as draft, draft.open("wb") as file:
        np.save(file, sketch.numbers, allow_pickle=False)
    return sketch


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.txt")) if path.is_dir() else [path]


def _texts(paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        for file in _files(Path(path)):
            for document in read_documents([file]):
                yield document.text
