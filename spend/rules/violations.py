"""What the checks of this app say when something does not hold."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that does not hold: the invariant's id, whose it is, which object, and the two figures."""

    invariant: str
    organization: UUID
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.subject} of organization {self.organization}: {self.detail}"
