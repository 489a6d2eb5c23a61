"""Overrides of budgets: as the gate reads them, and as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from spend.rules.overrides import Override

_COLUMNS: Final = """o.id, o.organization, o.budget_id, o.target, o.run_key, o.extra, o.reason, o.created_by,
    o.created_at, o.expires_at, o.ended_by, o.ended_at, o.end_reason, o.version"""
_LIVE: Final = f"""
SELECT {_COLUMNS} FROM budget_overrides o JOIN organizations n ON n.id = o.organization
JOIN budgets b ON b.id = o.budget_id AND b.archived_at IS NULL
WHERE o.organization = %s AND o.ended_at IS NULL
    AND (o.expires_at IS NULL OR o.expires_at > clock_timestamp() + n.clock_offset)
    AND (%s::uuid[] IS NULL OR o.budget_id = ANY(%s))
ORDER BY o.id
"""
_READ: Final = f"""
SELECT {_COLUMNS}, b.scope, b.unit FROM budget_overrides o JOIN budgets b ON b.id = o.budget_id
WHERE o.organization = %(organization)s
"""
_STATUS: Final = {
    "active": "o.ended_at IS NULL AND (o.expires_at IS NULL OR o.expires_at > %(now)s)",
    "expired": "o.ended_at IS NULL AND o.expires_at <= %(now)s",
    "ended": "o.ended_at IS NOT NULL",
}


class OverrideRow(NamedTuple):
    """An override with the scope and the unit of its budget."""

    override: Override
    scope: str
    unit: str


def load_overrides(
    cur: Cursor, organization: UUID, *, budgets: Sequence[UUID] | None = None
) -> list[Override]:
    """Return the organization's overrides that are not over and whose budgets (None: all) are not archived, oldest
    first.

    They may end by time while they are kept: `Override.applies` says whether one does. Ids are texts.
    """
    only = None if budgets is None else list(budgets)
    cur.execute(_LIVE, (organization, only, only))
    return [_texts(row) for row in cur.fetchall()]


def find_override(cur: Cursor, *, organization: UUID, override: UUID) -> OverrideRow:
    """Return an override of the organization, also one that is over. Raises NotFound."""
    row = cur.execute(
        _READ + " AND o.id = %(override)s", {"organization": organization, "override": override}
    ).fetchone()
    if row is None:
        raise NotFound("There is no such override.")
    return _row(row)


def organization_of_override(cur: Cursor, override: UUID) -> UUID:
    """Return whose override this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM budget_overrides WHERE id = %s", (override,)).fetchone()
    if row is None:
        raise NotFound("There is no such override.")
    owner: UUID = row[0]
    return owner


def list_overrides(
    cur: Cursor,
    *,
    organization: UUID,
    budget: UUID,
    status: str | None,
    now: datetime,
    before: UUID | None,
    limit: int,
) -> list[OverrideRow]:
    """Return up to `limit` overrides of a budget, newest first, made before `before`; `status` as it is at `now`."""
    statement = _READ + " AND o.budget_id = %(budget)s"
    if before is not None:
        statement += " AND o.id < %(before)s"
    if status is not None:
        statement += f" AND {_STATUS[status]}"
    values = {"organization": organization, "budget": budget, "now": now, "before": before, "limit": limit}
    cur.execute(statement + " ORDER BY o.id DESC LIMIT %(limit)s", values)
    return [_row(row) for row in cur.fetchall()]


def _texts(row: tuple[Any, ...]) -> Override:
    return Override(str(row[0]), str(row[1]), str(row[2]), *row[3:])


def _row(row: tuple[Any, ...]) -> OverrideRow:
    return OverrideRow(Override(*row[:-2]), *row[-2:])
