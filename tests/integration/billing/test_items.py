"""Items of billing's events as rows, and what takes them."""

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

import psycopg
import pytest

from billing.projections.items import project
from common.ids import new_id
from events.store import Cursor, Event
from tests.builders.billing import CENT, DUE, item, owe
from tests.builders.orgs import make_organization, write


def rows(*ids: UUID) -> list[tuple[Any, ...]]:
    """The items' rows, as far as these tests ask."""
    return write(
        lambda cur: cur.execute(
            "SELECT amount, quantity, due_at, source LIKE 'invoice_item:%%', invoice_id, line FROM invoice_items"
            " WHERE id = ANY(%s::uuid[]) ORDER BY id",
            ([str(name) for name in ids],),
        ).fetchall()
    )


def invoiced(organization: UUID, invoice: UUID, **data: Any) -> Event:
    """An event of an invoice that takes or gives back."""
    return Event(organization, "invoice", invoice, 1, "invoice.test", data, DUE, "system:test")


@pytest.fixture
def organization() -> UUID:
    """A customer."""
    return make_organization()


class TestItemsOfEvents:
    def test_an_event_of_a_billing_stream_makes_rows_of_its_items(self, organization: UUID) -> None:
        ids = owe(organization, item(amount=-CENT, quantity=Fraction(5, 31)), item())
        due = datetime(2026, 3, 1, tzinfo=UTC)
        assert rows(*ids) == [
            (-CENT, "5/31", due, True, None, None),
            (4_900 * CENT, None, due, True, None, None),
        ]

    def test_an_invoice_takes_items_and_gives_them_back(self, organization: UUID) -> None:
        (name,), invoice = owe(organization, item()), new_id()

        def passing(*events: Event) -> Any:
            def operation(cur: Cursor) -> Any:
                project(cur, events)
                return cur.execute(
                    "SELECT invoice_id, line FROM invoice_items WHERE id = %s", (name,)
                ).fetchone()

            return write(operation)

        take = invoiced(organization, invoice, taken=[[str(name), 3]])
        back = invoiced(organization, invoice, given_back=[[str(name), None]])
        assert passing(take) == (invoice, 3)
        assert passing(back) == (None, None)
        assert passing(take, back, take) == (invoice, 3)
        assert passing(back) == (None, None)

    def test_an_item_without_an_invoice_has_no_line(self, organization: UUID) -> None:
        (name,) = owe(organization, item())
        with pytest.raises(psycopg.errors.CheckViolation):
            write(lambda cur: cur.execute("UPDATE invoice_items SET line = 1 WHERE id = %s", (name,)))
