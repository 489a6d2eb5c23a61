"""Revenue shares, and what compiling them for a caller needs: its plans, the month's volumes, who calls."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from payouts.rules.shares import STREAM, RevenueShare, Shared, terms_of

_COLUMNS: Final = (
    "id, organization, listing_id, plan, valid_from, terms::text, version, created_at, withdrawn_at"
)
_OF_PARTNER: Final = f"SELECT {_COLUMNS} FROM revenue_shares WHERE organization = %s ORDER BY id"
_FIND: Final = f"SELECT {_COLUMNS} FROM revenue_shares WHERE organization = %s AND id = %s"
_LIST: Final = f"""
SELECT {_COLUMNS} FROM revenue_shares WHERE organization = %(organization)s
    AND (%(before)s::uuid IS NULL OR id < %(before)s) ORDER BY id DESC LIMIT %(limit)s
"""
_PLANS: Final = """
SELECT DISTINCT v.plan_key FROM subscriptions s JOIN plan_versions v ON v.id = s.plan_version
WHERE s.organization = %s AND s.status IN ('trialing', 'active', 'paused', 'past_due')
"""
# Where several share, each has a row of the same charges: one party's are counted, another's of what it called itself.
_VOLUME: Final = """
SELECT coalesce(sum(volume), 0)::bigint FROM earning_buckets
WHERE rule = %(rule)s AND rule <> 'default' AND day >= %(start)s::date AND day < %(end)s::date
    AND partner = CASE WHEN organization = %(partner)s THEN %(other)s::uuid ELSE %(partner)s END
"""
_TIERED: Final = f"""
SELECT {_COLUMNS}, (SELECT clock_timestamp() + o.clock_offset FROM organizations o WHERE o.id = organization)
FROM revenue_shares WHERE jsonb_array_length(terms->'tiers') > 0 AND withdrawn_at IS NULL ORDER BY id
"""
_SHARED: Final = """
SELECT organization, listing_id, agent_id, partner, sum(volume)::bigint, sum(share)::bigint, sum(calls)::bigint
FROM earning_buckets WHERE rule = %s AND rule <> 'default' AND day >= %s::date AND day < %s::date
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
_CALLERS: Final = """
SELECT r.organization, r.listing_id FROM split_rules r JOIN listings l ON l.id = r.listing_id
WHERE (%(partner)s::uuid IS NULL OR l.organization = %(partner)s)
    AND EXISTS (SELECT FROM revenue_shares s WHERE s.organization = l.organization)
ORDER BY r.organization, r.listing_id
"""
_HISTORY: Final = """
SELECT type, occurred_at, actor FROM events WHERE organization = %s AND stream_type = %s AND stream_id = %s
ORDER BY version
"""


def shares_of(cur: Cursor, partner: UUID) -> list[RevenueShare]:
    """Return all revenue shares of a partner's listings."""
    return [share_of(row) for row in cur.execute(_OF_PARTNER, (partner,)).fetchall()]


def find_share(cur: Cursor, *, organization: UUID, share: UUID) -> RevenueShare:
    """Return a revenue share of a partner's. Raises NotFound."""
    row = cur.execute(_FIND, (organization, share)).fetchone()
    if row is None:
        raise NotFound("There is no such revenue share.")
    return share_of(row)


def list_shares(cur: Cursor, *, organization: UUID, before: UUID | None, limit: int) -> list[RevenueShare]:
    """Return a partner's revenue shares, newest first."""
    cur.execute(_LIST, {"organization": organization, "before": before, "limit": limit})
    return [share_of(row) for row in cur.fetchall()]


def history_of_share(cur: Cursor, *, organization: UUID, share: UUID) -> list[tuple[str, datetime, str]]:
    """Return what became of a revenue share in order: verb, when (UTC), and by whom."""
    rows = cur.execute(_HISTORY, (organization, STREAM, share)).fetchall()
    return [(kind.rpartition(".")[2], at.astimezone(UTC), actor) for kind, at, actor in rows]


def share_of(row: Sequence[Any]) -> RevenueShare:
    """A row as a revenue share."""
    values: Any = (*row[:5], terms_of(json.loads(row[5])), *row[6:])
    return RevenueShare(*values)


def plans_of(cur: Cursor, organization: UUID) -> Collection[str]:
    """Return the keys of the plans that an organization has a subscription to."""
    return {row[0] for row in cur.execute(_PLANS, (organization,)).fetchall()}


def volume_of(cur: Cursor, share: RevenueShare, *, start: datetime, end: datetime) -> int:
    """Return the charges, in units, that were shared by a revenue share in the days [start, end), UTC."""
    first, *others = [name for name, _ in share.terms.splits] or [share.organization]
    other = others[0] if others else None
    given = {"rule": str(share.id), "partner": first, "other": other, "start": start, "end": end}
    row = cur.execute(_VOLUME, given).fetchone()
    assert row is not None
    volume: int = row[0]
    return volume


def tiered_shares(cur: Cursor) -> list[tuple[RevenueShare, datetime]]:
    """Return the revenue shares with tiers, each with its partner's clock."""
    return [(share_of(row[:-1]), row[-1]) for row in cur.execute(_TIERED).fetchall()]


def shared_in(cur: Cursor, share: UUID, *, start: datetime, end: datetime) -> list[Shared]:
    """Return what stands under a revenue share in the days [start, end), UTC, with what was adjusted already."""
    return [Shared(*row) for row in cur.execute(_SHARED, (str(share), start, end)).fetchall()]


def callers(cur: Cursor, partner: UUID | None = None) -> list[tuple[UUID, UUID]]:
    """Return (organization, listing) of everybody whose agents ever named a listing with terms of its own."""
    return cur.execute(_CALLERS, {"partner": partner}).fetchall()
