"""What an RSA allows to be said, in plain words, and what it does not; every number is one of the tables'."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from ..page_text import interval, listed, number, plural
from .power import FEW_CONDITIONS, FEW_SUBJECTS
from .rsa import Rsa
from .rsa_table import ALL, CHOSEN, PIXELS, RESOLUTION, RULE, TWIN

LEVEL = 0.05
SEEDS = 5  # below which a rule is hardly told from its seeds
MANY = 6  # rules that a sentence can name


def verdict(found: Rsa) -> list[tuple[str, list[str]]]:
    """Headings with sentences: each region, the effect of resolution, and what cannot be concluded."""
    rules = _main(found, found.rules)
    rules = rules[rules["is_choice"] & (rules["subject"] == ALL)]
    pairs = _main(found, found.comparisons)
    pairs = pairs[pairs["layer"] == CHOSEN] if len(pairs) else pairs
    regions = [(str(name), list(_region(name, rules, pairs))) for name in found.facts["regions"]]
    blocks = [
        *regions,
        ("resolution", list(_resolution(pairs))),
        ("what cannot be concluded", list(_limits(found, rules))),
    ]
    return [(heading, sentences) for heading, sentences in blocks if sentences]


def lead(found: Rsa) -> str:
    """What was compared with what."""
    rules = found.rules[found.rules["subject"] == ALL]
    trained = rules[~rules["baseline"]].drop_duplicates("label")
    others = rules[rules["baseline"]]["label"].nunique()
    people = [f"{name} ({plural(n, 'subject')})" for name, n in found.facts["regions"].items()]
    networks = "No trained network" if trained.empty else plural(len(trained), "rule")
    names = "" if trained.empty else f" ({listed(list(trained['label']))})"
    return (
        f"{networks}{names} and {plural(others, 'baseline')} were held against {listed(people)} over "
        f"{found.facts['n_conditions']} stimuli, by {found.config.measures[0]} with every single subject. "
        f"{_overall(found)}"
    ).rstrip()


def _overall(found: Rsa) -> str:
    """Counts over all regions of what stands below, and whether the rules can be ordered."""
    rules = _main(found, found.rules)
    judged = rules[rules["is_choice"] & (rules["subject"] == ALL) & ~rules["baseline"] & rules["own_resolution"]]
    pairs = _main(found, found.comparisons)
    if judged.empty or pairs.empty:
        return ""
    pairs = pairs[(pairs["layer"] == CHOSEN) & pairs["own_resolution"]]
    above = {kind: _count(pairs[pairs["kind"] == kind]) for kind in (TWIN, PIXELS)}
    between = pairs[pairs["kind"] == RULE]
    n_differ = int((between["p_fdr"] < LEVEL).sum())
    order = "so these data do not say which rule is nearest to the brain" if n_differ == 0 else "as said below"
    ranking = (
        f" Of {plural(len(between), 'pair')} of rules, in all regions together, {n_differ} differ, {order}."
        if len(between)
        else ""
    )
    return (
        f"Of {plural(len(judged), 'value')} (rule and region), {int((judged['p_fdr'] < LEVEL).sum())} exceed permuted "
        f"stimuli, {above[TWIN]} the untrained network, {above[PIXELS]} pixels (p_fdr < .05).{ranking}"
    )


def _count(rows: pd.DataFrame) -> int:
    return int(((rows["p_fdr"] < LEVEL) & (rows["difference"] > 0)).sum())


def _main(found: Rsa, rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["measure"] == found.config.measures[0]] if len(rows) else rows


def _region(name: str, rules: pd.DataFrame, pairs: pd.DataFrame) -> Iterator[str]:
    here = rules[rules["region"] == name]
    own = here[here["is_network"] & here["own_resolution"]]
    trained = own[~own["baseline"]]
    if len(trained):
        yield _above_zero(trained)
        yield from _ceiling(trained)
    elif (~rules["baseline"]).any():
        yield "With one subject no layer can be chosen without the subject that scores it, so no rule is judged here."
    if len(pairs):
        beside = pairs[(pairs["region"] == name) & pairs["own_resolution"]]
        for kind, against in ((TWIN, "its own untrained network"), (PIXELS, "pixels at the same resolution")):
            yield from _against(beside[beside["kind"] == kind], against)
        yield from _between_rules(beside[beside["kind"] == RULE])
    yield from _best_baseline(here, trained)


def _above_zero(rows: pd.DataFrame) -> str:
    yes, no = rows[rows["p_fdr"] < LEVEL], rows[~(rows["p_fdr"] < LEVEL)]
    if yes.empty:
        return f"No trained network is more similar to it than permuted stimuli allow ({_values(no)})."
    rest = "" if no.empty else f"; not so {_values(no)}"
    return f"More similar than permuted stimuli allow (p_fdr < .05): {_values(yes)}{rest}."


def _ceiling(rows: pd.DataFrame) -> Iterator[str]:
    low, high = rows["ceiling_low"].iloc[0], rows["ceiling_high"].iloc[0]
    if low != low:
        yield "One subject has no noise ceiling."
        return
    within, touching = rows[rows["value"] >= low], rows[(rows["value"] < low) & (rows["high"] >= low)]
    below = rows[rows["high"] < low]
    parts = [
        *([f"within it {_names(within)}"] if len(within) else []),
        *([f"below it, though their interval reaches it, {_names(touching)}"] if len(touching) else []),
        *([f"below it with the whole interval {_names(below)}"] if len(below) else []),
    ]
    yield f"Noise ceiling {interval(low, high)}: {'; '.join(parts)}."


def _names(rows: pd.DataFrame) -> str:
    return listed(list(rows["label"])) if len(rows) <= MANY else f"{len(rows)} rules"


def _against(rows: pd.DataFrame, against: str) -> Iterator[str]:
    if rows.empty:
        return
    told, excludes = rows["p_fdr"] < LEVEL, (rows["low"] > 0) | (rows["high"] < 0)
    kinds = {
        "more similar (p_fdr < .05)": told & (rows["difference"] > 0),
        "less similar (p_fdr < .05)": told & (rows["difference"] < 0),
        "with an interval without 0, but not after correction": ~told & excludes,
        "not distinguishable": ~told & ~excludes,
    }
    parts = [f"{kind}: {_differences(rows[which])}" for kind, which in kinds.items() if which.any()]
    yield f"Against {against}: {'; '.join(parts)}."


def _between_rules(rows: pd.DataFrame) -> Iterator[str]:
    if rows.empty:
        return
    told = rows[rows["p_fdr"] < LEVEL]
    if told.empty:
        yield f"Rules among each other: of {plural(len(rows), 'pair')} none differs (p_fdr < .05)."
        return
    ordered = [
        f"{row['a']} over {row['b']}" if row["difference"] > 0 else f"{row['b']} over {row['a']}"
        for row in told.to_dict("records")
    ]
    shown = listed(ordered[:6]) + (f" and {len(ordered) - 6} more" if len(ordered) > 6 else "")
    yield f"Rules among each other: of {plural(len(rows), 'pair')} {len(told)} differ (p_fdr < .05): {shown}."


def _best_baseline(here: pd.DataFrame, trained: pd.DataFrame) -> Iterator[str]:
    baselines = here[here["baseline"] & ~here["is_network"]]
    if baselines.empty:
        return
    best = baselines.sort_values("value").iloc[-1]
    said = f"The best baseline is {best['label']} with {_value(best)}"
    if len(trained) and best["value"] > trained["value"].max():
        said += ", above every trained network"
    yield f"{said}."


def _resolution(pairs: pd.DataFrame) -> Iterator[str]:
    rows = pairs[pairs["kind"] == RESOLUTION] if len(pairs) else pairs
    if rows.empty:
        return
    largest = rows.sort_values("difference", key=abs).iloc[-1]
    sizes = f"{largest['resolution']:g} less {largest['resolution_b']:g} px"
    yield (
        f"Shown at another resolution, {(rows['p_fdr'] < LEVEL).sum()} of {plural(len(rows), 'value')} of rules differ "
        f"from those at the network's own (p_fdr < .05). The largest difference is {_difference(largest)} "
        f"({largest['a']} in {largest['region']}, {sizes})."
    )


def _limits(found: Rsa, rules: pd.DataFrame) -> Iterator[str]:
    networks = rules[rules["is_network"] & ~rules["baseline"]].drop_duplicates("label")
    few = networks[networks["n_seeds"] < SEEDS]
    if len(few):
        counts = sorted({int(few["n_seeds"].min()), int(few["n_seeds"].max())})
        yield (
            f"{plural(len(few), 'rule has', 'rules have')} {' to '.join(map(str, counts))} "
            f"{'seed' if counts == [1] else 'seeds'}, fewer than {SEEDS}: a difference between rules may be one "
            "between their seeds."
        )
    for name, n in found.facts["regions"].items():
        if n == 1:
            yield f"{name} is one subject: its intervals are over stimuli only, and nothing is known of other subjects."
        elif n < FEW_SUBJECTS:
            yield f"{name} has {plural(n, 'subject')}: its interval and ceiling are unreliable."
    if found.facts["n_conditions"] < FEW_CONDITIONS:
        yield f"{found.facts['n_conditions']} stimuli give little power."
    if found.facts["left_out"]:
        yield f"Left out: {'; '.join(found.facts['left_out'])}."
    if len(networks):
        yield (
            "“Not distinguishable” is not “equal”: the intervals say which differences remain possible. All of it "
            "speaks of these networks, trained on these data, and of the layers that were read."
        )


def _values(rows: pd.DataFrame) -> str:
    return _each(rows.sort_values("value"), "label", _value)


def _differences(rows: pd.DataFrame) -> str:
    return _each(rows.sort_values("difference"), "a", _difference)


def _each(rows: pd.DataFrame, name: str, told: Callable[[pd.Series], str]) -> str:
    """The rows from the largest down; of many, the first and the last."""
    said = [f"{row[name]} {told(row)}" for _, row in rows.iloc[::-1].iterrows()]
    return listed(said) if len(said) <= MANY else f"{len(said)} rules, from {said[0]} to {said[-1]}"


def _value(row: pd.Series) -> str:
    return f"{number(row['value'])} [{interval(row['low'], row['high'])}]"


def _difference(row: pd.Series) -> str:
    return f"{number(row['difference'])} [{interval(row['low'], row['high'])}]"
