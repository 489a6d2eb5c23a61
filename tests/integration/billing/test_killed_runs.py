"""A billing run whose connection is cut at a statement, and then run again: the same invoices, none twice (B1, B2)."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
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
def dying_after(*, statements: int = -1, commits: int = -1) -> Iterator[None]:
    """A block in which this thread's connection is lost at a statement, or at a COMMIT."""
    connections.close_all()
    connection = connections["default"]
    connection.ensure_connection()
    raw = connection.connection
    usual = raw.cursor_factory
    raw.cursor_factory = Dying
    Dying.left = statements
    committing = itertools.count(1)

    def commit() -> None:
        if next(committing) == commits:
            raw.close()
            raise psycopg.OperationalError("the connection is lost")
        type(raw).commit(raw)

    raw.commit = commit
    try:
        yield
    finally:
        Dying.left = -1
        raw.cursor_factory = usual
        del raw.commit
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


@pytest.fixture(scope="module")
def expected() -> list[tuple[Any, ...]]:
    """What a customer is invoiced whose run nothing stops."""
    whole = due_customer()
    whole.run()
    found = outcome(whole)
    assert round(sum(float(one[2]) for one in found), 2) == 108.01
    return found


def died(expected: list[tuple[Any, ...]], **where: int) -> bool:
    """Whether a run died there; then it was run again, with the same outcome."""
    made = due_customer()
    try:
        with dying_after(**where):
            made.run()
    except (ServiceUnavailable, psycopg.Error):
        made.run()
        assert outcome(made) == expected, where
        counters = [one["number"] for one in made.invoices()]
        assert len(set(counters)) == len(counters)
        made.assert_sound()
        return True
    return False


def test_gives_the_same_invoices_whichever_statement_was_its_last(expected: list[tuple[Any, ...]]) -> None:
    deaths = 0
    while died(expected, statements=1 + deaths * STEP + (deaths + 1) % STEP):
        deaths += 1
    assert deaths > 10


def test_gives_the_same_invoices_whichever_commit_was_lost(expected: list[tuple[Any, ...]]) -> None:
    deaths = 0
    while died(expected, commits=deaths + 1):
        deaths += 1
    assert deaths > 10
