"""Closing a case: whoever settles an invoice says so in that very transaction, and the gate is open after it (S91)."""

from __future__ import annotations

from uuid import UUID

from billing.operations.dunning.collection import ask, collectable
from billing.operations.dunning.recording import Turn, mark_all_recovered
from billing.operations.dunning.trouble import end_trouble
from billing.operations.findings import resolve_open
from billing.queries.dunning import find_open_case, overdue_balances
from billing.rules.dunning.machine import PAYMENT, moved, outcomes_in, recounted
from billing.rules.dunning.states import CLOSED, WRITTEN_OFF
from billing.rules.findings import NOT_CHARGEABLE
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization


def payment_settled(cur: Cursor, *, organization: UUID, author: Author) -> None:
    """This function will close the customer's case when all its invoices are settled: paid, credited in full, void, or
    written off (those of a case that is itself written off: paid after all).

    With it the gate opens for whatever is funded: the first call after this transaction passes. With something unpaid
    the case stays as it is, and no longer waits for the invoices that are settled. Without a case nothing happens.
    Raises NotFound.
    """
    locked = lock_organization(cur, organization)
    case = find_open_case(cur, organization)
    if case is not None:
        close_if_settled(Turn(cur, locked, case, author, PAYMENT))


def due_changed(cur: Cursor, *, organization: UUID, invoice: UUID, author: Author) -> None:
    """This function will settle the finding that no method can pay what is due on an invoice, for another amount is due
    by now, or none. What is due in a case is asked for before anything else happens there; one by overdue balance is
    closed where that is below every threshold. Raises NotFound."""
    was_found = resolve_open(
        cur,
        organization=organization,
        kind=NOT_CHARGEABLE,
        subject=f"invoice:{invoice}",
        reason="Another amount is due by now.",
        author=author,
    )
    case = find_open_case(cur, organization)
    if case is None:
        return
    turn = Turn(cur, lock_organization(cur, organization), case, author, PAYMENT)
    if case.policy.is_by_balance and close_if_settled(turn):
        return
    if was_found and not turn.case.pending and not turn.case.is_hard and invoice in collectable(turn):
        ask(turn, None)


def close_if_settled(turn: Turn) -> bool:
    """This function will close a case that waits for nothing any more, and return whether it did: all is settled, or by
    overdue balance no currency is at its threshold. The campaign of one that is not ends, that of one that is begins.
    """
    unpaid = {found.id for found in turn.unpaid()}
    now = turn.locked.now
    if unpaid:
        fewer = outcomes_in(turn.case, unpaid, now=now, trigger=turn.trigger)
        if fewer is not None:
            turn.take(fewer)
        if _is_at_a_threshold(turn):
            return False
    closed = moved(
        turn.case, CLOSED, now=now, trigger=turn.trigger, is_settled=not unpaid, is_below=bool(unpaid)
    )
    turn.take(closed)
    turn.publish()
    mark_all_recovered(turn)
    end_trouble(turn.cur, organization=turn.locked.id)
    return True


def _is_at_a_threshold(turn: Turn) -> bool:
    """Whether a case with something unpaid goes on; its campaigns are those of the currencies for which it does."""
    if not turn.case.policy.is_by_balance or turn.case.state == WRITTEN_OFF:
        return True
    reached = turn.case.policy.reached(overdue_balances(turn.cur, turn.locked.id, turn.locked.now))
    if not reached:
        return False
    changed = recounted(turn.case, reached, now=turn.locked.now, trigger=turn.trigger)
    if changed is not None:
        turn.take(changed)
    return True
