"""What the doctor finds, as values."""

from dataclasses import dataclass, field
from enum import IntEnum

import msgspec


class Severity(IntEnum):
    """How bad: CRITICAL gives the host to a stranger, HIGH to somebody who is already near."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


class Finding(msgspec.Struct, frozen=True):
    """``id`` names the kind and never changes; ``where`` tells one from another of its kind; ``mend`` is an order."""

    id: str
    severity: Severity
    what: str
    where: str
    mend: str

    def as_json(self) -> dict[str, str]:
        severity = self.severity.name.lower()
        return {"id": self.id, "severity": severity, "what": self.what, "where": self.where, "mend": self.mend}


@dataclass(slots=True)
class Report:
    """Findings, and what could not be looked at: an unlooked-at thing is no clean one."""

    findings: list[Finding] = field(default_factory=list)
    looked_at: list[str] = field(default_factory=list)
    not_looked_at: list[str] = field(default_factory=list)

    def add(self, *findings: Finding) -> None:
        """Each once, whoever found it first."""
        for finding in findings:
            if finding not in self.findings:
                self.findings.append(finding)

    def worst_first(self) -> list[Finding]:
        return sorted(self.findings, key=lambda finding: (-finding.severity, finding.id, finding.where))

    def exit_code(self, least: Severity) -> int:
        """1 with a finding of ``least`` or worse, 2 when something could not be looked at, else 0."""
        if any(finding.severity >= least for finding in self.findings):
            return 1
        return 2 if self.not_looked_at else 0
