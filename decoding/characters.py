"""The alphabet of the character decoder, taken from data, and the one way in which text is folded."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Int
from torch import Tensor


class _Folding(dict[int, str]):
    """Code point to what it becomes, worked out at the first meeting: `str.translate` then runs at C speed."""

    def __missing__(self, point: int) -> str:
        symbol = chr(point)
        category = unicodedata.category(symbol)
        if symbol in "'\u2018\u2019\u02bc`":
            self[point] = "'"
        elif category == "Cf":  # soft hyphens and joiners stand inside words
            self[point] = ""
        else:
            self[point] = symbol if category[0] in "LMN" else " "
        return self[point]


_FOLDING = _Folding()

# Han, kana, Thai, Lao, Myanmar and Khmer: the scripts of large languages that put no blank between words.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_BLANK_BETWEEN = re.compile(f"(?<=[{UNSPACED}]) +(?=[{UNSPACED}])")
_ENDS_UNSPACED = re.compile(f"[{UNSPACED}]$")


def fold(text: str) -> str:
    """Lower case; letters, marks and digits of every script and the apostrophe stay, the rest parts words.

    Idempotent. English keeps a-z, 0-9 and '; Chinese, accented and cursive scripts keep their characters. Both what is
    decoded and what was heard pass through here, so that no score depends on punctuation or case.
    """
    folded = unicodedata.normalize("NFKC", text).lower().translate(_FOLDING)
    # Lower case can undo the composition ("İ"), and what stood around a joiner can now be composed.
    return " ".join(word for word in unicodedata.normalize("NFKC", folded).split() if word.strip("'"))


def closed(text: str) -> str:
    """The text as its script writes it: without the blanks that part words where the script has none.

    A study's words come one by one, so "今天 很 好" is the text that is learned; it is read and scored as "今天很好".
    """
    return _BLANK_BETWEEN.sub("", text)


def ends_unspaced(text: str) -> bool:
    """Whether the last character is of a script without blanks, where every character is whole by itself."""
    return _ENDS_UNSPACED.search(text) is not None


def mostly_unspaced(texts: Iterable[str]) -> bool:
    """Whether most of what blanks part in these texts is of a script without blanks."""
    ends = [ends_unspaced(part) for text in texts for part in fold(text).split()]
    return 2 * sum(ends) > len(ends)


def words_are_parted(texts: Iterable[str], longest: float = 4.0) -> bool:
    """Whether blanks part words in these texts, so that words can be counted and compared.

    False where the stretches of a script without blanks are longer than words, `longest` characters on average (a
    Mandarin word has 1 to 2): then a blank parts clauses, and only characters can be scored.
    """
    parts = [part for text in texts for part in fold(text).split() if ends_unspaced(part)]
    return sum(map(len, parts)) <= longest * len(parts)


class Characters:
    """Characters to integers and back. Id 0 begins a text and pads a batch; symbol i of `symbols` has id i + 1.

    Parameters
    ----------
    symbols
        The distinct characters, the space among them.
    """

    BEGIN = 0

    def __init__(self, symbols: str) -> None:
        if len(set(symbols)) != len(symbols):
            raise ValueError(f"symbols repeat in {symbols!r}")
        self.symbols = symbols
        self._ids = {symbol: i + 1 for i, symbol in enumerate(symbols)}

    @classmethod
    def of(cls, texts: Iterable[str], share: float = 1e-6) -> Characters:
        """The characters that make up at least `share` of the folded texts, and the space."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(fold(text))
        enough = share * sum(counts.values())
        return cls("".join(sorted({symbol for symbol, n in counts.items() if n >= enough} | {" "})))

    def __len__(self) -> int:
        """Number of ids, the beginning included."""
        return len(self.symbols) + 1

    @property
    def space(self) -> int:
        return self._ids[" "]

    def encode(self, text: str) -> list[int]:
        """Ids of the folded text; characters outside the alphabet are left out."""
        return [self._ids[c] for c in fold(text) if c in self._ids]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids; the beginning and the padding write nothing."""
        return "".join(self.symbols[i - 1] for i in ids if i != self.BEGIN)


def padded(texts: Sequence[Sequence[int]], multiple: int = 1) -> Int[Tensor, "batch character"]:
    """Ids as one rectangle, the short ones filled with `Characters.BEGIN`, its width a multiple of `multiple`."""
    width = -(-max(map(len, texts), default=0) // multiple) * multiple
    ids = torch.full((len(texts), width), Characters.BEGIN, dtype=torch.long)
    for row, text in zip(ids, texts, strict=True):
        row[: len(text)] = torch.tensor(list(text), dtype=torch.long)
    return ids
