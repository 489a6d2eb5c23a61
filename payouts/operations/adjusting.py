"""Tiers by volume: a call is shared by the tier known at its commit, and the month's end brings the difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from common.ids import new_id
from common.transactions import run_in_transaction
from events.store import Cursor, Event, append
from ledger.queries.accounts import account_ids
from ledger.rules.effects import entry
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from orgs.rules.rows import LockedOrganization
from payouts.operations.attempting import attempted
from payouts.queries.shares import shared_in, tiered_shares
from payouts.rules.collecting import ADJUSTMENT
from payouts.rules.shares import RevenueShare, Shared, adjusted, month_start, next_month
from spend.queries.splits import earned_accounts

JOB: Final = Author("system:payouts.adjust_tiers")
STREAM: Final = "earning"
KIND: Final = "earning_adjusted"
MONTHS: Final = 3
"""So many past months are looked at: what comes later for one of them makes a further difference."""


def adjust_due() -> int:
    """This function will bring every share of a month that is over to the tier of its whole volume, one short
    transaction for each caller, and return how many callers had a difference. Done twice it does nothing; what
    stands in the way of one share or caller stops no other."""
    return sum(
        attempted(partial(_adjust_month, share, start), subject=share.id)
        for share, now in run_in_transaction(tiered_shares)
        for start in _months_over(share, now)
    )


def _adjust_month(share: RevenueShare, start: datetime) -> int:
    return sum(
        attempted(partial(_adjust, share, start, caller), subject=caller)
        for caller in run_in_transaction(_callers(share, start))
    )


def _months_over(share: RevenueShare, now: datetime) -> list[datetime]:
    found: list[datetime] = []
    start = month_start(month_start(now) - timedelta(days=1))
    while len(found) < MONTHS and next_month(start) > share.valid_from:
        found.append(start)
        start = month_start(start - timedelta(days=1))
    return found


def _callers(share: RevenueShare, start: datetime) -> Any:
    def read(cur: Cursor) -> list[UUID]:
        rows = shared_in(cur, share.id, start=start, end=next_month(start))
        return sorted({row.organization for row, _ in adjusted(share, rows)})

    return read


def _adjust(share: RevenueShare, start: datetime, caller: UUID) -> bool:
    def operation(cur: Cursor) -> bool:
        locked = lock_organization(cur, caller)
        rows = shared_in(cur, share.id, start=start, end=next_month(start))
        due = [(row, amount) for row, amount in adjusted(share, rows) if row.organization == caller]
        append(cur, list(_events(cur, locked, share, start, due)))
        return bool(due)

    return run_in_transaction(operation)


def _events(
    cur: Cursor,
    caller: LockedOrganization,
    share: RevenueShare,
    start: datetime,
    due: Sequence[tuple[Shared, int]],
) -> Iterable[Event]:
    """One for each agent and listing, with every party's difference."""
    earned = earned_accounts(cur, organization=caller.id, currency=caller.currency)
    fee = account_ids(cur, organization=caller.id, currency=caller.currency)["platform_fee"]
    month = start.astimezone(UTC).date()
    last = (next_month(start) - timedelta(days=1)).astimezone(UTC).date()
    groups: dict[tuple[UUID, UUID], list[tuple[Shared, int]]] = {}
    for row, amount in due:
        groups.setdefault((row.listing, row.agent), []).append((row, amount))
    for (listing, agent), found in groups.items():
        name, whole = new_id(), sum(amount for _, amount in found)
        lines: list[list[Any]] = [[str(earned[row.partner]), amount] for row, amount in found]
        lines += [[str(fee), -whole]] if whole else []
        posted = entry(
            kind=KIND,
            key=f"{KIND}:{name}",
            source=f"revenue_share:{share.id}",
            lines=lines,
            currency=caller.currency,
            reason=f"The tier of {month:%Y-%m}",
        )
        shares = {
            "listing": str(listing),
            "rule": str(share.id),
            "agent": str(agent),
            "day": last.isoformat(),
            "calls": 0,
            "source": f"{ADJUSTMENT}{share.id}:{month:%Y-%m}",
            "parts": [[str(row.partner), "adjustment", 0, amount, 0] for row, amount in found],
        }
        data = {"shares": shares, "ledger": {"entries": [posted]}}
        yield Event(caller.id, STREAM, name, 1, f"{STREAM}.adjusted", data, caller.now, JOB.actor)
