"""Money that nobody could place: finance says whose it is, or that it is none of ours."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from billing.operations.findings import resolve_finding, resolve_open
from billing.operations.invoices.paying import ASSIGNED, NewPayment, record_payment
from billing.operations.payments.recording import assign_payment
from billing.queries.invoices import find_invoice
from billing.queries.payments import has_effect
from billing.rules.invoices import OPEN, UNCOLLECTIBLE
from common.errors import AmountExceedsAvailable, CurrencyMismatch, InvalidField, InvalidTransition
from events.store import Cursor
from ledger.operations.books import lock_books
from ledger.operations.grants import NewGrant, grant_credit
from orgs import PLATFORM_ID
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organizations
from webhooks.operations.reconciling.accounts import platform_ledger
from webhooks.operations.reconciling.noting import effects_findings
from webhooks.queries.reconciling.rows import charge_of, find_item, list_items
from webhooks.rules.reconciling import items as rules
from webhooks.rules.reconciling.differences import AMOUNT, CATEGORY, DOUBLE, FINDINGS, FOREIGN
from webhooks.rules.reconciling.items import Item

ENTRY: Final = "suspense_assigned"


def assign_item(
    cur: Cursor, *, item: UUID, organization: UUID, invoice: UUID | None, reason: str, author: Author
) -> Item:
    """This function will give money in suspense to an organization: it pays an invoice, or is credit that was paid for.

    What it leaves in the platform's books and what it becomes in the customer's stand against each other in
    `intercompany_clearing` (L8); what the processor holds does not change. Of a charge the payment is noted as the
    organization's, so that refunds and disputes take it back. It locks the platform and the organization.
    Raises NotFound, InvalidTransition (not in suspense, in the books by itself, or the invoice is not open),
    CurrencyMismatch, AmountExceedsAvailable (the invoice owes less), and InvalidField without a reason, for the
    platform, or where the money is not above zero.
    """
    if organization == PLATFORM_ID:
        raise InvalidField("Money is assigned to a customer.", pointer="/organization")
    found = find_item(cur, item)
    now = lock_organizations(cur, (PLATFORM_ID, organization))[PLATFORM_ID].now
    found = find_item(cur, item)
    done = rules.ended(
        found, rules.ASSIGNED, at=now, reason=reason, assigned_to=organization, assigned_invoice=invoice
    )
    if found.amount <= 0:
        raise InvalidField("Only money that came can be assigned.", pointer="/item")
    if found.category == "charge" and has_effect(cur, found.subject):
        raise InvalidTransition("It is in the books of its payment: it leaves suspense by itself.")
    if lock_books(cur, organization).currency != found.currency:
        raise CurrencyMismatch(f"This money is in {found.currency}.", pointer="/organization")
    ledger = platform_ledger(
        cur,
        {"suspense": -found.amount, "intercompany_clearing": found.amount},
        currency=found.currency,
        kind=ENTRY,
        key=f"balance_transaction:{found.balance_transaction}:assigned",
        source=f"processor_item:{found.id}",
        reason=done.reason or "",
        author=author,
    )
    record(cur, [rules.fact(done, "assigned", at=now, ledger=ledger)], author=author)
    _give(cur, done, author)
    _note_payment(cur, done, author)
    _settle_findings(cur, done, author)
    return done


def mark_foreign(cur: Cursor, *, item: UUID, reason: str, author: Author) -> Item:
    """This function will say that money in suspense is none of ours. It stays in `suspense`: the processor holds it for
    somebody else. What else moves about the same subject is marked so by itself. Raises NotFound, InvalidTransition,
    and InvalidField without a reason."""
    now = lock_organizations(cur, (PLATFORM_ID,))[PLATFORM_ID].now
    found = find_item(cur, item)
    if found.status != rules.SUSPENSE:
        raise InvalidTransition(f"This money is {found.status}, and not in suspense.")
    done = rules.ended(found, rules.FOREIGN, at=now, reason=reason)
    record(cur, [rules.fact(done, "marked_foreign", at=now)], author=author)
    _settle_findings(cur, done, author)
    return done


def _give(cur: Cursor, item: Item, author: Author) -> None:
    assert item.assigned_to is not None
    if item.assigned_invoice is None:
        grant_credit(
            cur,
            NewGrant(
                organization=item.assigned_to,
                amount=item.amount,
                currency=item.currency,
                reason=f"Assigned: {item.reason}",
                contra=(("intercompany_clearing", item.amount),),
            ),
            author=author,
        )
        return
    owing = find_invoice(cur, organization=item.assigned_to, invoice=item.assigned_invoice)
    if owing.status in (OPEN, UNCOLLECTIBLE) and item.amount > owing.total - owing.paid - owing.credited:
        raise AmountExceedsAvailable(
            "The invoice owes less than this money: assign it as credit, and pay the invoice from that.",
            pointer="/invoice",
        )
    payment = NewPayment(item.amount, item.currency, ASSIGNED, item.balance_transaction)
    record_payment(
        cur, organization=item.assigned_to, invoice=item.assigned_invoice, payment=payment, author=author
    )


def _note_payment(cur: Cursor, item: Item, author: Author) -> None:
    """What its payer gets back later is taken from whom it was given to."""
    charge = charge_of(cur, item.balance_transaction) if item.category == "charge" else None
    if charge is None:
        return
    assert item.assigned_to is not None
    kind, _, name = item.subject.partition(":")
    assign_payment(
        cur,
        lock_books(cur, item.assigned_to),
        invoice=item.assigned_invoice,
        intent=name if kind == "payment_intent" else None,
        charge=charge,
        balance=item.balance_transaction,
        amount=item.amount,
        fee=item.fee,
        paid_at=item.created_at,
        author=author,
    )


def _settle_findings(cur: Cursor, item: Item, author: Author) -> None:
    """When nothing of its subject is in suspense any more, its finding is settled; the next run ends the difference."""
    if list_items(cur, status=rules.SUSPENSE, subject=item.subject, before=None, limit=1):
        return
    reason = f"{item.status}: {item.reason}"
    for name in (FOREIGN, DOUBLE, AMOUNT, CATEGORY):
        kind = FINDINGS[name][0]
        resolve_open(cur, organization=None, kind=kind, subject=item.subject, reason=reason, author=author)
    for finding in effects_findings(cur, item.subject):
        resolve_finding(cur, finding=finding, reason=reason, author=author)
