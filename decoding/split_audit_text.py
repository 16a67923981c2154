"""Scored text that training or the choice of the checkpoint saw: copies, edited copies, stories under other names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from ..datasets.study import Run
from ..datasets.windows import WindowShape
from .split_audit_findings import Check, Finding
from .split_audit_overlap import LENGTH, VERBATIM, Library, Overlap, WindowedText, threshold
from .split_audit_shingles import words_of

WHOLE = 0.9  # share from which a window is a copy, word for word
STORY = 0.5  # share of a story's windows in one other story from which they are the same story


def text_check(training: Sequence[Run], scored: Sequence[Run], shape: WindowShape) -> Check:
    """Every scored window against every training story, by runs of 5 words."""
    known = _by_text(training)
    texts = {story: WindowedText.of(run, shape) for story, run in known.items()}
    # Whole: training draws its windows at any phase, so the words after the last whole window were seen too.
    library = Library({story: words_of(" ".join(w.text for w in run.words)) for story, run in known.items()})
    limit, findings, judged, largest = threshold(library, texts), list[Finding](), 0, 0.0
    for run in _by_text(scored).values():
        text = WindowedText.of(run, shape)
        overlap = library.overlap(text)
        shares = overlap.share[~np.isnan(overlap.share)]
        judged, largest = judged + len(shares), max([largest, *shares.tolist()])
        findings += _of_run(run, text, overlap, limit)
        findings += _verbatim(run, text, library, overlap.share >= limit)
    over = f"{judged} scored windows x {len(texts)} training stories"
    detail = f"runs of {LENGTH} words in one passage; largest share {largest:.2f}, a leak from {limit:g}"
    return Check.judged("shared text", over, findings, detail)


def _of_run(run: Run, text: WindowedText, overlap: Overlap, limit: float) -> list[Finding]:
    with np.errstate(invalid="ignore"):
        leaking = np.flatnonzero(overlap.share >= limit)
    sources = Counter(overlap.story[i] for i in leaking)
    judged = int((~np.isnan(overlap.share)).sum())
    whole = [
        Finding.of("story under another name", run, f"{n} of {judged} windows are those of {story}")
        for story, n in sources.items()
        if n >= STORY * judged and n > 1 and story != run.story
    ]
    return whole + [
        Finding.of(
            "duplicate text" if overlap.share[i] >= WHOLE else "near-duplicate text",
            run,
            f"{overlap.share[i]:.0%} of its {LENGTH}-word runs stand in a passage of {overlap.story[i]}",
            text.onset(int(i)),
        )
        for i in leaking
    ]


def _verbatim(run: Run, text: WindowedText, library: Library, told: Bool[np.ndarray, " window"]) -> list[Finding]:
    """Windows in which a long copied stretch begins, beside those that were told of already."""
    begins = np.unique(text.window[: max(0, len(text.words) - VERBATIM + 1)][library.holds(text.words)])
    detail = f"{VERBATIM} words in a row stand in a story that was trained on"
    return [Finding.of("duplicate text", run, detail, text.onset(int(i))) for i in begins if not told[i]]


def _by_text(runs: Sequence[Run]) -> dict[str, Run]:
    """One run of every text, named by story, and by its key where a story has several texts."""
    found: dict[str, Run] = {}
    seen: set[tuple[str, ...]] = set()
    for run in runs:
        words = (run.story, *(word.text for word in run.words))
        if words not in seen:
            seen.add(words)
            found[run.key if run.story in found else run.story] = run
    return found
