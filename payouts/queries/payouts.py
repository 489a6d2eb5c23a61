"""Payouts: their rows, the latest of a partner, and which are due."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from payouts.rules.paying.row import COLUMNS, Payout
from payouts.rules.paying.states import CANCELED

_NAMES: Final = ("id", "organization", *COLUMNS, "version")
_JSON: Final = ("failure", "reversals")
_ROW: Final = ", ".join(f"p.{name}::text" if name in _JSON else f"p.{name}" for name in _NAMES)
_FIND: Final = f"SELECT {_ROW} FROM payouts p WHERE p.id = %s"
_LATEST: Final = f"""
SELECT {_ROW} FROM payouts p WHERE p.organization = %s AND p.state <> '{CANCELED}'
ORDER BY p.requested_at DESC, p.id DESC LIMIT 1
"""
_OPEN: Final = f"""
SELECT {_ROW} FROM payouts p WHERE p.organization = %s
    AND p.state IN ('requested', 'held', 'pending_approval', 'approved', 'processing', 'unknown')
"""
_OF_PROCESSOR: Final = f"""
SELECT {_ROW} FROM payouts p WHERE p.transfer = %(id)s OR p.payout = %(id)s OR p.recall = %(id)s
"""
_LIST: Final = f"""
SELECT {_ROW} FROM payouts p WHERE (%(organization)s::uuid IS NULL OR p.organization = %(organization)s)
    AND (%(state)s::text IS NULL OR p.state = %(state)s) AND (%(batch)s::uuid IS NULL OR p.batch = %(batch)s)
    AND (%(before)s::uuid IS NULL OR p.id < %(before)s)
ORDER BY p.id DESC LIMIT %(limit)s
"""
# No clock of an organization is behind the wall clock, so what is due by the wall clock is due at once.
_DUE: Final = """
SELECT p.id FROM payouts p JOIN organizations o ON o.id = p.organization
WHERE p.next_at <= clock_timestamp() + o.clock_offset AND (%(after)s::uuid IS NULL OR p.id > %(after)s)
ORDER BY p.id LIMIT %(limit)s
"""
_UNSETTLED: Final = f"""
SELECT {_ROW} FROM payouts p WHERE p.organization = %s AND p.state IN ('failed', 'reversed')
    AND p.transfer IS NOT NULL AND p.taken_back < p.amount
"""
_KNOWN: Final = """
SELECT transfer FROM payouts WHERE transfer = ANY(%(names)s)
UNION ALL
SELECT name FROM payouts p CROSS JOIN jsonb_object_keys(p.reversals) AS name
WHERE p.reversals ?| %(names)s::text[] AND name = ANY(%(names)s)
"""
_ACCOUNTS: Final = "SELECT stripe_account FROM partners WHERE stripe_account IS NOT NULL ORDER BY 1"
_WATCHED: Final = """
SELECT p.stripe_account FROM partners p WHERE p.stripe_account IS NOT NULL AND (
    (p.status <> 'active' AND p.disabled_reason IS DISTINCT FROM 'deauthorized') OR EXISTS (
        SELECT FROM payouts y WHERE y.organization = p.organization AND y.state IN ('processing', 'unknown')))
ORDER BY 1
"""
_SINCE: Final = """
SELECT {row} FROM payouts p WHERE coalesce(p.sent_at, p.requested_at) >= %s AND coalesce(p.sent_at, p.requested_at) < %s
    AND p.state NOT IN ('requested', 'held', 'pending_approval', 'canceled') ORDER BY p.id
""".replace("{row}", _ROW)


def find_payout(cur: Cursor, payout: UUID, *, organization: UUID | None = None) -> Payout:
    """Return a payout, of one partner if that is given. Raises NotFound."""
    row = cur.execute(_FIND, (payout,)).fetchone()
    found = None if row is None else payout_of(row)
    if found is None or organization not in (None, found.organization):
        raise NotFound("There is no such payout.")
    return found


def organization_of_payout(cur: Cursor, payout: UUID) -> UUID:
    """Return whose payout it is. Raises NotFound."""
    return find_payout(cur, payout).organization


def latest_payout(cur: Cursor, organization: UUID) -> Payout | None:
    """Return a partner's latest payout that was not canceled; one whose money has to come back yet comes first."""
    row = cur.execute(_UNSETTLED, (organization,)).fetchone()
    row = row or cur.execute(_LATEST, (organization,)).fetchone()
    return None if row is None else payout_of(row)


def open_payout(cur: Cursor, organization: UUID) -> Payout | None:
    """Return the payout of a partner whose money is in transit; there is at most one."""
    row = cur.execute(_OPEN, (organization,)).fetchone()
    return None if row is None else payout_of(row)


def payout_of_object(cur: Cursor, name: str) -> Payout | None:
    """Return the payout with this transfer or payout of the processor, or that this one brings back."""
    row = cur.execute(_OF_PROCESSOR, {"id": name}).fetchone()
    return None if row is None else payout_of(row)


def booked_objects(cur: Cursor, names: Sequence[str]) -> list[str]:
    """Return which of these ids of the processor are transfers, or reversals of them, that are in partners' books."""
    return [row[0] for row in cur.execute(_KNOWN, {"names": list(names)}).fetchall()]


def list_payouts(
    cur: Cursor,
    *,
    organization: UUID | None,
    state: str | None = None,
    batch: UUID | None = None,
    before: UUID | None = None,
    limit: int,
) -> list[Payout]:
    """Return payouts, newest first; of all partners where none is named."""
    given = {"organization": organization, "state": state, "batch": batch, "before": before, "limit": limit}
    return [payout_of(row) for row in cur.execute(_LIST, given).fetchall()]


def payouts_due(cur: Cursor, *, after: UUID | None, limit: int) -> list[UUID]:
    """Return payouts that are to be looked at now, by their ids."""
    return [row[0] for row in cur.execute(_DUE, {"after": after, "limit": limit}).fetchall()]


def payouts_between(cur: Cursor, start: Any, end: Any) -> list[Payout]:
    """Return the payouts that were sent in [start, end), however long before they were requested; those of which that
    is not known, by when they were requested."""
    return [payout_of(row) for row in cur.execute(_SINCE, (start, end)).fetchall()]


def connected_accounts(cur: Cursor) -> list[str]:
    """Return the connected accounts of all partners."""
    return [row[0] for row in cur.execute(_ACCOUNTS).fetchall()]


def watched_accounts(cur: Cursor) -> list[str]:
    """Return the connected accounts of which something is awaited: they are not ready, or a payout is on its way. What
    happens to others without being told is found by reconciliation."""
    return [row[0] for row in cur.execute(_WATCHED).fetchall()]


def payout_of(row: Sequence[Any]) -> Payout:
    """A row as a payout."""
    values = dict(zip(_NAMES, row, strict=True))
    failure, reversals = values["failure"], values["reversals"]
    values["failure"] = None if failure is None else json.loads(failure)
    values["reversals"] = {} if reversals is None else json.loads(reversals)
    return Payout(**values)
