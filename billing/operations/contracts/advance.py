"""Moving contracts over the boundaries that are due, each dated at its own moment."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from billing.operations.contracts.recording import record_decision
from billing.queries.contracts import next_due
from billing.queries.contractuse import drawn_since, left_of, use_of
from billing.queries.items import invoiced_of_items, noted_of_items, standing_items
from billing.rules.contracts.deciding import decide_boundary
from billing.rules.contracts.decision import Known, Owed, WindowUse
from billing.rules.contracts.row import OPEN, Contract, Window
from events.store import Cursor
from ledger.queries.accounts import account_ids
from orgs.operations.facts import Author
from orgs.rules.rows import LockedOrganization

AUTHOR: Final = Author("system:billing")


def advance(cur: Cursor, locked: LockedOrganization, *, until: datetime, author: Author = AUTHOR) -> None:
    """This function will move every contract of the locked organization over each boundary up to and at `until`, in
    order of time: the start and end of windows, their settlement, the change of a segment or version, fees, the end.

    Each boundary is an event dated at its moment with the items, grants and windows that it makes; so after a
    standstill the same rows arise as if each had been passed in time, and what a crash left undone is due again.
    Raises NotFound for an organization without books.
    """
    while (row := next_due(cur, organization=locked.id, until=until)) is not None:
        assert row.next_at is not None
        settling = [window for window in row.windows if window.settle_at == row.next_at]
        decision = decide_boundary(row, known_of(cur, locked, row, settling=settling))
        record_decision(cur, locked, decision, before=row, author=author)


def known_of(
    cur: Cursor, locked: LockedOrganization, row: Contract, *, settling: Iterable[Window] = ()
) -> Known:
    """This function will read what a decision on a contract must know beside its row; of the windows that it settles
    also what was used within them."""
    return Known(
        left=left_of(cur, organization=locked.id, windows=row.windows),
        use={window.id: _use(cur, row, window) for window in settling},
        debt=debt_of(cur, locked),
        owed=_owed(cur, row),
    )


def _owed(cur: Cursor, row: Contract) -> dict[UUID, Owed]:
    """How the items of running fees and windows stand: what may be credited."""
    names = [state.item for state in row.fees.values() if state.item is not None]
    names += [item for window in row.windows for item, _ in window.items]
    noted, invoiced = noted_of_items(cur, names), invoiced_of_items(cur, names)
    return {
        one.item: Owed(
            one.amount,
            discount=invoiced.get(one.item, (one.amount, 0))[1],
            taken=one.credited + noted.get(one.item, 0),
            due_at=one.due_at,
        )
        for one in standing_items(cur, names)
    }


def _use(cur: Cursor, row: Contract, window: Window) -> WindowUse:
    commitment = row.terms.commitment
    if commitment is None or window.start >= window.end:
        return WindowUse()
    use = use_of(
        cur, organization=row.organization, start=window.start, end=window.end, unit=commitment.overage_unit
    )
    since = 0
    if window.status == OPEN and commitment.rollover and commitment.rollover_cap is not None:
        since = drawn_since(
            cur, organization=row.organization, grants=_earlier(row, window), since=window.end
        )
    return WindowUse(line=use.line, own=use.own, since=since, exceeding=use.exceeding)


def _earlier(row: Contract, window: Window) -> list[UUID]:
    return [grant for each in row.windows if each.number <= window.number for grant, _ in each.grants]


def debt_of(cur: Cursor, locked: LockedOrganization) -> int:
    """This function will read what the customer owes of credit, in units."""
    account = account_ids(cur, organization=locked.id, currency=locked.currency).get("customer_credit")
    if account is None:
        return 0
    found = cur.execute("SELECT debt FROM accounts WHERE id = %s", (account,)).fetchone()
    return int(found[0]) if found else 0
