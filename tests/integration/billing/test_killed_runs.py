"""A billing run that dies at a statement, and is then run again: the same invoices, none twice (B1, B2).

FULL=1: at every statement; else at some of them.
"""

from collections.abc import Callable
from typing import Any, Final

import psycopg
import pytest

from common.errors import ServiceUnavailable
from tests.builders.billing import DOLLAR, Billed, billed, item, owe
from tests.builders.books import balances, rows
from tests.builders.catalog import make_coupon
from tests.builders.contracts import agreed, commitment
from tests.builders.cutting import dying_after
from tests.builders.gate import units
from tests.builders.metering import make_meter, new_event, record
from tests.builders.sizes import IS_FULL
from tests.builders.subscribed import fee, metered
from tests.builders.subscriptions import now_of, owner, sell, subscribe
from tests.integration.billing.sending_command import killed_while_billing

STEP: Final = 1 if IS_FULL else 41
"""Of so many statements of a run one is tried as its last, each at another place of them."""
COMMITS: Final = 1 if IS_FULL else 3
Found = dict[str, Any]


@pytest.fixture(scope="module")
def plan() -> tuple[str, str, str]:
    """A fee and a metered charge, by key, the type of event that is counted, and a coupon."""
    meter = make_meter("sum")
    sold = sell(fee("49"), metered("use", meter=meter.key))
    return sold.plan_key, meter.definition.event_type or "", make_coupon(percent="20").code


def due_customer(plan: tuple[str, str, str]) -> Billed:
    """A taxed customer with a month of use, of which a contract's commitment pays a part and is not used up, a fee with
    a coupon, a metered charge and an item, all of it due."""
    key, kind, coupon = plan
    made = billed("DE", credit_limit=units("1000"))
    subscribe(owner(made.id), key, coupons=[coupon])
    agreed(made.id, "5", days=10, commitment=commitment("postpaid", "segment"))
    made.use("1.005", "2")
    record(made.id, new_event(kind, now_of(made.id), {"units": "250"}))
    owe(made.id, item(due_at=now_of(made.id), amount=7 * DOLLAR))
    made.customer.pass_time(days=12)
    made.use("3.5")
    made.customer.pass_time(days=20)
    return made


def outcome(made: Billed) -> Found:
    """What came of the run: each invoice with its lines, what was metered, the contract's window, and the books."""
    amounts = ("kind", "amount", "discount", "net", "tax")
    return {
        "invoices": [
            {
                **{name: one[name] for name in ("cause", "status", "discount", "net", "tax", "total")},
                "lines": [tuple(line[name] for name in amounts) for line in made.lines(one["id"])],
            }
            for one in made.invoices()
        ],
        "metered": rows(
            "SELECT charge, funding->0->>0 FROM usage_records WHERE organization = %s AND agent_id IS NULL",
            made.id,
        ),
        "windows": rows(
            "SELECT w.status, w.used, w.line, w.true_up FROM contract_windows w WHERE w.organization = %s",
            made.id,
        ),
        "books": balances(made.id),
    }


@pytest.fixture(scope="module")
def expected(plan: tuple[str, str, str]) -> Found:
    """What comes of a run that nothing stops."""
    whole = due_customer(plan)
    whole.run()
    found = outcome(whole)
    kinds = {line[0] for invoice in found["invoices"] for line in invoice["lines"]}
    assert kinds >= {"recurring", "metered", "usage", "commitment", "true_up"}
    assert any(float(invoice["discount"]) for invoice in found["invoices"])
    assert all(float(invoice["tax"]) for invoice in found["invoices"])
    return found


def cut(made: Billed, **where: int) -> bool:
    """Whether the run's connection was lost there."""
    try:
        with dying_after(**where):
            made.run()
    except (ServiceUnavailable, psycopg.Error):
        return True
    return False


def assert_same(made: Billed, expected: Found) -> None:
    """Run again what died, and compare."""
    made.run()
    assert outcome(made) == expected
    numbers = [one["number"] for one in made.invoices() if one["number"] is not None]
    assert len(set(numbers)) == len(numbers)
    made.assert_sound()


def dies_everywhere(plan: tuple[str, str, str], expected: Found, dies: Callable[[Billed, int], bool]) -> int:
    """Let a run die at one statement after the other, until one outlives them all; how many died."""
    deaths = 0
    while True:
        made = due_customer(plan)
        if not dies(made, 1 + deaths * STEP + (deaths + 1) % STEP):
            assert outcome(made) == expected
            return deaths
        assert_same(made, expected)
        deaths += 1


def test_gives_the_same_invoices_whichever_statement_was_its_last(
    plan: tuple[str, str, str], expected: Found
) -> None:
    deaths = dies_everywhere(plan, expected, lambda made, statement: cut(made, statements=statement))
    assert deaths * STEP > 200


def test_gives_the_same_invoices_whichever_statement_its_process_was_killed_at(
    plan: tuple[str, str, str], expected: Found
) -> None:
    deaths = dies_everywhere(
        plan, expected, lambda made, statement: killed_while_billing(made.id, statement=statement)
    )
    assert deaths * STEP > 200


def test_gives_the_same_invoices_whichever_commit_was_lost(
    plan: tuple[str, str, str], expected: Found
) -> None:
    commit, made = 1, due_customer(plan)
    while cut(made, commits=commit):
        assert_same(made, expected)
        commit, made = commit + COMMITS, due_customer(plan)
    assert commit > 10
