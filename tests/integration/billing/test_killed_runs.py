"""A billing run whose connection is cut at a statement, and then run again: the same invoices, none twice (B1, B2)."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connections

from common.errors import ServiceUnavailable
from tests.builders.billing import DOLLAR, Billed, billed, item, owe
from tests.builders.subscribed import fee
from tests.builders.subscriptions import now_of, owner, sell, subscribe

STEP = 9
"""Of every nine statements of a run one is tried as its last, each at another place of its nine."""


class Dying(psycopg.Cursor[Any]):
    """A cursor whose connection is lost at the statement after so many."""

    left = -1

    def execute(self, *args: Any, **given: Any) -> Any:
        """Count down."""
        Dying.left -= 1
        if Dying.left == 0:
            self.connection.close()
            raise psycopg.OperationalError("the connection is lost")
        return super().execute(*args, **given)


@contextmanager
def dying_after(statements: int) -> Iterator[None]:
    """A block in which this thread's connection is lost at a statement."""
    connections.close_all()
    connection = connections["default"]
    connection.ensure_connection()
    connection.connection.cursor_factory = Dying
    Dying.left = statements
    try:
        yield
    finally:
        Dying.left = -1
        connections.close_all()


def due_customer() -> Billed:
    """A customer with a month of use, a subscription and an item, all of it due."""
    made = billed()
    subscribe(owner(made.id), sell(fee("49")))
    made.use("1.005", "2")
    owe(made.id, item(due_at=now_of(made.id), amount=7 * DOLLAR))
    made.customer.pass_time(days=32)
    return made


def outcome(made: Billed) -> list[tuple[Any, ...]]:
    """What the customer was invoiced: cause, state and total of each invoice, and its lines."""
    return [
        (
            one["cause"],
            one["status"],
            one["total"],
            [(line["kind"], line["amount"]) for line in made.lines(one["id"])],
        )
        for one in made.invoices()
    ]


def test_gives_the_same_invoices_wherever_it_was_killed() -> None:
    whole = due_customer()
    whole.run()
    expected = outcome(whole)
    assert round(sum(float(one[2]) for one in expected), 2) == 108.01
    deaths = 0
    for number in itertools.count(1):
        made = due_customer()
        try:
            with dying_after(1 + (number - 1) * STEP + number % STEP):
                made.run()
        except (ServiceUnavailable, psycopg.Error):
            deaths += 1
        else:
            break
        made.run()
        assert outcome(made) == expected, number
        counters = [one["number"] for one in made.invoices()]
        assert len(set(counters)) == len(counters)
        made.assert_sound()
    assert deaths > 10
