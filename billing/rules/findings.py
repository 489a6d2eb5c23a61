"""Findings: differences that a person must see, one for each kind and subject while it is open. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.errors import InvalidField, InvalidTransition
from orgs.rules.facts import Fact, time_text

OPEN, RESOLVED = "open", "resolved"
STATUSES: Final = (OPEN, RESOLVED)
NOT_CHARGEABLE: Final = "amount_not_chargeable"
"""The kind of the finding about an invoice whose amount the processor cannot move."""
RATE_MISSING: Final = "tax_rate_missing"
"""The kind of the finding about an invoice whose tax has no rate."""
COMMAND_STOPPED: Final = "command_stopped"
"""The kind of the finding about a command that waits for a person."""
DOCUMENT_NOT_SENT: Final = "document_not_sent"
"""The kind of the finding about an invoice or a credit note that did not go out by itself."""
BILLING_STOPPED, DUNNING_STOPPED = "billing_stopped", "dunning_stopped"
PARKED_IN: Final[Mapping[str, str]] = {BILLING_STOPPED: "billing_runs", DUNNING_STOPPED: "dunning_claims"}
"""The kinds of the findings about a customer that a job has parked, and the table in which it stands."""
MAX_TEXT: Final = 1_000
MAX_NOTES: Final = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding's row. `subject` names the object, such as refund:re_1; `proposed` is what would settle it."""

    id: UUID
    organization: UUID
    kind: str
    subject: str
    status: str
    detail: Mapping[str, Any]
    proposed: Mapping[str, Any] | None
    assigned_to: str | None
    notes: Sequence[Mapping[str, Any]]
    opened_at: datetime
    opened_by: str
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None
    version: int


_TIMES: Final = ("opened_at", "resolved_at")
_APART: Final = frozenset({"id", "organization", "version", *_TIMES})
_PLAIN: Final = tuple(field.name for field in fields(Finding) if field.name not in _APART)


def fact(finding: Finding, verb: str, *, at: datetime) -> Fact:
    """Return what happened to a finding: its whole new row."""
    data = {
        **{name: getattr(finding, name) for name in _PLAIN},
        **{name: time_text(getattr(finding, name)) for name in _TIMES},
    }
    return Fact(finding.organization, "finding", finding.id, finding.version, verb, data, at)


def assigned(finding: Finding, to: str) -> Finding:
    """Return the finding with somebody who looks after it. Raises InvalidTransition and InvalidField."""
    return replace(_open(finding), assigned_to=_text(to, "/assignee"), version=finding.version + 1)


def noted(finding: Finding, text: str, *, by: str, at: datetime) -> Finding:
    """Return the finding with a note more. Raises InvalidTransition and InvalidField."""
    _open(finding)
    if len(finding.notes) >= MAX_NOTES:
        raise InvalidTransition(f"A finding has at most {MAX_NOTES} notes.")
    note = {"at": time_text(at), "by": by, "text": _text(text, "/text")}
    return replace(finding, notes=[*finding.notes, note], version=finding.version + 1)


def resolved(finding: Finding, reason: str, *, by: str, at: datetime) -> Finding:
    """Return the finding as it is settled, and why. Raises InvalidTransition and InvalidField without a reason."""
    return replace(
        _open(finding),
        status=RESOLVED,
        resolved_at=at,
        resolved_by=by,
        resolution=_text(reason, "/reason"),
        version=finding.version + 1,
    )


def _open(finding: Finding) -> Finding:
    if finding.status != OPEN:
        raise InvalidTransition("The finding is resolved already.")
    return finding


def _text(text: str, pointer: str) -> str:
    found = text.strip()
    if not found or len(found) > MAX_TEXT:
        raise InvalidField(f"It is said in 1 to {MAX_TEXT} characters.", pointer=pointer)
    return found
