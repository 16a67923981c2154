"""The audit as tables: what was checked, and the rows that leak."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .split_audit_findings import Audit, Finding

SHOWN = 40  # rows; the others are counted, and all are in the manifest


def print_audit(audit: Audit, console: Console) -> None:
    """The table of checks and, where there are any, that of findings."""
    table = Table("check", "result", "over", "seen", title="audit of the split")
    for check in audit.checks:
        table.add_row(*(Text(part) for part in (check.name, check.result, check.over, check.detail)))
    console.print(table)
    if audit.findings:
        _print_findings(audit.findings, console)


def _print_findings(findings: list[Finding], console: Console) -> None:
    table = Table("leak", "subject", "story", "session", "window at s", "seen", title="rows that leak")
    for finding in findings[:SHOWN]:
        start = "" if finding.start is None else f"{finding.start:g}"
        cells = (finding.name, finding.subject, finding.story, finding.session, start, finding.detail)
        table.add_row(*(Text(part) for part in cells))
    console.print(table)
    if len(findings) > SHOWN:
        console.print(f"and {len(findings) - SHOWN} more rows, see split_audit.json", highlight=False)
