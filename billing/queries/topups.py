"""Automatic top-ups: the rules, whom they may concern now, and what was bought by them."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Final
from uuid import UUID

from billing.rules.payments.topups import AutoTopUp
from events.store import Cursor

_NAMES: Final = ", ".join(field.name for field in fields(AutoTopUp))
_FIND: Final = f"SELECT {_NAMES} FROM auto_top_ups WHERE organization = %s"
# The account's row has posted and held; whether anything is due is decided under the lock.
_LOW: Final = """
SELECT t.organization FROM auto_top_ups t JOIN organizations o ON o.id = t.organization
JOIN accounts a ON a.organization = t.organization AND a.kind = 'customer_credit' AND a.currency = t.currency
WHERE t.enabled AND t.status = 'active' AND o.status = 'active' AND a.posted - a.held < t.threshold
    AND (t.last_at IS NULL OR t.last_at + make_interval(secs => t.cool_off_seconds)
        <= clock_timestamp() + o.clock_offset)
ORDER BY t.organization
"""
_BOUGHT: Final = """
SELECT coalesce(sum(amount), 0)::bigint FROM payments
WHERE organization = %s AND cause = 'automatic' AND created_at >= %s AND status NOT IN ('failed', 'canceled')
"""
_UNDER_WAY: Final = """
SELECT EXISTS (SELECT FROM payments WHERE organization = %s AND purpose = 'top_up'
    AND status IN ('requested', 'requires_action', 'processing'))
"""


def find_auto_top_up(cur: Cursor, organization: UUID) -> AutoTopUp | None:
    """Return an organization's rule; None: it never had one."""
    row = cur.execute(_FIND, (organization,)).fetchone()
    return None if row is None else AutoTopUp(*row)


def organizations_low(cur: Cursor) -> list[UUID]:
    """Return the organizations whose credit is below the threshold of their rule, as far as the account's row says."""
    return [row[0] for row in cur.execute(_LOW).fetchall()]


def bought_since(cur: Cursor, organization: UUID, moment: datetime) -> int:
    """Return what automatic top-ups since a moment brought or may bring, in units; what failed does not count."""
    row = cur.execute(_BOUGHT, (organization, moment)).fetchone()
    assert row is not None
    found: int = row[0]
    return found


def is_top_up_under_way(cur: Cursor, organization: UUID) -> bool:
    """Return whether a top-up, whoever asked for it, has not ended yet."""
    return cur.execute(_UNDER_WAY, (organization,)).fetchone() == (True,)
