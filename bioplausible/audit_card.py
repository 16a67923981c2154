"""The audit in words: a card for one rule, and a table of all."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from .audit import Audit, LayerReading, audit_rule
from .rule import LearningRule
from .rules.backprop import Backprop
from .zoo import SMALL, rule_classes

CRITERIA = {
    "C1": "backward weights of its own (no weight transport)",
    "C2": "hidden layers' updates read nothing of the layers above",
    "C3": "one phase",
    "C4": "spiking",
    "C5": "no signed error reaches hidden layers",
}


def print_card(audit: Audit, reference: Audit, console: Console) -> None:
    """What one update was seen to read and do, beside backprop's on the same network."""
    facts = audit.facts
    console.print(f"[bold]{facts.name}[/bold] on {audit.network}   {facts.paper}", highlight=False)
    console.print(_table_of_layers(audit))
    passes = [audit.log.count("forward", i) for i in range(len(audit.layers))]
    returns = sum(event.kind == "pull_back" and event.to_input for event in audit.log.events)
    lines = [
        f"phases: {audit.phases} sweeps; passes of synapses by layer {passes}; errors brought down {returns} layer(s)",
        f"update locking: {'lower layers wait for those above' if audit.locked else 'none'}",
        f"gradients across layer boundaries by autograd: {audit.crossings or 'none'}",
        f"signed errors sent to hidden layers: {_signed(audit)}",
        f"operations: {_beside(audit.flops, reference.flops)}; by arithmetic: {facts.cost}",
        f"bytes stored for later: {_beside(audit.stored_bytes, reference.stored_bytes)}",
    ]
    if facts.equals_backprop:
        lines.append("labelled: its update is backprop's")
    console.print("\n".join(lines), highlight=False)
    console.print(_table_of_criteria(audit))


def _table_of_layers(audit: Audit) -> Table:
    table = Table("layer", "grade", "other layers' forward weights", "own weights", "weights above", "target", "batch")
    for number, layer in enumerate(audit.layers, 1):
        table.add_row(
            str(number) if number < len(audit.layers) else f"{number} (readout)",
            layer.grade,
            _transport(layer),
            _yes(layer.own_weights),
            _numbers(layer.above) or "-",
            "a scalar" if layer.scalar_target else _yes(layer.target),
            _yes(layer.other_samples),
        )
    return table


def _numbers(layers: Iterable[int]) -> str:
    """Layers as the card counts them, from 1."""
    return ", ".join(str(i + 1) for i in layers)


def _transport(layer: LayerReading) -> str:
    if not layer.transported:
        return "-"
    return f"{_numbers(layer.transported)}{' (signs only)' if layer.signs_only else ''}"


def _table_of_criteria(audit: Audit) -> Table:
    table = Table("criterion", "", "measured", "published", "")
    for name, words in CRITERIA.items():
        held, published = name in audit.criteria, audit.facts.published
        said = "-" if published is None else _yes(name in published)
        differs = published is not None and held != (name in published)
        table.add_row(name, words, _yes(held), said, "differs" if differs else "")
    return table


def _signed(audit: Audit) -> str:
    signed = [
        str(i) for i, (low, high) in sorted(audit.log.errors.items()) if low < 0 < high and i < len(audit.layers) - 1
    ]
    if signed:
        return f"layers {', '.join(signed)}"
    return "a signed scalar" if any(layer.scalar_target for layer in audit.hidden) else "none"


def _beside(value: int, reference: int) -> str:
    return f"{value:,} ({value / max(reference, 1):.2f} of backprop's)"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def print_rules(console: Console) -> None:
    """rule x architecture x criteria x cost; below it the reason for every "no"."""
    table = Table("rule", "family", *SMALL, "measured", "published", "cost (arithmetic)", "notes")
    reasons: list[str] = []
    for path, kind in rule_classes().items():
        rule = kind()
        against = {name: rule.refusal(make()) for name, make in SMALL.items()}
        reasons += [f"{kind.__name__} on {names}: {reason}" for reason, names in _by_reason(against).items()]
        home = next((name for name, reason in against.items() if reason is None), None)
        measured = "?" if home is None else " ".join(sorted(audit_rule(kind(), SMALL[home]()).criteria)) or "none"
        published = "-" if kind.facts.published is None else " ".join(sorted(kind.facts.published)) or "none"
        runs = ["no" if reason else "yes" for reason in against.values()]
        table.add_row(
            path.rpartition(".")[2], kind.facts.family, *runs, measured, published, kind.facts.cost, notes(rule)
        )
    console.print(table)
    for reason in reasons:
        console.print(reason, highlight=False, markup=False, soft_wrap=True)


def _by_reason(against: dict[str, str | None]) -> dict[str, str]:
    """Names of the networks that each reason speaks against."""
    reasons = dict.fromkeys(reason for reason in against.values() if reason)
    return {reason: ", ".join(name for name in against if against[name] == reason) for reason in reasons}


def notes(rule: LearningRule) -> str:
    """The labels that a reader of a table must see."""
    labels = {"is backprop": rule.facts.equals_backprop, "reads the batch": rule.facts.reads_batch}
    return ", ".join([name for name, holds in (labels | {"online": rule.facts.online_only}).items() if holds])


def reference_of(network: str) -> Audit:
    """Backprop on the same small network."""
    return audit_rule(Backprop(), SMALL[network]())
