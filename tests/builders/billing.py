"""What billing's tests need: items that a customer owes, made by an event of the stream that would make them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from billing.operations.billing import bill_customer
from billing.queries.invoices import LineRow, lines_of, list_invoices
from billing.rules.invoices import Invoice
from billing.rules.items import NewItem, items_event_data
from common.ids import new_id
from events.store import Cursor, Event, append
from orgs.operations.locks import lock_organization
from tests.builders.orgs import AUTHOR, write

CENT = 1_000_000
DOLLAR = 100 * CENT
DUE = datetime(2026, 3, 1, tzinfo=UTC)


def item(**given: Any) -> NewItem:
    """An item over 49.00 USD that is due on 1 March 2026, unless said otherwise."""
    values: dict[str, Any] = {
        "kind": "recurring",
        "description": "Advanced plan",
        "currency": "USD",
        "amount": 49 * DOLLAR,
        "due_at": DUE,
        **given,
    }
    return NewItem(**values)


def owe(organization: UUID, *new: NewItem) -> list[UUID]:
    """Make the customer owe these items, as a subscription would; their ids."""

    def operation(cur: Cursor) -> None:
        now = lock_organization(cur, organization).now
        data = {"items": items_event_data(new)}
        append(
            cur,
            [
                Event(
                    organization, "subscription", new_id(), 1, "subscription.charged", data, now, AUTHOR.actor
                )
            ],
        )

    write(operation)
    return [one.id for one in new]


def make_run(organization: UUID) -> int:
    """Do what is due in a customer's billing; how many steps that were."""
    return bill_customer(organization=organization)


def invoices(organization: UUID) -> list[Invoice]:
    """A customer's invoices, oldest first."""
    found = write(
        lambda cur: list_invoices(
            cur, organization=organization, status=None, number=None, before=None, limit=1000
        )
    )
    return found[::-1]


def lines(invoice: UUID) -> list[LineRow]:
    """The lines of an invoice."""
    return write(lambda cur: lines_of(cur, invoice))
