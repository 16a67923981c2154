"""A small, strict reader of Praat TextGrid files, long and short.

Both forms hold the same sequence of free-standing strings, numbers and flags; the long form only adds labels, which
Praat itself ignores (Praat manual, "TextGrid file formats"). So one tokeniser serves both.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import BrokenData, MissingData

ROUNDING = 1e-3  # s; aligners that write few decimals let neighbours overlap by less
TOKEN = re.compile(
    r"""
      !.*$                                                    # a comment, to the end of its line
    | "(?P<string>(?:[^"]|"")*)"                              # a doubled quote stands for a quote
    | (?P<flag><exists>|<absent>)
    | (?<!\S)(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?!\S)
    """,
    re.VERBOSE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Interval:
    """A labelled stretch of time in s; a point has `start == end`."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Tier:
    """What one annotator marked: intervals that follow each other, or points."""

    name: str
    intervals: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class TextGrid:
    """Tiers of intervals or points between `start` and `end`, in s."""

    path: Path
    start: float
    end: float
    tiers: tuple[Tier, ...]

    def tier(self, *names: str) -> Tier:
        """The first tier with one of the names, in any case. Raises `MissingData` listing the tiers there are."""
        wanted = {name.casefold() for name in names}
        for tier in self.tiers:
            if tier.name.strip().casefold() in wanted:
                return tier
        raise MissingData(
            f"no tier named {' or '.join(names)}",
            self.path,
            f"Its tiers are: {', '.join(tier.name for tier in self.tiers) or 'none'}.",
        )


def read_textgrid(path: Path) -> TextGrid:
    """Read a long or short TextGrid. Raises `BrokenData` where the file departs from the format."""
    return _Reader(path).textgrid()


class _Reader:
    """Takes the tokens one by one, each checked for the kind that the format puts there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tokens: Iterator[re.Match[str]] = (
            match for match in TOKEN.finditer(self._text()) if match.lastgroup is not None
        )

    def textgrid(self) -> TextGrid:
        form, kind = self._string("file type"), self._string("object class")
        if form not in ("ooTextFile", "ooTextFile short") or kind != "TextGrid":  # short: so wrote old Praats
            raise self._broken('the file does not begin with "ooTextFile" and "TextGrid"')
        start, end = self._stretch("the grid")
        has_tiers = self._take("flag", "the tiers flag") == "<exists>"
        tiers = tuple(self._tier() for _ in range(self._count("tiers"))) if has_tiers else ()
        if next(self._tokens, None) is not None:
            raise self._broken("there is more after the last tier")
        return TextGrid(self._path, start, end, tiers)

    def _tier(self) -> Tier:
        kind, name = self._string("tier class"), self._string("tier name")
        if kind not in ("IntervalTier", "TextTier"):
            raise self._broken(f"tier {name!r} is of the unknown class {kind!r}")
        self._stretch(f"tier {name!r}")
        read = self._interval if kind == "IntervalTier" else self._point
        intervals = tuple(read() for _ in range(self._count(f"entries of tier {name!r}")))
        if any(later.start < earlier.end - ROUNDING for earlier, later in itertools.pairwise(intervals)):
            raise self._broken(f"the entries of tier {name!r} overlap or are out of order")
        return Tier(name, intervals)

    def _interval(self) -> Interval:
        return Interval(*self._stretch("an interval"), self._string("interval text"))

    def _point(self) -> Interval:
        time = self._number("point time")
        return Interval(time, time, self._string("point mark"))

    def _stretch(self, of: str) -> tuple[float, float]:
        start, end = self._number(f"start of {of}"), self._number(f"end of {of}")
        if end < start:
            raise self._broken(f"{of} ends at {end} s before it starts at {start} s")
        return start, end

    def _count(self, of: str) -> int:
        value = self._number(f"number of {of}")
        if not value.is_integer() or value < 0:
            raise self._broken(f"the number of {of} is {value}")
        return int(value)

    def _number(self, of: str) -> float:
        value = float(self._take("number", of))
        if not math.isfinite(value):
            raise self._broken(f"the {of} is not finite")
        return value

    def _string(self, of: str) -> str:
        return self._take("string", of).replace('""', '"')

    def _take(self, kind: str, of: str) -> str:
        token = next(self._tokens, None)
        if token is None:
            raise self._broken(f"the file ends where the {of} should be")
        if token.lastgroup != kind:
            line = token.string.count("\n", 0, token.start()) + 1
            raise self._broken(f"line {line} holds {token.group()!r} where the {of} should be")
        return token.group(kind)

    def _text(self) -> str:
        """Praat writes UTF-8 or UTF-16 with a byte order mark."""
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            raise MissingData("no TextGrid", self._path, "Check the path.") from None
        encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            raise self._broken("the file is neither UTF-8 nor UTF-16") from None

    def _broken(self, what: str) -> BrokenData:
        return BrokenData(what, self._path, "Save it from Praat as a (short) text file, or fetch it again.")
