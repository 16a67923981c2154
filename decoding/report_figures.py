"""Which figures a run gives, each with its alternative text and a caption: what is seen, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float

from ..datasets.brain_map import BrainMap
from ..page_figure import png, svg
from ..page_html import Markup, absent, element, image, joined, panels
from ..page_text import number, plural
from .figures import (
    GROUPS,
    Estimate,
    estimates,
    glass_brain,
    identification_matrix,
    learning_curve,
    rank_histogram,
    rate_distortion,
)
from .identification import percentile_pairs
from .report_input import RunRecord, Score
from .report_labels import INTERVAL, LOG_LABELS, NULL, direction, label
from .report_tables import in_order, systems
from .report_verdict import quadrants

# A panel with more rows is smaller as pixels than as outlines.
MANY_ROWS = 12
Key = tuple[str, str]
MARK_NAMES = ("◇", "□", "△", "▽", "✚", "✖", "☆", "⬠")
RATES = {"rate_latent": "rate of the latent (nats)", "rate_voxels": "rate of the voxel gates (nats)"}


def ranks(similarity: Float[np.ndarray, "window candidate"]) -> Float[np.ndarray, " window"]:
    """Rank of the right window in each row, 1 best, ties at their mean rank (see `identification`)."""
    beaten = np.diagonal(percentile_pairs(similarity.astype(np.float64)))
    return 1 + (1 - beaten) * (len(similarity) - 1)


def shown_story(record: RunRecord) -> Key | None:
    """The story shown in full: the median one by identification, so neither the best nor the worst."""
    if record.similarities:
        quality = {
            key: float(np.diagonal(percentile_pairs(matrix)).mean()) for key, matrix in record.similarities.items()
        }
        return sorted(quality, key=lambda key: (quality[key], key))[(len(quality) - 1) // 2]
    if len(record.texts):
        return str(record.texts["subject"].iloc[0]), str(record.texts["story"].iloc[0])
    return None


def score_panels(record: RunRecord) -> Markup:
    """One panel per metric: values with intervals, nulls, chance and baselines."""
    pooled, others = [[row for row in rows if row.pooled] for rows in (record.results, record.baselines)]
    order, names = quadrants(pooled), systems(others)
    if not pooled:
        return absent("No pooled scores (story “all”) in results.json, so there is nothing to draw here.")
    metrics = list(dict.fromkeys(row.metric for row in in_order(pooled)))
    drawn = []
    for metric in metrics:
        rows = sorted((row for row in pooled if row.metric == metric), key=lambda row: order.index(row.quadrant))
        figure = estimates(
            [_estimate(row, others, order) for row in rows], label(metric), names, note=direction(metric)
        )
        alt = f"{label(metric)}: {'; '.join(_spoken(row) for row in rows)}"
        drawn.append(image((png if len(rows) > MANY_ROWS else svg)(figure), alt))
    legend = element("p", joined([*_group_keys(order), *_mark_keys(names)]), kind="legend")
    caption = f"<b>Pooled scores against chance.</b> Dots: values, coloured lines: 95% intervals. {INTERVAL} {NULL}"
    return legend + panels(drawn, Markup(caption))


def learning_panels(log: pd.DataFrame, title: str, prefix: str = "") -> Markup:
    """Training and validation values of every logged loss, over steps."""
    names = [name.partition("/")[2] for name in log.columns if name.partition("/")[0] in ("train", "validation")]
    wanted = [name for name in LOG_LABELS if name in names and not (name == "loss" and "character" in names)]
    drawn = []
    for name in wanted:
        curves = {
            part: _points(log, f"{key}/{name}") for part, key in (("training", "train"), ("validation", "validation"))
        }
        present = {part: points for part, points in curves.items() if len(points)}
        ylabel = prefix or LOG_LABELS[name]
        ends = "; ".join(f"{part} ends at {number(points[-1, 1])}" for part, points in present.items())
        if present:
            drawn.append(image(svg(learning_curve(present, ylabel)), f"{title}, {ylabel} over steps: {ends}"))
    if not drawn:
        return Markup("")
    caption = (
        f"<b>{title}.</b> Raw logged values: training (blue) and held-out validation stories (orange). Cross-entropy "
        "is measured with the true preceding text given, so it says nothing about free-running decoding."
    )
    return panels(drawn, Markup(caption))


def rate_distortion_panels(log: pd.DataFrame) -> Markup:
    """The path of training through rate and distortion, one panel per bottleneck."""
    drawn = []
    for name, xlabel in RATES.items():
        columns = ["step", f"train/{name}", "train/character"]
        if not set(columns) <= set(log.columns):
            continue
        colour = "train/beta" if _varies(log, "train/beta") else "step"
        points = log.dropna(subset=list({*columns, colour}))
        if points.empty:
            continue
        rate, distortion, shade = (points[column].to_numpy(float) for column in (*columns[1:], colour))
        figure = rate_distortion(
            rate, distortion, shade, xlabel, "distortion (nats per character)", "β" if colour != "step" else "step"
        )
        spoken = f"training ends at {number(rate[-1], 2)} nats and {number(distortion[-1])} nats per character"
        drawn.append(image(svg(figure), f"Distortion against {xlabel}: {spoken}"))
    caption = (
        "<b>Rate and distortion during training.</b> Every point is one logged training step: what the bottleneck lets "
        "through (rate) against what the character decoder then still gets wrong (distortion, cross-entropy with the "
        "true text given so far). Further down and to the left is better; the ring marks the last step."
    )
    return panels(drawn, Markup(caption)) if drawn else Markup("")


def map_panels(voxel_map: BrainMap, truth: BrainMap | None) -> Markup:
    """The map of responsive voxels on a glass brain, beside the planted truth where there is one."""
    shown = {"Learned: rate (nats per voxel)": voxel_map}
    if truth is not None:
        shown["Planted truth"] = truth
    drawn = []
    for name, brain in shown.items():
        placed = brain if brain.looks_like_mni else brain.centred()
        alt = f"{name} on a glass brain; largest value {number(float(brain.volume.max()))}"
        figure = glass_brain(placed.image(), colourbar=brain is voxel_map)
        title = element("p", name, kind="paneltitle")
        drawn.append(element("div", title + image(png(figure), alt)))
    n_voxels = int((voxel_map.volume > 0).sum())
    caption = (
        f"<b>Voxel map.</b> Rate of the voxel bottleneck, {n_voxels:,} voxels above 0, as the largest value along each "
        "line of sight (left, front, right, above); darker is more. Nothing is thresholded."
    )
    if not all(brain.looks_like_mni for brain in shown.values()):
        caption += (
            " <b>The image does not lie in MNI space:</b> it was moved to the middle of the outline, which only shows "
            "the scale; do not read anatomy from it."
        )
    return panels(drawn, Markup(caption))


def identification_panels(record: RunRecord, key: Key) -> Markup:
    """The similarity matrix of one story and, over all stories, the ranks of the right windows per quadrant."""
    similarity, whole = record.similarities[key], record.similarities
    best = similarity.argmax(axis=1).astype(float)
    right = best == np.arange(len(similarity))
    read, shown = ("latent", similarity), ("similarity", "latent")
    if record.identified_by == "likelihood":  # windows differ in how likely any text is: only differences tell
        spread = np.maximum(similarity.std(axis=1, keepdims=True), 1e-9)
        read = ("window", (similarity - similarity.mean(axis=1, keepdims=True)) / spread)
        shown = ("log likelihood, z of each row", "responses")
    figure = identification_matrix(read[1], right, best, *shown)
    alt = f"{shown[0]} of {len(right)} windows and texts; {int(right.sum())} best guesses on the diagonal"
    drawn = [image(svg(figure), alt), *_rank_images(whole, _quadrant_of(record.results))]
    subject, story = (element("span", part).html for part in key)
    caption = (
        f"<b>Identification.</b> Grey: {shown[0]}, of each {read[0]} (row) and each text (column) for “{story}” heard "
        f"by {subject}, the median of {plural(len(whole), 'recording')} by mean percentile; {int(right.sum())} of "
        f"{len(right)} best guesses (circles) are right, that is, on the diagonal; chance is 1. Bars: the rank of the "
        f"right window over all {sum(map(len, whole.values())):,} scored windows, beside the count that "
        "chance would give."
    )
    return panels(drawn, Markup(caption))


def _rank_images(similarities: Mapping[Key, np.ndarray], quadrant_of: Mapping[Key, str]) -> list[Markup]:
    order, drawn = [*dict.fromkeys(quadrant_of.values()), ""], []
    for name in order:
        matrices = [matrix for key, matrix in similarities.items() if quadrant_of.get(key, "") == name]
        if not matrices:
            continue
        places = np.arange(1, max(map(len, matrices)) + 1)
        counts = np.bincount(np.rint(np.concatenate([ranks(matrix) for matrix in matrices])).astype(int))[1:]
        counts = np.pad(counts, (0, len(places) - len(counts))).astype(float)
        chance = np.sum([places <= len(matrix) for matrix in matrices], axis=0).astype(float)
        alt = f"Ranks of the right window, {name or 'all windows'}: {int(counts[0])} of {int(counts.sum())} first"
        drawn.append(image(svg(rank_histogram(counts, chance, name, order.index(name))), alt))
    return drawn


def _quadrant_of(results: list[Score]) -> dict[Key, str]:
    """Quadrant of each recording, in the order of the table."""
    return {(row.subject, row.story): row.quadrant for row in results if not row.pooled}


def _varies(log: pd.DataFrame, column: str) -> bool:
    return column in log and bool(log[column].min() < log[column].max())


def _points(log: pd.DataFrame, column: str) -> Float[np.ndarray, "point 2"]:
    if column not in log:
        return np.zeros((0, 2))
    return log[["step", column]].dropna().to_numpy(float)


def _estimate(row: Score, others: list[Score], order: list[str]) -> Estimate:
    place = (row.subject, row.quadrant, row.metric)
    beside = {other.system: other.value for other in others if (other.subject, other.quadrant, other.metric) == place}
    numbers = (row.value, row.ci_low, row.ci_high, row.null_mean, row.null_sd, row.chance)
    return Estimate(row.subject, *numbers, group=order.index(row.quadrant), baselines=beside)


def _spoken(row: Score) -> str:
    return f"{row.subject} ({row.quadrant}) {number(row.value)}, null {number(row.null_mean)}"


def _group_keys(order: list[str]) -> list[Markup]:
    return [
        Markup(f'<span><i style="color:{GROUPS[index % len(GROUPS)]}">●</i> {element("span", name).html}</span>')
        for index, name in enumerate(order)
    ]


def _mark_keys(names: list[str]) -> list[Markup]:
    fixed = [("▬", "null mean ± 1.96 sd", "bar"), ("┊", "chance", "mark")]
    marks = [(MARK_NAMES[index % len(MARK_NAMES)], name, "mark") for index, name in enumerate(names)]
    return [
        element("span", element("i", mark, kind=kind) + Markup(" ") + element("span", name))
        for mark, name, kind in fixed + marks
    ]
