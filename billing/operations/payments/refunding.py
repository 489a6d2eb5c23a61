"""Giving money back through the processor: a part of a payment, or what a credit note gave back."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from billing.operations.commands.requesting import request
from billing.queries.commands import commands_about
from billing.queries.invoices import find_note
from billing.queries.payments import find_payment, list_payments, note_credit_left
from billing.rules.payments.commands import OPEN_STATES, SUCCEEDED, Command
from billing.rules.payments.minor import charged_step, from_minor, to_minor
from billing.rules.payments.row import MIRRORED, Payment
from common.errors import AmountExceedsAvailable, InvalidTransition
from common.ids import new_id
from events.store import Cursor
from ledger.operations.books import lock_books
from ledger.rules.adjustments import require_reason
from orgs.operations.facts import Author

REFUND: Final = "create_refund"
REASONS: Final = ("duplicate", "fraudulent", "requested_by_customer")
_GONE: Final = frozenset({"failed", "canceled"})
_MOST: Final = 100


def refund_payment(
    cur: Cursor,
    *,
    organization: UUID,
    payment: UUID,
    amount: int | None,
    reason: str,
    note: str,
    author: Author,
) -> Command:
    """This function will ask for a refund of `amount` units of a payment, None: of all that is left, and return its
    command; a task makes it after the commit, and its effect on the books comes with the processor's answer.

    At most what came, less what went back, is disputed, or is on its way back. `reason` is one of the processor's,
    `note` says why for our books. Raises NotFound, InvalidField (no note), InvalidTransition (nothing came),
    AmountExceedsAvailable and FinerThanProcessor.
    """
    text = require_reason(note)
    lock_books(cur, organization)
    row = find_payment(cur, organization=organization, payment=payment)
    left = refundable(cur, row)
    wanted = left if amount is None else amount
    if row.purpose == MIRRORED:
        raise InvalidTransition("Its invoice lives at the processor: it is refunded there.")
    if row.received == 0 or row.intent is None:
        raise InvalidTransition("Nothing of this payment has come.")
    if wanted <= 0 or wanted > left:
        raise AmountExceedsAvailable("That is more than is left of the payment.", pointer="/amount")
    named = {"reason": text[:500]}
    return _request(cur, row, wanted, reason, f"refund:{new_id()}", named, author)


def refund_credit_note(cur: Cursor, *, organization: UUID, note: UUID, author: Author) -> list[Command]:
    """This function will have what a credit note gave back as credit refunded to the payments of its invoice, the
    newest first, as far as they reach; the credit goes when the refund does. What is left over stays credit.

    Never more than what no other refund of these payments takes: whoever made it, it went out of the same credit. Asked
    again, the same commands are returned, and new ones for what the processor refused or failed to give back. Raises
    NotFound, and InvalidTransition when it gave no credit back, its credit went back otherwise, or no payment of its
    invoice came through the processor.
    """
    lock_books(cur, organization)
    found = find_note(cur, organization=organization, note=note)
    if found.credit <= 0:
        raise InvalidTransition("This credit note gave no credit back.")
    payments = list_payments(cur, organization=organization, invoice=found.invoice_id, limit=_MOST)
    asked = commands_about(
        cur, organization=organization, purpose=REFUND, name="credit_note", value=str(found.id)
    )
    gone = {name for row in payments for name, one in row.refunds.items() if one["status"] in _GONE}
    made = [one for one in asked if one.object_id not in gone]
    given = sum(from_minor(one.params["amount"], currency=found.currency) for one in made)
    free = note_credit_left(cur, found.invoice_id) - sum(_taking(cur, row) for row in payments)
    left = min(found.credit - given, free)
    for row in payments:
        part = min(left, refundable(cur, row))
        part -= part % charged_step(row.currency)
        if part > 0 and row.intent is not None:
            before = sum(one.order_key == row.intent for one in asked)
            key = f"credit_note:{found.id}:{row.id}" + (f":{before}" if before else "")
            named = {"credit_note": str(found.id)}
            made.append(_request(cur, row, part, "requested_by_customer", key, named, author))
            left -= part
    if not made:
        if left <= 0:
            raise InvalidTransition("The credit of this invoice's notes went back already, or is about to.")
        raise InvalidTransition("No payment of this invoice came through the processor.")
    return made


def refundable(cur: Cursor, row: Payment) -> int:
    """This function will return what of a payment (units) can be refunded: less what is disputed or on its way."""
    known: int = sum(one["amount"] for one in row.refunds.values() if one["status"] not in _GONE)
    return max(0, row.received - row.disputed - known - _on_its_way(cur, row))


def _on_its_way(cur: Cursor, row: Payment) -> int:
    """What was asked for, and the processor has not told of (units)."""
    return sum(
        from_minor(one.params["amount"], currency=row.currency)
        for one in commands_about(
            cur, organization=row.organization, purpose=REFUND, name="payment", value=str(row.id)
        )
        if one.state != SUCCEEDED or one.object_id not in row.refunds
    )


def _taking(cur: Cursor, row: Payment) -> int:
    """What refunds that are not booked yet will take of the credit of notes (units): that which the payment itself
    gave goes first."""
    waiting: int = sum(
        one["amount"]
        for name, one in row.refunds.items()
        if one["status"] not in _GONE and f"refund:{name}" not in row.applied
    )
    bought = row.excess - (row.credit_back - row.note_taken)
    return max(0, waiting + _on_its_way(cur, row) - bought)


def refund_is_on_its_way(cur: Cursor, *, organization: UUID, payment: UUID) -> bool:
    """This function will return whether a refund of a payment was asked for and its outcome is not known."""
    asked = commands_about(cur, organization=organization, purpose=REFUND, name="payment", value=str(payment))
    return any(one.state in OPEN_STATES for one in asked)


def _request(
    cur: Cursor, row: Payment, amount: int, reason: str, key: str, named: dict[str, str], author: Author
) -> Command:
    params: dict[str, Any] = {
        "payment_intent": row.intent,
        "amount": to_minor(amount, currency=row.currency),
        "reason": reason,
        "metadata": {"payment": str(row.id), **named},
        "expand": ["balance_transaction"],
    }
    return request(
        cur,
        organization=row.organization,
        purpose=REFUND,
        business_key=key,
        params=params,
        author=author,
        order_key=row.intent,
    )
