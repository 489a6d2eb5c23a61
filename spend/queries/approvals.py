"""Approvals of thresholds, as people read them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from spend.rules.approvals import LAPSED, PENDING, Approval

# As `lapse_of` says it.
_LAPSED: Final = """(b.archived_at IS NOT NULL OR b.arming <> p.armed
    OR p.window_end + make_interval(secs => COALESCE(b.rolling_seconds, 0)) <= %(now)s)"""
_READ: Final = f"""
SELECT p.id, p.organization, p.budget_id, p.counter, p.target, p.label, p.window_start, p.window_end, p.armed, p.rank,
    p.percent, p.amount, p.used, p.amount_limit, p.unit, p.agent_id, p.run_id, p.status, p.asked_at, p.decided_by,
    p.decided_at, p.reason, p.version,
    CASE WHEN p.status = '{PENDING}' AND {_LAPSED} THEN '{LAPSED}' ELSE p.status END, a.key, r.key
FROM approvals p JOIN budgets b ON b.id = p.budget_id LEFT JOIN agents a ON a.id = p.agent_id
LEFT JOIN runs r ON r.id = p.run_id
WHERE p.organization = %(organization)s
"""


class ApprovalRow(NamedTuple):
    """An approval with what its status comes to now (`status`: also lapsed), and the keys of agent and run."""

    approval: Approval
    status: str
    agent: str | None
    run: str | None


class ApprovalFilter(NamedTuple):
    """Which approvals a list shows; None: all."""

    status: str | None = None
    budget: UUID | None = None


def find_approval(cur: Cursor, *, organization: UUID, approval: UUID, now: datetime) -> ApprovalRow:
    """Return an approval of the organization as it is at `now`. Raises NotFound."""
    values = {"organization": organization, "approval": approval, "now": now}
    row = cur.execute(_READ + " AND p.id = %(approval)s", values).fetchone()
    if row is None:
        raise NotFound("There is no such approval.")
    return _row(row)


def organization_of_approval(cur: Cursor, approval: UUID) -> UUID:
    """Return whose approval this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM approvals WHERE id = %s", (approval,)).fetchone()
    if row is None:
        raise NotFound("There is no such approval.")
    owner: UUID = row[0]
    return owner


def list_approvals(
    cur: Cursor, *, organization: UUID, wanted: ApprovalFilter, now: datetime, before: UUID | None, limit: int
) -> list[ApprovalRow]:
    """Return up to `limit` approvals, newest first, asked for before `before`."""
    statement = _READ
    if before is not None:
        statement += " AND p.id < %(before)s"
    if wanted.budget is not None:
        statement += " AND p.budget_id = %(budget)s"
    if wanted.status is not None:
        statement += " AND p.status = %(stored)s"
        if wanted.status in (PENDING, LAPSED):
            statement += f" AND {_LAPSED} IS {'NOT ' if wanted.status == PENDING else ''}TRUE"
    values = {
        "organization": organization,
        "now": now,
        "before": before,
        "budget": wanted.budget,
        "stored": PENDING if wanted.status == LAPSED else wanted.status,
        "limit": limit,
    }
    cur.execute(statement + " ORDER BY p.id DESC LIMIT %(limit)s", values)
    return [_row(row) for row in cur.fetchall()]


def _row(row: tuple[Any, ...]) -> ApprovalRow:
    return ApprovalRow(Approval(*row[:-3]), *row[-3:])
