"""From postings by kind of account to the ledger's part of an event, with the credit that moves beside it (L7)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from common.errors import AmountExceedsAvailable
from common.ids import new_id
from common.money import checked_units
from events.store import Cursor
from ledger.operations.books import Books, grants_of
from ledger.rules.corrections import as_effects, take
from ledger.rules.effects import entry, granted
from ledger.rules.grants import Grant, available, in_burn_order, is_live


def booked(
    books: Books,
    postings: Mapping[str, int],
    *,
    kind: str,
    key: str,
    source: str,
    reason: str = "",
    effective_at: datetime | None = None,
    reverses: UUID | None = None,
) -> dict[str, Any]:
    """Return the ledger's part of an event: one entry, and a grant of paid credit where credit is given.

    A grant repays debt first. Nothing where nothing is posted. What would take effect in a closed month does so at the
    beginning of the first open one, and says so. Raises AmountOutOfRange.
    """
    if not postings:
        return {}
    made = entry(
        kind=kind,
        key=key,
        source=source,
        lines=[books.line(name, checked_units(amount)) for name, amount in postings.items()],
        currency=books.currency,
        reason=books.late_reason(reason, effective_at),
        effective_at=books.in_open_month(effective_at),
        reverses=None if reverses is None else str(reverses),
    )
    ledger: dict[str, Any] = {"entries": [made]}
    credit = postings.get("customer_credit", 0)
    if credit > 0:
        ledger |= _credited(books, credit, reason=reason, source=source)
    return ledger


def entry_of(ledger: Mapping[str, Any]) -> UUID | None:
    """Return the id of the entry in a ledger part, where there is one."""
    entries = ledger.get("entries")
    return UUID(entries[0]["id"]) if entries else None


def payable(cur: Cursor, books: Books) -> int:
    """Return how much (units) of the customer's credit can pay an invoice."""
    grants = [grant for grant in grants_of(cur, books) if is_live(grant, books.now)]
    bought = sum(grant.remaining - grant.held for grant in grants if _pays(grant))
    return max(min(bought, available(grants, books.debt, books.now)), 0)


def burned(cur: Cursor, books: Books, amount: int) -> dict[str, Any]:
    """Return what paying an amount (units) from the customer's credit does to its grants. What a plan or a contract
    gives pays for use alone: it would pay for the fee that brought it.

    Raises AmountExceedsAvailable: only what is free can pay.
    """
    grants = [grant for grant in grants_of(cur, books) if is_live(grant, books.now)]
    if amount > available(grants, books.debt, books.now):
        raise AmountExceedsAvailable("The customer has less credit than that.", pointer="/amount")
    everyones = [grant for grant in in_burn_order(grants) if _pays(grant)]
    moved = take(everyones, amount)
    if moved.debt:
        raise AmountExceedsAvailable("The customer has less credit than that.", pointer="/amount")
    return as_effects(moved, account=books.credit)


def _pays(grant: Grant) -> bool:
    return grant.scope == "organization" and grant.source == "credit"


def _credited(books: Books, amount: int, *, reason: str, source: str) -> dict[str, Any]:
    checked_units(books.posted + amount)
    repaid = min(books.debt, amount)
    made = granted(
        grant=new_id(),
        account=books.credit,
        kind="paid",
        currency=books.currency,
        amount=amount,
        cost_basis=amount,
        effective_at=books.now,
        reason=reason,
        source=source,
        repaid=repaid,
    )
    part: dict[str, Any] = {"granted": [made]}
    if repaid:
        part["debt"] = [[str(books.credit), -repaid]]
    return part
