"""Settling a caller: what of its partners' shares is collected, lost and past the holdback, and the move between books.

The move is two linked entries in one transaction under all their locks, in the order of ids: `partner_earned` to
`intercompany_clearing` in the caller's books, `intercompany_clearing` to `partner_payable` in the partner's (L8). It is
worked out of running sums: done twice it moves nothing, and a refund, dispute, credit note or write-off moves it back,
below zero where it was paid out.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final
from uuid import UUID

from common.ids import new_id
from common.transactions import run_in_transaction
from events.store import Cursor, Event, append
from ledger.queries.accounts import account_ids
from ledger.rules.effects import entry
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organizations
from orgs.rules.facts import time_text
from orgs.rules.rows import LockedOrganization
from payouts.operations.attempting import attempted
from payouts.queries.collecting import (
    due_callers,
    partners_of,
    placed_on,
    reversals_of,
    reversals_to_place,
    shares_in,
    standing_of,
    unnoted_invoices,
    void_sources,
)
from payouts.queries.references import references_of
from payouts.rules.collecting import Moved, Settlement, settle
from payouts.rules.references import CUSTOMER
from spend.queries.splits import earned_accounts

JOB: Final = Author("system:payouts.settle")
STREAM: Final = "earning"
MOVED: Final = "earning_moved"
RECEIVED: Final = "earning_received"
LOST: Final = "earning_lost"
_LOOKED_AT: Final = """
INSERT INTO earning_watermarks AS w (organization, seq)
SELECT %(organization)s, coalesce(max(seq), 0) FROM events WHERE organization = %(organization)s
ON CONFLICT (organization) DO UPDATE SET seq = EXCLUDED.seq
"""


def settle_due() -> int:
    """This function will settle every caller of which something happened, or whose holdback is over for something, each
    in short transactions of its own, and return how many had something to settle. What stands in one's way stops no
    other."""
    return sum(
        attempted(partial(settle_caller, organization), subject=organization)
        for organization in run_in_transaction(due_callers)
    )


def settle_caller(organization: UUID, *, author: Author = JOB) -> bool:
    """This function will settle one caller with all of its partners; whether there was something. See the module.

    The shares in an invoice's cut are summed up once, before the lock is taken; a call that is reversed between the
    two is summed up in the next round.
    """
    known, noted = run_in_transaction(
        lambda cur: (reversals_of(cur, organization), _summed(cur, organization))
    )

    def operation(cur: Cursor) -> bool:
        partners = partners_of(cur, organization)
        locked = lock_organizations(cur, {organization, *partners})
        if not set(partners_of(cur, organization)) <= locked.keys():
            return True  # somebody earned its first share meanwhile: the next round has the lock, too
        if noted and reversals_of(cur, organization) != known:
            return True
        is_new = _note_invoices(cur, locked[organization], noted, author)
        made = settle_locked(cur, locked, organization, author=author)
        cur.execute(_LOOKED_AT, {"organization": organization})
        return made or is_new

    return run_in_transaction(operation)


def settle_locked(
    cur: Cursor, locked: dict[UUID, LockedOrganization], organization: UUID, *, author: Author
) -> bool:
    """This function will write what has changed of a caller whose lock is held, with those of its partners."""
    caller = locked[organization]
    standing = standing_of(cur, organization)
    made = settle(standing.sources, standing.fractions, standing.collections, standing.pairs, now=caller.now)
    if made.is_empty:
        return False
    moves = [(new_id(), move) for move in made.moved]
    earned = earned_accounts(cur, organization=organization, currency=caller.currency)
    own = account_ids(cur, organization=organization, currency=caller.currency)
    entries = [_lost(own, earned, caller, partner, amount) for partner, amount in _sums_lost(made) if amount]
    entries += [_out(own, earned, caller, name, move) for name, move in moves if move.amount]
    events = [_event(caller, STREAM, "settled", _told(made, entries), author)]
    for name, move in moves:
        if move.amount:
            events.append(_received(cur, locked[UUID(move.partner)], organization, name, move, author))
    append(cur, events)
    return True


def _summed(cur: Cursor, organization: UUID) -> dict[UUID, list[list[Any]]]:
    return {
        invoice: shares_in(cur, organization, ranges)
        for invoice, ranges in unnoted_invoices(cur, organization)
    }


def _note_invoices(
    cur: Cursor, caller: LockedOrganization, summed: dict[UUID, list[list[Any]]], author: Author
) -> bool:
    """What an invoice bills stands on it from now on; what stood on a void one is on none again."""
    waiting = {invoice for invoice, _ in unnoted_invoices(cur, caller.id)}
    # Before this round's invoices are noted: what was summed up of them is without reversed calls already, which must
    # not be taken off a second time.
    placed = _place_reversals(cur, caller, author)
    events = [
        _event(caller, STREAM, "invoiced", {"invoice": str(invoice), "parts": parts}, author)
        for invoice, parts in summed.items()
        if invoice in waiting
    ]
    for invoice, standing in void_sources(cur, caller.id).items():
        back = [[partner, -share, *grant] for partner, share, *grant in standing]
        data = {"invoice": invoice, "parts": back, "voided": True}
        events.append(_event(caller, STREAM, "invoiced", data, author))
    append(cur, [*events, *placed])
    return bool(events or placed)


def _place_reversals(cur: Cursor, caller: LockedOrganization, author: Author) -> list[Event]:
    """A reversed call stands no more on the invoice that bills it, so that what was collected of it there goes back.
    One that is on none is left out when its invoice is summed up."""
    reversed_calls = reversals_to_place(cur, caller.id)
    if not reversed_calls:
        return []
    told: list[dict[str, Any]] = [
        {
            "invoice": str(invoice),
            "parts": [[partner, -share, *grant] for partner, share, *grant in parts],
            "reversed": [],
        }
        for invoice, parts in placed_on(cur, caller.id, reversed_calls)
    ]
    told.append({"invoice": None, "parts": [], "reversed": [str(one) for one in reversed_calls]})
    return [_event(caller, STREAM, "invoiced", data, author) for data in told]


def _told(made: Settlement, entries: list[dict[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {
        "collected": [
            [partner, source, time_text(hour), amount] for partner, source, hour, amount in made.collected
        ],
        "lost": [list(one) for one in made.lost],
        "moved": [[one.partner, time_text(one.until), one.matured, one.amount] for one in made.moved],
    }
    return {**data, "ledger": {"entries": entries}} if entries else data


def _sums_lost(made: Settlement) -> list[tuple[str, int]]:
    sums: dict[str, int] = {}
    for partner, _, amount in made.lost:
        sums[partner] = sums.get(partner, 0) + amount
    return sorted(sums.items())


def _lost(
    own: dict[str, UUID], earned: dict[UUID, UUID], caller: LockedOrganization, partner: str, amount: int
) -> dict[str, Any]:
    name = new_id()
    return entry(
        kind=LOST,
        key=f"{LOST}:{name}",
        source=f"earning:{name}",
        lines=[[str(earned[UUID(partner)]), -amount], [str(own["platform_fee"]), amount]],
        currency=caller.currency,
        reason="A share of what will not be paid" if amount > 0 else "A share of what was paid after all",
    )


def _out(
    own: dict[str, UUID], earned: dict[UUID, UUID], caller: LockedOrganization, name: UUID, move: Moved
) -> dict[str, Any]:
    return entry(
        kind=MOVED,
        key=f"{MOVED}:{name}",
        source=f"earning:{name}",
        lines=[
            [str(earned[UUID(move.partner)]), -move.amount],
            [str(own["intercompany_clearing"]), move.amount],
        ],
        currency=caller.currency,
        reason="Collected and past the holdback" if move.amount > 0 else "Taken back",
    )


def _received(
    cur: Cursor, partner: LockedOrganization, organization: UUID, name: UUID, move: Moved, author: Author
) -> Event:
    """What a partner is told names no caller: its books are its own to read."""
    accounts = account_ids(cur, organization=partner.id, currency=partner.currency)
    posted = entry(
        kind=RECEIVED,
        key=f"{RECEIVED}:{name}",
        source=f"earning:{name}",
        lines=[
            [str(accounts["intercompany_clearing"]), -move.amount],
            [str(accounts["partner_payable"]), move.amount],
        ],
        currency=partner.currency,
        reason="Collected and past the holdback" if move.amount > 0 else "Taken back",
    )
    data = {
        "move": str(name),
        "customer": str(references_of(cur, partner.id).of(CUSTOMER, organization)),
        "amount": move.amount,
        "currency": partner.currency,
        "ledger": {"entries": [posted]},
    }
    return _event(partner, STREAM, "received", data, author)


def _event(owner: LockedOrganization, stream: str, verb: str, data: dict[str, Any], author: Author) -> Event:
    return Event(owner.id, stream, new_id(), 1, f"{stream}.{verb}", data, owner.now, author.actor)
