"""What an audit says: checks, each over something and with a result, and findings, each a row that leaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..datasets.errors import Leak
from ..datasets.study import Run

PASSED, LEAK, NOT_CHECKED, NOT_RECORDED = "passed", "leak", "not checked", "not recorded"


@dataclass(frozen=True)
class Finding:
    """One leak. `start` is a window's onset in s on the recording's clock; None for a whole recording or story."""

    name: str
    subject: str
    story: str
    detail: str
    session: str = ""
    start: float | None = None

    @classmethod
    def of(cls, name: str, run: Run, detail: str, start: float | None = None) -> Finding:
        """About a recording, or about its window at `start` s."""
        return cls(name, run.subject, run.story, detail, run.session, start)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: over what, with which result, and what was seen."""

    name: str
    over: str
    result: str
    detail: str = ""
    findings: tuple[Finding, ...] = ()

    @classmethod
    def judged(cls, name: str, over: str, findings: Sequence[Finding], detail: str = "") -> Check:
        """Passed without findings, otherwise a leak."""
        return cls(name, over, LEAK if findings else PASSED, detail, tuple(findings))


@dataclass(frozen=True)
class Audit:
    """All checks of a split; `facts` go into the manifest with them."""

    checks: tuple[Check, ...]
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def findings(self) -> list[Finding]:
        return [finding for check in self.checks for finding in check.findings]

    @property
    def clean(self) -> bool:
        """No leak was found. What was not checked or not recorded is in the table, and is no leak."""
        return not self.findings

    def refuse(self, where: str | Path) -> None:
        """Raise `Leak`, naming every kind of leak with its number of rows."""
        if self.clean:
            return
        counts = Counter(finding.name for finding in self.findings)
        named = ", ".join(f"{name} ({n} row{'s' * (n > 1)})" for name, n in counts.items())
        raise Leak(f"the split leaks: {named}", where, "Hold these rows out of what is fitted, or do not score them.")
