"""Booking the effects of a payment's facts: each one event with its ledger part, its effect key and what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from billing.operations.dunning import notice
from billing.operations.findings import open_finding, resolve_open
from billing.operations.invoices.booking import booked
from billing.operations.invoices.paying import PROCESSOR, NewPayment, record_payment
from billing.operations.payments import automatic
from billing.operations.payments.methods import another_pays
from billing.queries.invoices import find_invoice
from billing.queries.payments import note_credit_left, payment_case
from billing.rules import invoices
from billing.rules.payments import topups
from billing.rules.payments.applied import APPLIED, UNCHANGED, Applied
from billing.rules.payments.commands import WITHDRAWN
from billing.rules.payments.effects import Effect, pending_effects
from billing.rules.payments.minor import REFUSED_AMOUNTS
from billing.rules.payments.returning import Standing, fee_postings, receipt_postings, returned
from billing.rules.payments.row import (
    CANCELED,
    FAILED,
    INVOICE,
    MIRRORED,
    SUCCEEDED,
    TOP_UP,
    Payment,
    fact,
    next_version,
)
from billing.rules.payments.views import Failure
from events.store import Cursor
from ledger.operations.books import Books, lock_books
from ledger.operations.taking_back import credit_taken
from orgs.operations.facts import Author, record
from orgs.rules.facts import Fact

DEBT: Final = "debt_after_refund"
_NO_FAILURES: Final = REFUSED_AMOUNTS | {WITHDRAWN}
_KINDS: Final[Mapping[str, str]] = {
    "refunded": "processor_refund",
    "refund_failed": "processor_refund",
    "disputed": "dispute",
    "reinstated": "dispute",
    "dispute_lost": "dispute",
}
_REASONS: Final[Mapping[str, str]] = {
    "refunded": "Refund {}",
    "refund_failed": "Refund {} failed, its money came back",
    "disputed": "Dispute {}: withdrawn",
    "reinstated": "Dispute {}: reinstated",
    "dispute_lost": "Dispute {} was lost",
}


@dataclass(frozen=True, slots=True)
class Case:
    """A payment as it is under its organization's lock: the books, who the organization is at the processor, and
    whether it is a finding that it owes."""

    books: Books
    row: Payment
    customer: str | None
    has_debt_finding: bool


def lock_case(cur: Cursor, *, organization: UUID, payment: UUID) -> Case:
    """This function will lock an organization and return its payment with what is asked of it. Raises NotFound."""
    books = lock_books(cur, organization)
    found = payment_case(
        cur, organization=organization, payment=payment, finding=DEBT, subject=_credit_of(organization)
    )
    return Case(books, *found)


def book(cur: Cursor, case: Case, merged: Payment, *, told: int = 0, author: Author) -> Applied:
    """This function will write a payment's new facts and book every effect of theirs that is not booked yet.

    `case` is the payment under its organization's lock; `merged` has the new facts. Each effect is one event; without
    any the facts alone are written. W1: a key is booked once. Then dunning and the automatic top-up are told.
    """
    before, books = case.row, case.books
    effects = pending_effects(merged, told=told)
    if not effects and merged == before:
        return Applied(UNCHANGED)
    row = merged
    if not effects:
        row = next_version(merged)
        record(cur, [fact(row, _verb(before, merged), at=books.now)], author=author)
    facts: list[Fact] = []  # what came and what it cost is one write: most payments are just that
    for effect in effects:
        if effect.verb in _KINDS:
            record(cur, facts, author=author)
            facts, books = [], lock_books(cur, row.organization)  # what came before may have moved the credit
        row, made = _effect(cur, books, row, effect, author)
        facts += made
    record(cur, facts, author=author, at_once=True)
    took = any(effect.verb in _KINDS for effect in effects)
    owes = lock_books(cur, row.organization).debt if books.debt or took else 0
    _follow(cur, before, row, author, is_clear=owes == 0 and (took or case.has_debt_finding))
    if (reason := _why_halted(before, merged, {effect.verb for effect in effects})) is not None:
        automatic.money_went_back(cur, row.organization, reason, author=author)
    return Applied(APPLIED, ", ".join(effect.key for effect in effects))


def _verb(before: Payment, merged: Payment) -> str:
    return "updated" if before.status == merged.status else merged.status


def _effect(
    cur: Cursor, books: Books, row: Payment, effect: Effect, author: Author
) -> tuple[Payment, list[Fact]]:
    """The row after an effect, and its fact where that is not written yet."""
    if effect.verb == "received":
        return _received(cur, books, row, effect, author)
    if effect.verb in ("fee_known", "warned"):
        return _noted(cur, books, row, effect, author)
    return _returned(cur, books, row, effect, author), []


def _received(
    cur: Cursor, books: Books, row: Payment, effect: Effect, author: Author
) -> tuple[Payment, list[Fact]]:
    """Money came: it settles its invoice as far as that is due, all else is the customer's credit."""
    settled = _settle(cur, row, effect, author) if row.purpose == INVOICE else 0
    over = effect.amount - settled
    done = next_version(
        row,
        status=SUCCEEDED,
        failure=None,
        received=row.received + effect.amount,
        settled=row.settled + settled,
        excess=row.excess + over,
        applied=(*row.applied, effect.key),
        paid_at=row.paid_at or books.now,
    )
    ledger: dict[str, Any] = {}
    if over and not settled:
        ledger = booked(
            books,
            receipt_postings(over),
            kind="top_up" if row.purpose == TOP_UP else "overpayment",
            key=effect.key,
            source=f"payment:{row.id}",
            reason="Credit was bought" if row.purpose == TOP_UP else "The invoice was settled already",
        )
    if over and row.purpose == INVOICE:
        detail = {"payment": str(row.id), "invoice": str(row.invoice_id), "amount": over}
        proposed = {"step": "refund it, or leave it as the customer's credit"}
        _find(cur, row, "paid_too_much", effect.key, detail, author, proposed)
    return done, [_fact(books, done, effect, ledger)]


def _settle(cur: Cursor, row: Payment, effect: Effect, author: Author) -> int:
    """How much of it settled the invoice; what is over is credit by the same entry."""
    assert row.invoice_id is not None
    found = find_invoice(cur, organization=row.organization, invoice=row.invoice_id)
    if found.status not in (invoices.OPEN, invoices.UNCOLLECTIBLE):
        return 0
    left = found.unpaid
    payment = NewPayment(effect.amount, row.currency, PROCESSOR, effect.key)
    record_payment(cur, organization=row.organization, invoice=found.id, payment=payment, author=author)
    return min(effect.amount, left)


def _noted(
    cur: Cursor, books: Books, row: Payment, effect: Effect, author: Author
) -> tuple[Payment, list[Fact]]:
    done = next_version(row, fee=row.fee + effect.fee, applied=(*row.applied, effect.key))
    ledger = booked(
        books,
        fee_postings(effect.fee),
        kind="processor_fee",
        key=effect.key,
        source=f"payment:{row.id}",
        reason="What the processor kept",
    )
    made = [_fact(books, done, effect, ledger)]
    if effect.verb == "warned":
        warning = {"payment": str(row.id), **row.warnings[str(effect.object)]}
        step = {"step": "refund the payment before it is disputed, or wait"}
        _find(cur, row, "fraud_warning", effect.key, warning, author, step)
        return done, made
    balance = row.balances[effect.key.removeprefix("balance_transaction:")]
    if balance["currency"] != row.currency:
        detail = {"payment": str(row.id), **balance}
        _find(cur, row, "balance_in_other_currency", effect.key, detail, author)
    return done, made


def _returned(cur: Cursor, books: Books, row: Payment, effect: Effect, author: Author) -> Payment:
    """Money went back, or came back from there."""
    told = replace(row, applied=(*row.applied, effect.key))
    moved = returned(told, effect, _standing(cur, row))
    done = next_version(moved.payment)
    name = effect.object
    ledger = booked(
        books,
        moved.postings,
        kind=_KINDS[effect.verb],
        key=effect.key,
        source=f"payment:{row.id}",
        reason=_REASONS[effect.verb].format(name),
    )
    taken = -moved.postings.get("customer_credit", 0)
    if taken > 0:
        ledger |= credit_taken(cur, books, taken, source=f"payment:{row.id}")
    record(cur, [_fact(books, done, effect, ledger)], author=author)
    if moved.paid:
        _move_invoice(cur, books, row, moved.paid, author)
    _find_returned(cur, row, done, effect, taken, author)
    return done


def _standing(cur: Cursor, row: Payment) -> Standing:
    if not row.pays_invoice:
        return Standing()
    assert row.invoice_id is not None
    found = find_invoice(cur, organization=row.organization, invoice=row.invoice_id)
    is_loss = found.status == invoices.UNCOLLECTIBLE
    return Standing(
        paid=found.paid,
        due=found.written_off if is_loss else found.due,
        note_credit=note_credit_left(cur, found.id),
        is_written_off=is_loss,
    )


def _move_invoice(cur: Cursor, books: Books, row: Payment, change: int, author: Author) -> None:
    assert row.invoice_id is not None
    found = find_invoice(cur, organization=row.organization, invoice=row.invoice_id)
    after = invoices.repaid(found, change, now=books.now)
    verb = "payment_reversed" if change < 0 else "payment_restored"
    told = {"payment": str(row.id), "amount": abs(change)}
    record(cur, [invoices.fact(after, verb, at=books.now, **told)], author=author)
    notice.due_changed(cur, organization=row.organization, invoice=found.id, author=author)
    if change < 0:
        notice.invoice_opened_or_overdue(cur, organization=row.organization, author=author)
    else:
        notice.payment_settled(cur, organization=row.organization, author=author)


def _find_returned(
    cur: Cursor, before: Payment, after: Payment, effect: Effect, taken: int, author: Author
) -> None:
    detail: dict[str, Any] = {
        "payment": str(before.id),
        "invoice": None if before.invoice_id is None else str(before.invoice_id),
        "amount": abs(effect.amount),
        "owed_again": after.reopened - before.reopened,
        "credit_taken": taken,
    }
    subject = f"{effect.source}"
    if effect.verb == "refund_failed":
        why = "The refund failed."
        _settled_finding(cur, before, "refund_without_note", subject, why, author)
    if effect.verb == "refunded" and before.pays_invoice and taken < -effect.amount:
        step = {"step": "issue a credit note over what is owed again, or collect it"}
        _find(cur, before, "refund_without_note", subject, detail, author, step)
    if effect.verb == "dispute_lost":
        step = {"step": "collect what is owed again, or write it off"}
        _find(cur, before, "dispute_lost", subject, detail, author, step)
    _find_beyond(cur, before, after, detail, author)
    if taken > 0 and (debt := lock_books(cur, before.organization).debt):
        step = {"step": "ask for a top-up, or write the debt off by an adjustment"}
        owed = {**detail, "debt": debt, "effect": effect.key}
        _find(cur, before, DEBT, _credit_of(before.organization), owed, author, step)


def _find_beyond(
    cur: Cursor, before: Payment, after: Payment, detail: Mapping[str, Any], author: Author
) -> None:
    """Whatever made it: while more went back than came, there is one finding about the payment."""
    subject = f"payment:{before.id}"
    besides = before.settled if before.purpose == MIRRORED else 0  # stands in suspense since it came
    if after.beyond > max(before.beyond, besides):
        beyond = {**detail, "in_suspense": after.beyond - besides}
        _find(cur, before, "returned_more_than_paid", subject, beyond, author)
    if before.beyond > besides >= after.beyond:
        why = "What was too much came back."
        _settled_finding(cur, before, "returned_more_than_paid", subject, why, author)


def _follow(cur: Cursor, before: Payment, after: Payment, author: Author, *, is_clear: bool) -> None:
    """Tell those who wait for the payment's end; debt that is repaid (`is_clear`) is no finding any more. One that was
    never sent has not failed, and one over an amount that cannot be charged says nothing of its customer."""
    if after.status in (FAILED, CANCELED) and before.is_under_way:
        failure = after.failure or {"code": after.status}
        is_failure = failure["code"] not in _NO_FAILURES
        has_other = is_failure and another_pays(cur, after, author=author)
        if after.invoice_id is not None and is_failure:
            notice.payment_failed(
                cur,
                organization=after.organization,
                invoice=after.invoice_id,
                failure=Failure(**failure),
                has_other=has_other,
                author=author,
            )
        automatic.payment_ended(cur, after, author=author)
    if after.received > before.received:
        automatic.payment_ended(cur, after, author=author)
    if is_clear:
        subject, why = _credit_of(after.organization), "The debt is repaid."
        _settled_finding(cur, after, DEBT, subject, why, author)


def _why_halted(before: Payment, merged: Payment, verbs: set[str]) -> str | None:
    """Why credit is not bought automatically any more. An inquiry, which takes no money yet, is a dispute, too."""
    if "disputed" in verbs or merged.disputes.keys() - before.disputes.keys():
        return topups.DISPUTED
    if merged.warnings.keys() - before.warnings.keys():
        return topups.WARNED
    return topups.REFUNDED if "refunded" in verbs and not merged.pays_invoice else None


def _fact(books: Books, done: Payment, effect: Effect, ledger: dict[str, Any]) -> Fact:
    told = {"effects": [[effect.source, effect.key]], "ledger": ledger}
    return fact(done, effect.verb, at=books.now, **told)


def _credit_of(organization: UUID) -> str:
    return f"customer_credit:{organization}"


def _find(
    cur: Cursor,
    row: Payment,
    kind: str,
    subject: str,
    detail: Mapping[str, Any],
    author: Author,
    proposed: Mapping[str, Any] | None = None,
) -> None:
    open_finding(
        cur,
        organization=row.organization,
        kind=kind,
        subject=subject,
        detail={"currency": row.currency, **detail},
        proposed=proposed,
        author=author,
    )


def _settled_finding(cur: Cursor, row: Payment, kind: str, subject: str, reason: str, author: Author) -> None:
    resolve_open(cur, organization=row.organization, kind=kind, subject=subject, reason=reason, author=author)
