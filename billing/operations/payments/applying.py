"""Applying what the processor says of its objects: the same for a command's outcome, an event, catch-up and
reconciliation (ADR 0016).

Each takes the object as it is now, locks the organization whose it is, and books the difference to what was applied
before, each effect once (W1), in whatever order and however often it is told (W2). What is not what we asked for moves
nothing: it is parked, and a finding.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from billing.operations.findings import open_finding, resolve_open
from billing.operations.payments.booking import Case, book, lock_case
from billing.operations.payments.payouts import apply_payout as apply_payout
from billing.queries.mirroring import linked_customer
from billing.queries.payments import place_of_payment
from billing.rules.payments.applied import FOREIGN, PARKED, UNCHANGED, Applied
from billing.rules.payments.checking import (
    Mismatch,
    dispute_mismatch,
    payment_mismatch,
    refund_mismatch,
)
from billing.rules.payments.facts import (
    OPEN_DISPUTES,
    told,
    with_balance,
    with_dispute,
    with_payment,
    with_refund,
    with_warning,
)
from billing.rules.payments.row import ASSIGNED, FAILED, Payment
from billing.rules.payments.views import (
    BalanceView,
    DisputeView,
    Failure,
    PaymentView,
    RefundView,
    WarningView,
)
from common.errors import NotFound
from common.fields import is_id
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.rules.facts import time_text

_UNKNOWN = Applied(PARKED, "its payment is not known here")


def apply_payment(cur: Cursor, view: PaymentView, *, author: Author) -> Applied:
    """This function will bring a payment to what its object says: what came settles its invoice or is credit, once.

    A payment that is not ours is foreign; that of an invoice at the processor waits until the invoice is mirrored. One
    that names our organization and that nobody asked for is parked with a finding, as is one whose amount, currency or
    customer is not what was asked for, and a second one for the same.
    """
    case = _locked(cur, view.metadata.get("payment"), intent=view.id)
    if case is None:
        return _unasked(cur, view, author)
    return _applied_payment(cur, case, view, author)


def refuse_payment(
    cur: Cursor, *, organization: UUID, payment: UUID, failure: Failure, author: Author
) -> Applied:
    """This function will note that the processor refused to make a payment, so that there is no object to look at.

    Of one that has ended already nothing changes. Raises NotFound.
    """
    case = lock_case(cur, organization=organization, payment=payment)
    if not case.row.is_under_way:
        return Applied(UNCHANGED)
    return book(cur, case, replace(case.row, status=FAILED, failure=asdict(failure)), author=author)


def apply_refund(cur: Cursor, view: RefundView, payment: PaymentView | None, *, author: Author) -> Applied:
    """This function will take back what a refund took: credit that the payment or a credit note gave, else the
    settlement of its invoice, which is owed again, with a finding. One that failed comes back.

    `payment`: its payment as it is now, which is applied first. A refund of a payment whose money has not come here yet
    waits in the payment's row.
    """
    if payment is not None:
        before = apply_payment(cur, payment, author=author)
        if before.outcome in (PARKED, FOREIGN):
            return before
    case = _locked(cur, view.metadata.get("payment"), intent=view.payment, charge=view.charge)
    if case is None:
        return _UNKNOWN
    wrong = refund_mismatch(case.row, view)
    if wrong is not None:
        return _park(cur, case.row, wrong, f"refund:{view.id}", view.created, author)
    return book(cur, case, with_refund(case.row, view), author=author)


def apply_dispute(cur: Cursor, view: DisputeView, *, author: Author) -> Applied:
    """This function will book what a dispute withdrew, brought back and cost, row by row of the balance.

    What it took of a top-up is taken of the credit at once, below zero if it is burnt. What it took of an invoice's
    payment is owed again when the dispute is lost. While it waits for evidence there is a finding.
    """
    case = _locked(cur, None, intent=view.payment, charge=view.charge)
    if case is None:
        return _UNKNOWN
    wrong = dispute_mismatch(case.row, view)
    if wrong is not None:
        return _park(cur, case.row, wrong, f"dispute:{view.id}", view.created, author)
    merged = with_dispute(case.row, view)
    done = book(cur, case, merged, author=author)
    _find_dispute(cur, case.row, merged, view, author)
    return done


def apply_warning(cur: Cursor, view: WarningView, *, author: Author) -> Applied:
    """This function will open a finding for an early fraud warning about a payment, once."""
    case = _locked(cur, None, intent=view.payment, charge=view.charge)
    if case is None:
        return _UNKNOWN
    return book(cur, case, with_warning(case.row, view), author=author)


def apply_balance(cur: Cursor, view: BalanceView, charge: str, *, author: Author) -> Applied:
    """This function will book the fee of a charge when its balance transaction is known, also late.

    In another currency than the payment's it is booked at the rate at which the processor converted, with a finding.
    """
    case = _locked(cur, None, charge=charge)
    if case is None:
        return _UNKNOWN
    row = case.row
    return book(cur, case, with_balance(row, view, of=row.received or row.amount), author=author)


def _applied_payment(cur: Cursor, case: Case, view: PaymentView, author: Author) -> Applied:
    row = case.row
    if row.purpose == ASSIGNED and row.intent == view.id:
        return Applied(UNCHANGED, "finance has assigned it")
    wrong = payment_mismatch(row, view, customer=row.customer or case.customer)
    if wrong is not None:
        return _park(cur, row, wrong, f"payment_intent:{view.id}", view.created, author)
    came = told(view)
    if row.intent not in (None, view.id):
        if not came:
            return Applied(UNCHANGED, "it is another attempt at the same payment")
        row = replace(row, intent=view.id, charge=None)
    return book(cur, case, with_payment(row, view), told=came, author=author)


def _unasked(cur: Cursor, view: PaymentView, author: Author) -> Applied:
    """Nobody asked for this payment: where it names one of ours and brought money, a person has to place it."""
    if told(view) and view.customer is not None and linked_customer(cur, view.customer) is not None:
        return Applied(PARKED, "its invoice at the processor is not known here yet")
    named = view.metadata.get("organization")
    if named is None or not is_id(named) or not told(view):
        return Applied(FOREIGN)
    detail = {
        "payment_intent": view.id,
        "amount": view.received,
        "currency": view.currency,
        "customer": view.customer,
        "created": time_text(view.created),
    }
    try:
        open_finding(
            cur,
            organization=UUID(named),
            kind="payment_unknown",
            subject=f"payment_intent:{view.id}",
            detail=detail,
            proposed={"step": "refund it, or grant it as credit"},
            author=author,
            once=True,
        )
    except NotFound:
        return Applied(FOREIGN)
    return Applied(PARKED, "nobody asked for this payment")


def _locked(
    cur: Cursor, named: str | None, *, intent: str | None = None, charge: str | None = None
) -> Case | None:
    """The payment that is meant, read under the lock: another delivery may have changed it until then."""
    ours = UUID(named) if named is not None and is_id(named) else None
    place = place_of_payment(cur, payment=ours, intent=intent, charge=charge)
    return None if place is None else lock_case(cur, organization=place[0], payment=place[1])


def _park(cur: Cursor, row: Payment, wrong: Mismatch, subject: str, created: Any, author: Author) -> Applied:
    detail = {
        "payment": str(row.id),
        "field": wrong.field,
        "ours": wrong.ours,
        "theirs": wrong.theirs,
        "created": time_text(created),
    }
    open_finding(
        cur,
        organization=row.organization,
        kind=wrong.kind,
        subject=subject,
        detail=detail,
        proposed={"step": "look at the object at the processor; refund what is not ours"},
        author=author,
        once=True,
    )
    return Applied(PARKED, f"{wrong.field} is {wrong.theirs}, not {wrong.ours}")


def _find_dispute(cur: Cursor, before: Payment, merged: Payment, view: DisputeView, author: Author) -> None:
    now, known = merged.disputes[view.id], before.disputes.get(view.id)
    subject = f"dispute:{view.id}"
    is_open, was_open = now["status"] in OPEN_DISPUTES, known and known["status"] in OPEN_DISPUTES
    if is_open and not was_open:
        detail = {name: now[name] for name in ("amount", "currency", "reason", "evidence_due_by")}
        open_finding(
            cur,
            organization=before.organization,
            kind="dispute_open",
            subject=subject,
            detail={"payment": str(before.id), **detail},
            proposed={"step": "send evidence before it is due, or accept the dispute"},
            author=author,
        )
    if was_open and not is_open:
        reason = f"The dispute is {now['status']}."
        resolve_open(
            cur,
            organization=before.organization,
            kind="dispute_open",
            subject=subject,
            reason=reason,
            author=author,
        )
