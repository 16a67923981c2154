"""The report's page: its sections in reading order, on one HTML page that asks for nothing from outside."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np
import pandas as pd
from jaxtyping import Float

from ..page_html import Markup, absent, definitions, details, document, element, joined, section
from ..page_text import free, plural
from . import report_figures as drawn
from .null_verdict import noise_sentence, noise_warning
from .report_input import OPTIONAL, RunRecord
from .report_nulls import null_parts, without_nulls
from .report_tables import baseline_table, comparison_table, story_table, summary_table
from .report_timeline import frequent_words, timeline
from .report_verdict import lead, verdict

# Texts beyond this many windows stay in windows.tsv, or the page would grow past what a browser scrolls well.
MANY_WINDOWS = 1000
PARTS = ("result", "over", "detail")  # of a check of the split


def page(record: RunRecord) -> str:
    """The whole page."""
    title = f"Decoding report: {record.study}"
    sections = [
        _header(record, title),
        _verdict(record),
        section("Scores", *_scores(record)),
        section("Scores against their null", drawn.score_panels(record)),
        section("The decoder beside its nulls", *(null_parts(record) or [_no_nulls(record)])),
        section("What was heard and what was decoded", *_texts(record)),
        section("Identification", _identification(record)),
        section("Responsive voxels", _maps(record)),
        section("Training", *_training(record)),
        section("How this was made", *_provenance(record)),
    ]
    return document(title, sections)


def _header(record: RunRecord, title: str) -> Markup:
    scored = {(row.subject, row.story) for row in record.results if not row.pooled}
    subjects, stories = {subject for subject, _ in scored}, {story for _, story in scored}
    trained = [len(record.split.get(part, [])) for part in ("train", "validation")]
    parts = [
        f"{plural(len(subjects), 'subject')} and {plural(len(stories), 'story', 'stories')} scored" if scored else "",
        f"trained on {plural(trained[0], 'recording')}, validated on {trained[1]}" if any(trained) else "",
        str(record.model.get("name", "")),
    ]
    line = " · ".join(part for part in parts if part)
    return element("header", element("h1", title) + element("p", line))


def _verdict(record: RunRecord) -> Markup:
    said = verdict(record.results, record.comparisons)
    if not said:
        return section("In short", absent("No pooled scores (story “all”), so there is no verdict."))
    opening = element("p", lead(record.results, record.comparisons))
    noise = [noise_warning(record.comparisons), noise_sentence(record.comparisons)]
    opening += joined([element("p", element("strong", noise[0]))] if noise[0] else []) + element("p", noise[1])
    blocks = [element("h3", quadrant) + element("p", sentences) for quadrant, sentences in said]
    return element("section", element("h2", "In short") + opening + joined(blocks), kind="verdict")


def _scores(record: RunRecord) -> list[Markup]:
    parts = [summary_table(record)]
    if record.notes:
        parts.append(element("p", " ".join(record.notes), kind="caption"))
    parts.append(story_table(record))
    parts.append(baseline_table(record) if record.baselines else _no(record, "baselines.json"))
    if beside := without_nulls(record.comparisons):
        parts += [element("h3", "Paired differences"), comparison_table(beside)]
    if record.facts:
        pairs = [(str(fact.get("name", "")), _fact(fact.get("value"), fact.get("detail"))) for fact in record.facts]
        parts += [element("h3", "Further figures"), definitions(pairs)]
    return parts


def _fact(value: object, detail: object) -> str:
    return f"{free(value)} ({detail})" if detail else free(value)


def _texts(record: RunRecord) -> list[Markup]:
    key = drawn.shown_story(record)
    if key is None or not len(record.texts):
        return [_no(record, "windows.tsv")]
    frequent = frequent_words(record.texts["true"])
    stories = {(str(who), str(what)): rows for (who, what), rows in record.texts.groupby(["subject", "story"])}
    key = key if key in stories else next(iter(stories))
    ranks = {name: drawn.ranks(matrix) for name, matrix in record.similarities.items()}
    median = (
        f"the median recording by identification from the {record.identified_by}"
        if key in ranks
        else "the first recording"
    )
    caption = (
        f"“{key[1]}”, heard by {key[0]}: {median}. Every row is one window; the text was decoded without seeing any of "
        "the true text. Words that a column shares with what was heard are marked: in blue, or dotted where they are "
        f"among the twelve most frequent words ({', '.join(sorted(frequent))}), which any two texts share."
    )
    if key in ranks:
        caption += f" Rank: place of the window's own text by the {record.identified_by}."
    parts = [_reading(timeline(stories[key], frequent, ranks.get(key))), element("p", caption, kind="caption")]
    return parts + _other_texts({name: rows for name, rows in stories.items() if name != key}, frequent, ranks)


def _other_texts(
    stories: Mapping[drawn.Key, pd.DataFrame],
    frequent: frozenset[str],
    ranks: Mapping[drawn.Key, Float[np.ndarray, " window"]],
) -> list[Markup]:
    """The other recordings, folded by subject, as far as a page can carry them."""
    by_subject: dict[str, list[Markup]] = {}
    written = 0
    for (subject, story), rows in stories.items():
        written += len(rows)
        if written > MANY_WINDOWS:
            break
        table = _reading(timeline(rows, frequent, ranks.get((subject, story))))
        by_subject.setdefault(subject, []).append(details(f"“{story}” ({plural(len(rows), 'window')})", table))
    folded = [
        details(f"{plural(len(tables), 'other story', 'other stories')} heard by {subject}", joined(tables))
        for subject, tables in by_subject.items()
    ]
    rest = [absent("The texts of further recordings are in windows.tsv.")] if written > MANY_WINDOWS else []
    return folded + rest


def _reading(table: Markup) -> Markup:
    return element(
        "div", table, kind="reading", tabindex="0", role="region", **{"aria-label": "Heard and decoded text"}
    )


def _identification(record: RunRecord) -> Markup:
    key = drawn.shown_story(record)
    if key is None or key not in record.similarities:
        return _no(record, "identification.npz")
    return drawn.identification_panels(record, key)


def _maps(record: RunRecord) -> Markup:
    if record.voxel_map is None:
        return _no(record, "voxel_map.nii.gz")
    return drawn.map_panels(record.voxel_map, record.truth_map)


def _training(record: RunRecord) -> list[Markup]:
    parts = [
        drawn.learning_panels(record.log, "Encoder and decoder"),
        drawn.rate_distortion_panels(record.log),
        drawn.learning_panels(record.language_log, "Language model before it met the brain", "nats per character"),
    ]
    missing = [_no(record, name) for name in ("logs/csv", "language_model/logs/csv") if name in record.missing]
    return [part for part in parts if part.html] + missing


def _provenance(record: RunRecord) -> list[Markup]:
    versions = {name: value for name, value in record.versions.items() if name != "command"}
    command = str(record.versions.get("command", ""))
    split = "\n".join(
        f"{part}: " + ", ".join("/".join(map(str, pair)) for pair in record.split.get(part, []))
        for part in ("train", "validation", "test")
    )
    parts = [
        Markup(f'<pre class="wrapped">{escape(command)}</pre>') if command else absent("The command was not recorded."),
        definitions([(str(name), free(value)) for name, value in versions.items()])
        if versions
        else _no(record, "versions.json"),
        details("Model", definitions([(str(name), free(value)) for name, value in record.model.items()]))
        if record.model
        else _no(record, "model.json"),
        _audit(record),
        details("Split", element("pre", split, kind="wrapped")) if record.split else _no(record, "split.json"),
        details("Configuration", element("pre", record.config)) if record.config else _no(record, "config.yaml"),
    ]
    return parts


def _audit(record: RunRecord) -> Markup:
    """What the audit of the split checked, and how it is signed."""
    found = record.audit
    if not found:
        return _no(record, "split_audit.json")
    result = "no leak found" if found.get("clean") else "LEAKS FOUND"
    signed = [free(found.get(part, "")) for part in ("stage", "date", "sha256")]
    checks = [check for check in found.get("checks", []) if isinstance(check, dict)]
    rows = [
        (str(check.get("name", "")), free(" · ".join(filter(None, (str(check.get(part, "")) for part in PARTS)))))
        for check in checks
    ]
    return details(f"Audit of the split: {result}", element("p", " · ".join((result, *signed))) + definitions(rows))


def _no_nulls(record: RunRecord) -> Markup:
    command = f"plasticode evaluate {record.folder} --root DIR --nulls all"
    return joined([_no(record, "nulls.json"), absent(f"Make it with: {command}")])


def _no(record: RunRecord, name: str) -> Markup:
    reason = f"there is no {name} in the run" if name in record.missing else f"{name} is empty"
    return absent(f"Not shown: {OPTIONAL[name]} ({reason}).")
