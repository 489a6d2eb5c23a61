"""Items that a person adds: a charge once, or an amount that is owed back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing.queries.standing import standing_of
from billing.rules.items import NewItem, items_event_data
from common.errors import CurrencyMismatch, InvalidAmount
from common.money import to_document_units
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.facts import Fact
from orgs.rules.organizations import require_customer


@dataclass(frozen=True, slots=True)
class AddedItem:
    """`amount` in units at the currency's precision; below zero it is owed back. `due_at`: from when on an invoice
    takes it; None: at the end of the customer's cycle."""

    description: str
    amount: int
    currency: str
    due_at: datetime | None = None
    tax_code: str = "standard"
    discountable: bool = True


def add_item(cur: Cursor, *, organization: UUID, new: AddedItem, author: Author) -> UUID:
    """This function will make a customer owe an amount (or be owed one) that its next invoice takes, and return the
    item's id. Raises NotFound, CurrencyMismatch and InvalidAmount (zero, or finer than the currency)."""
    locked = lock_organization(cur, organization)
    require_customer(locked)
    if new.currency != locked.currency:
        raise CurrencyMismatch(f"The customer is billed in {locked.currency}.", pointer="/currency")
    if not new.amount or to_document_units(new.amount, currency=new.currency) != new.amount:
        raise InvalidAmount(f"An invoice in {new.currency} is not finer than its coins.", pointer="/amount")
    item = NewItem(
        kind="one_time" if new.amount > 0 else "adjustment",
        description=new.description,
        currency=new.currency,
        amount=new.amount,
        due_at=new.due_at or standing_of(cur, organization).next_at,
        discountable=new.discountable and new.amount > 0,
        tax_code=new.tax_code,
    )
    data = {"items": items_event_data([item])}
    record(cur, [Fact(organization, "invoice_item", item.id, 1, "added", data, locked.now)], author=author)
    return item.id
