"""What was heard and what was decoded, window by window, with the words that both share marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from ..page_html import Markup, element, escaped, joined
from ..page_text import DASH, clock
from .characters import fold

# The words that any text shares with any other; a match of these says little (the baseline "most frequent words").
N_FREQUENT = 12


def frequent_words(texts: Iterable[str]) -> frozenset[str]:
    """The twelve most frequent words of the true texts."""
    counts = Counter(word for text in texts for word in fold(text).split())
    return frozenset(sorted(counts, key=lambda word: (-counts[word], word))[:N_FREQUENT])


def timeline(
    texts: pd.DataFrame, frequent: Collection[str], ranks: Float[np.ndarray, " window"] | None = None
) -> Markup:
    """A table of the windows of one story.

    Parameters
    ----------
    texts
        Rows of `windows.tsv` of one subject and story, in order.
    frequent
        Words that are marked as common ones.
    ranks
        Rank of each window's own text by the latent, 1 best; None where it is not known.
    """
    alone = "alone" in texts and bool((texts["alone"] != "").any())
    shown = ranks if ranks is not None and len(ranks) == len(texts) else None
    optional = {"Language model alone": alone, "Rank": shown is not None}
    heads = ["Time", "Heard", "Decoded", *(name for name, there in optional.items() if there)]
    head = element("thead", element("tr", joined(element("th", name, scope="col") for name in heads)))
    rows = [
        _row(window, frequent, alone, None if shown is None else shown[index], len(texts))
        for index, window in enumerate(texts.to_dict("records"))
    ]
    return element("table", head + element("tbody", joined(rows)), kind="timeline")


def _row(window: Mapping[Hashable, Any], frequent: Collection[str], alone: bool, rank: float | None, n: int) -> Markup:
    true, decoded = window["true"], window["decoded"]
    cells = [
        element("th", clock(float(window["start"])), scope="row"),
        _cell("Heard", shared_words(true, decoded, frequent)),
        _cell("Decoded", shared_words(decoded, true, frequent)),
    ]
    if alone:
        cells.append(_cell("Language model alone", shared_words(window["alone"], true, frequent)))
    if rank is not None:
        cells.append(_cell("Rank", element("span", f"{rank:g} / {n}"), kind="number"))
    return element("tr", joined(cells))


def _cell(head: str, content: Markup, **attributes: str) -> Markup:
    return element("td", content, **{"data-head": head, **attributes})


def shared_words(text: str, other: str, frequent: Collection[str]) -> Markup:
    """The text with the words marked that the other text has too, each as often as the other has it at most."""
    left = Counter(fold(other).split())
    return Markup(" ".join(_marked(word, left, frequent) for word in text.split()) or DASH)


def _marked(word: str, left: Counter[str], frequent: Collection[str]) -> str:
    parts: Sequence[str] = fold(word).split()
    if not parts or any(left[part] < 1 for part in parts):
        return escaped(word)
    left.subtract(parts)
    return element("u" if all(part in frequent for part in parts) else "mark", word).html
