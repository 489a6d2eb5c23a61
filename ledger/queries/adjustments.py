"""Manual adjustments."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor

_READ: Final = (
    "SELECT id, organization, amount, currency, contra_kind, reason, status, proposed_by, decided_by, decided_at, "
    "decision_reason, entry_id, version, created_at FROM adjustments"
)


@dataclass(frozen=True, slots=True)
class AdjustmentRow:
    """An adjustment; amount in units, above zero gives credit, below takes it."""

    id: UUID
    organization: UUID
    amount: int
    currency: str
    contra_kind: str
    reason: str
    status: str
    proposed_by: str
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str
    entry_id: UUID | None
    version: int
    created_at: datetime


def find_adjustment(cur: Cursor, *, organization: UUID, adjustment: UUID) -> AdjustmentRow:
    """Return an adjustment. Raises NotFound, also for another organization's."""
    row = cur.execute(f"{_READ} WHERE organization = %s AND id = %s", (organization, adjustment)).fetchone()
    if row is None:
        raise NotFound("There is no such adjustment.")
    return AdjustmentRow(*row)


def organization_of_adjustment(cur: Cursor, adjustment: UUID) -> UUID:
    """Return whose adjustment it is. Raises NotFound."""
    row = cur.execute("SELECT organization FROM adjustments WHERE id = %s", (adjustment,)).fetchone()
    if row is None:
        raise NotFound("There is no such adjustment.")
    found: UUID = row[0]
    return found


def list_adjustments(
    cur: Cursor, *, organization: UUID, status: str | None, before: UUID | None, limit: int
) -> list[AdjustmentRow]:
    """Return an organization's adjustments, newest first."""
    cur.execute(
        f"{_READ} WHERE organization = %(organization)s AND (%(status)s::text IS NULL OR status = %(status)s) "
        "AND (%(before)s::uuid IS NULL OR id < %(before)s) ORDER BY id DESC LIMIT %(limit)s",
        {"organization": organization, "status": status, "before": before, "limit": limit},
    )
    return [AdjustmentRow(*row) for row in cur.fetchall()]
