"""What a verification found."""

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

Problem = Literal["changed", "removed", "inserted", "broken", "violated"]
MOST_FINDINGS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: `key` names the row of `table`; for a violated rule, `table` names the check."""

    table: str
    key: str
    problem: Problem
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.table} {self.key}: {self.problem}{f' ({self.detail})' if self.detail else ''}"


@dataclass(slots=True)
class Report:
    """The result: all is well when there is no finding. `counts` are rows that were verified, by table; `tail` what
    no seal covers yet."""

    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    tail: dict[str, Any] = field(default_factory=dict)
    seals: int = 0
    head: str = ""
    seconds: float = 0.0
    more_findings: int = 0

    def add(self, finding: Finding) -> None:
        """Note a finding; after a thousand they are only counted."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)
        else:
            self.more_findings += 1

    def count(self, table: str, rows: int) -> None:
        """Note that rows were looked at."""
        self.counts[table] = self.counts.get(table, 0) + rows

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {"ok": self.is_clean, **asdict(self)}
