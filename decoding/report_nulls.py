"""The report's part on the null battery: the decoder beside every null, as figure and as table."""

from __future__ import annotations

from collections.abc import Sequence

from ..page_figure import svg
from ..page_html import Markup, details, element, head_row, image, joined, panels, row, scrolled
from ..page_text import MINUS, interval, number, probability
from .figures import Estimate, estimates
from .null_battery import ALONE_AS_NOISE, NOISE, NULL_SYSTEMS, OTHER, REVERSED, SHIFTED, UNTRAINED
from .null_verdict import chance_sentence, noise_and_alone, noise_sentence, noise_warning
from .report_input import Comparison, NullScore, RunRecord, Score
from .report_labels import direction, label
from .report_tables import comparison_table, in_order
from .results import ALONE, DECODER

SHOWN = (
    "latent_top1",
    "latent_rate_matched_top1",
    "likelihood_top1",
    "likelihood_rate_matched_top1",
    "text_top1",
    "text_rate_matched_top1",
    "cer",
    "semantic",
)
SHORT = {
    ALONE: "language model",
    ALONE_AS_NOISE: "l. m. as noise",
    REVERSED: "reversed in time",
    OTHER: "another's brain",
}
HEADS = ("Value", "95% interval", "p permuted", "Decoder", f"Decoder {MINUS} null", "95% interval", "p paired")
MEANING = (
    f"Every null runs free through the same path as the recording: encode, text rate, write, score. {NOISE}: the "
    "recording with random phases, so with its spectra and covariances; "
    f"{UNTRAINED}: weights drawn anew between responses and latent (of an encoding model: between text and responses); "
    f"{ALONE_AS_NOISE}: what a win of noise is held "
    f"against; {SHIFTED}: latents (or responses) moved in a circle against the story by at least 40 repetitions; "
    f"{OTHER}: somebody "
    "else's responses to the same story read as this person's. On a common grid that is no empty null: brains share "
    "what they hear, and it shows how much of the decoder is not this person's own."
)
P_VALUES = (
    "p permuted: of the null itself against the permuted pairing. p paired: two-sided, of the difference on the same "
    "windows, from flipping the sign of whole blocks. p draws: (1 + draws at least as good as the decoder) / (1 + "
    "draws), which no decoder can bring below 1 / (1 + draws). None is corrected for the number of scores."
)


def null_parts(record: RunRecord) -> list[Markup]:
    """Sentences, panels and table; empty where there is no null."""
    if not record.nulls:
        return []
    said = [noise_sentence(record.comparisons), chance_sentence(record.nulls)]
    warning = noise_warning(record.comparisons)
    parts = [element("p", element("strong", warning))] if warning else []
    parts.append(element("p", " ".join(sentence for sentence in said if sentence)))
    groups = list(dict.fromkeys((null.subject, null.quadrant) for null in record.nulls))
    shown = [(f"{subject} · {quadrant}", _panels(record, subject, quadrant)) for subject, quadrant in groups]
    # One person's figure stands open; those of many people would hide the rest of the page.
    parts += [details(name, figure, opened=index == 0) for index, (name, figure) in enumerate(shown)]
    noise = noise_and_alone(record.comparisons)
    beside = [details("Noise input against the language model alone", comparison_table(noise))] if noise else []
    return [*parts, _table(record), *beside]


def without_nulls(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Those of the decoder to its baselines: what is held against nulls has a table of its own."""
    return [one for one in comparisons if not {one.system_a, one.system_b} & {*NULL_SYSTEMS}]


def _panels(record: RunRecord, subject: str, quadrant: str) -> Markup:
    def here(rows: Sequence[Score]) -> list[Score]:
        return [one for one in rows if one.pooled and (one.subject, one.quadrant) == (subject, quadrant)]

    alone = [one for one in here(record.baselines) if one.system == ALONE]
    drawn = []
    for metric in SHOWN:
        own = [one for one in here(record.results) if one.metric == metric]
        beside = [one for one in [*alone, *here(record.nulls)] if one.metric == metric]
        if own and beside:
            rows = [_estimate(own[0], DECODER, 0), *(_estimate(one, one.system, 1) for one in beside)]
            spoken = "; ".join(f"{one.system} {number(one.value)}" for one in beside)
            alt = f"{label(metric)} of {subject}: {DECODER} {number(own[0].value)}; {spoken}"
            drawn.append(image(svg(estimates(rows, label(metric), [], note=direction(metric))), alt))
    caption = (
        f"<b>The decoder (blue) beside its nulls (orange).</b> Dots: values, for nulls the mean over their draws; "
        "lines: 95% intervals over stories or blocks of windows; grey: each system's own permuted pairing, mean ± "
        f"1.96 sd; dotted: chance. {MEANING}"
    )
    return panels(drawn, Markup(caption))


def _estimate(one: Score, name: str, group: int) -> Estimate:
    numbers = (one.value, one.ci_low, one.ci_high, one.null_mean, one.null_sd, one.chance)
    return Estimate(SHORT.get(name, name), *numbers, group=group)


def _table(record: RunRecord) -> Markup:
    """All pooled rows of all nulls, folded."""
    beside = {(one.subject, one.quadrant, one.metric, one.system_b): one for one in _of_decoder(record.comparisons)}
    systems = list(dict.fromkeys(null.system for null in record.nulls))
    ordered = [one for system in systems for one in in_order([null for null in record.nulls if null.system == system])]
    rows = [_row(null, beside.get((null.subject, null.quadrant, null.metric, null.system))) for null in ordered]
    heads = ("Null", "Subject", "Quadrant", "Score", *HEADS, "p draws", "Draws")
    table = element("table", head_row(heads, 4) + element("tbody", joined(rows)))
    caption = element("p", P_VALUES, kind="caption")
    return details(f"All scores of the nulls ({len(rows)} rows)", scrolled(table, "Nulls") + caption)


def _of_decoder(comparisons: Sequence[Comparison]) -> list[Comparison]:
    return [one for one in comparisons if one.system_a == DECODER]


def _row(null: Score, beside: Comparison | None) -> Markup:
    assert isinstance(null, NullScore)
    difference = ("", "", "") if beside is None else _compared(beside)
    cells = [null.system, null.subject, null.quadrant, label(null.metric), number(null.value)]
    cells += [interval(null.ci_low, null.ci_high), probability(null.p), number(null.decoder), *difference]
    return row([*cells, probability(null.p_draws), f"{null.n_draws:,}"], 4)


def _compared(one: Comparison) -> tuple[str, str, str]:
    return number(one.difference), interval(one.ci_low, one.ci_high), probability(one.p)
