"""Partners: their rows, and what of their share can be withdrawn now, and why not the rest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from common.errors import NotFound
from events.store import Cursor
from payouts.queries.payouts import latest_payout
from payouts.rules.partners import Partner, Terms
from payouts.rules.paying.judging import waits_of
from payouts.rules.withdrawing import Figures, Withdrawable, judge

COLUMNS: Final = """p.organization, p.currency, p.status, p.minimum, p.schedule, p.holdback_days, p.reserve_rate,
    p.hold_reason, p.version, p.created_at, p.stripe_account, p.country, p.destination, p.destination_changed_at,
    p.payouts_enabled, p.disabled_reason, p.requirements::text"""
_FIND: Final = f"SELECT {COLUMNS} FROM partners p WHERE p.organization = %s"
_BY_ACCOUNT: Final = f"SELECT {COLUMNS} FROM partners p WHERE p.stripe_account = %s"
_LIST: Final = f"""
SELECT {COLUMNS} FROM partners p WHERE (%(before)s::uuid IS NULL OR p.organization < %(before)s)
    AND (%(status)s::text IS NULL OR p.status = %(status)s) ORDER BY p.organization DESC LIMIT %(limit)s
"""
# One row for each customer that ever called a listing of the partner: none of it grows with what they earned it.
_EARNED: Final = """
SELECT coalesce(sum(earned), 0)::bigint, coalesce(sum(lost), 0)::bigint, coalesce(sum(collected), 0)::bigint,
    coalesce(sum(matured), 0)::bigint
FROM earning_pairs WHERE partner = %s
"""
_PAYABLE: Final = """
SELECT posted, held FROM accounts
WHERE organization = %s AND kind = 'partner_payable' AND currency = %s AND counterparty IS NULL
"""
_RECENT: Final = """
SELECT coalesce(sum(d.received), 0)::bigint FROM partner_days d JOIN organizations o ON o.id = d.partner
WHERE d.partner = %s AND d.day > ((clock_timestamp() + o.clock_offset) AT TIME ZONE 'UTC')::date - %s::int
"""
_NOW: Final = "SELECT clock_timestamp() + clock_offset FROM organizations WHERE id = %s"
RESERVE_DAYS: Final = 90
"""A reserve stands against what came past the holdback in so many days."""


def find_partner(cur: Cursor, organization: UUID) -> Partner | None:
    """Return an organization's row as a partner; None where it is none."""
    row = cur.execute(_FIND, (organization,)).fetchone()
    return None if row is None else partner_of(row)


def require_partner(cur: Cursor, organization: UUID) -> Partner:
    """Return an organization's row as a partner. Raises NotFound."""
    found = find_partner(cur, organization)
    if found is None:
        raise NotFound("This organization is no partner.")
    return found


def partner_of_account(cur: Cursor, account: str) -> Partner | None:
    """Return whose connected account this is."""
    row = cur.execute(_BY_ACCOUNT, (account,)).fetchone()
    return None if row is None else partner_of(row)


def list_partners(
    cur: Cursor, *, before: UUID | None, limit: int, status: str | None = None
) -> list[Partner]:
    """Return partners by their organizations' ids, the youngest first."""
    cur.execute(_LIST, {"before": before, "status": status, "limit": limit})
    return [partner_of(row) for row in cur.fetchall()]


def partner_of(row: Sequence[Any]) -> Partner:
    """A row of COLUMNS as a partner."""
    values: Any = (*row[:3], Terms(*row[3:8]), *row[8:-1], tuple(json.loads(row[-1])))
    return Partner(*values)


@dataclass(frozen=True, slots=True)
class _Payable:
    posted: int = 0
    held: int = 0


def withdrawable(cur: Cursor, organization: UUID) -> Withdrawable:
    """Return what a partner earned, what of it was collected and is past the holdback, and what it can withdraw now,
    with the reasons why not the rest; amounts in units of its currency. Raises NotFound.

    Under the partner's lock it is what a payout may take. It reads one account and a row per customer, however many
    earnings there are.
    """
    partner = require_partner(cur, organization)
    earned, lost, collected, matured = _row(cur, _EARNED, organization)
    payable = cur.execute(_PAYABLE, (organization, partner.currency)).fetchone()
    balance = _Payable() if payable is None else _Payable(*payable)
    recent = _row(cur, _RECENT, organization, RESERVE_DAYS)[0] if partner.terms.reserve_rate else 0
    figures = Figures(
        earned=earned - lost,
        collected=collected,
        past_holdback=matured,
        balance=balance.posted,
        on_hold=balance.held,
        recent=recent,
    )
    found = judge(partner, figures)
    wait = timedelta(hours=settings.PAYOUT_DESTINATION_WAIT_HOURS)
    last = latest_payout(cur, organization)
    waits = waits_of(partner, found, last, now=_row(cur, _NOW, organization)[0], wait=wait)
    return replace(found, reasons=(*found.reasons, *waits))


def payable_balance(cur: Cursor, partner: Partner) -> int:
    """Return what is in a partner's partner_payable, in units; below zero, more was taken back than came since."""
    row = cur.execute(_PAYABLE, (partner.organization, partner.currency)).fetchone()
    return 0 if row is None else int(row[0])


def _row(cur: Cursor, statement: str, *given: Any) -> tuple[Any, ...]:
    row = cur.execute(statement, given).fetchone()
    assert row is not None
    return tuple(row)
