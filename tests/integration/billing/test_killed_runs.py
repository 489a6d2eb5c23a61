"""A billing run whose connection is cut at a statement, and then run again: the same invoices, none twice (B1, B2)."""

from typing import Any

import psycopg
import pytest

from common.errors import ServiceUnavailable
from tests.builders.billing import DOLLAR, Billed, billed, item, owe
from tests.builders.cutting import dying_after
from tests.builders.subscribed import fee
from tests.builders.subscriptions import now_of, owner, sell, subscribe

STEP = 9
"""Of every nine statements of a run one is tried as its last, each at another place of its nine."""


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
