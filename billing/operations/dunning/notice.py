"""What others tell dunning, in their own transaction: an invoice is due, a payment went or failed, a new method came.

One authority (S95): webhook, command, timer, admin and reconciliation all come through these and through `commanding`;
each locks the organization, lets the machine decide, and records what follows. Without a case, and with nothing
overdue, they do nothing.
"""

from __future__ import annotations

from uuid import UUID

from billing.operations.dunning.advancing import advance, advance_customer, take_in
from billing.operations.dunning.collection import ask
from billing.operations.dunning.recording import Turn
from billing.operations.dunning.settling import due_changed, payment_settled
from billing.queries.dunning import find_open_case
from billing.rules.dunning import machine
from billing.rules.dunning.machine import INVOICE, METHOD, PAYMENT
from billing.rules.payments.views import Failure
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization


def invoice_opened_or_overdue(cur: Cursor, *, organization: UUID, author: Author) -> None:
    """This function will open a case for a customer's first overdue invoice, or let further ones join it, and do what
    is due. Raises NotFound."""
    advance_customer(cur, organization=organization, author=author, trigger=INVOICE)


def payment_failed(
    cur: Cursor,
    *,
    organization: UUID,
    invoice: UUID,
    failure: Failure,
    has_other: bool = False,
    author: Author,
) -> None:
    """This function will note that a payment of an invoice failed, and take the step that waited for its outcome.

    An overdue invoice in no case opens or joins one first. A failure of an invoice that is settled meanwhile, or not
    due yet, changes nothing. A hard decline skips further retries until there is a new method; with `has_other` another
    than the failed one pays by now, and is asked at once. Raises NotFound.
    """
    locked = lock_organization(cur, organization)
    case = find_open_case(cur, organization)
    turn = Turn(cur, locked, case, author, PAYMENT)
    if case is None or invoice not in case.invoices:
        take_in(turn, case)
    if not turn.has_case or invoice not in {found.id for found in turn.unpaid()}:
        return
    if has_other and not turn.case.wants_retry:
        turn.take(machine.method_noted(turn.case, now=locked.now, trigger=PAYMENT))
    turn.take(machine.failed(turn.case, invoice, failure, now=locked.now, trigger=PAYMENT))
    if turn.case.wants_retry and not turn.case.pending:
        ask(turn, None)
    advance(turn)


def payment_withdrawn(cur: Cursor, *, organization: UUID, invoice: UUID, author: Author) -> None:
    """This function will no longer wait for a payment of an invoice that was not sent, because less is due by now, and
    that cannot be asked for: it is no failure, and the steps go on. Raises NotFound."""
    locked = lock_organization(cur, organization)
    case = find_open_case(cur, organization)
    if case is None:
        return
    turn = Turn(cur, locked, case, author, PAYMENT)
    left = [each for each in case.pending if each != invoice]
    fewer = machine.outcomes_in(case, left, now=locked.now, trigger=PAYMENT)
    if fewer is not None:
        turn.take(fewer)
        advance(turn)


def method_changed(cur: Cursor, *, organization: UUID, author: Author) -> None:
    """This function will have everything that is unpaid in the customer's case collected at once by a new payment
    method; while another payment is under way, as soon as that has failed. Raises NotFound."""
    locked = lock_organization(cur, organization)
    case = find_open_case(cur, organization)
    if case is None:
        return
    turn = Turn(cur, locked, case, author, METHOD)
    if case.pending:
        turn.take(machine.method_noted(case, now=locked.now, trigger=METHOD))
    else:
        ask(turn, None)
    advance(turn)


__all__ = [
    "due_changed",
    "invoice_opened_or_overdue",
    "method_changed",
    "payment_failed",
    "payment_settled",
    "payment_withdrawn",
]
