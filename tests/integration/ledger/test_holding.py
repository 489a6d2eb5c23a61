"""Holds outside of the gate: a floor that no hold passes (L6), and one end only (L5)."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from common.errors import AmountExceedsAvailable, InvalidField, InvalidTransition, NotFound
from common.ids import new_id
from ledger.operations.grants import expire_grants
from ledger.operations.holding import place_hold, post_hold, void_hold
from ledger.queries.integrity import violations
from ledger.queries.replay import replayed_violations
from orgs.operations.clock import advance_clock
from tests.builders.books import balances, give, open_books, rows
from tests.builders.gate import UNIT
from tests.builders.orgs import AUTHOR, write
from tests.invariants import Still


def hold(organization: UUID, amount: int, kind: str = "customer_credit", source: str = "test:hold") -> UUID:
    return write(
        lambda cur: place_hold(
            cur, organization=organization, kind=kind, amount=amount, source=source, author=AUTHOR
        )
    )


def use(organization: UUID, name: UUID, amount: int, contra: str = "revenue") -> UUID:
    return write(
        lambda cur: post_hold(
            cur,
            organization=organization,
            hold=name,
            amount=amount,
            contra_kind=contra,
            reason="used",
            author=AUTHOR,
        )
    )


def free(organization: UUID, name: UUID, **given: Any) -> None:
    write(lambda cur: void_hold(cur, organization=organization, hold=name, author=AUTHOR, **given))


def held(organization: UUID) -> dict[str, int]:
    found = rows(
        "SELECT account_kind, held FROM v_balances WHERE organization = %s AND held <> 0", organization
    )
    return dict(found)


def sound(organization: UUID) -> bool:
    checks: list[Callable[..., list[Any]]] = [violations, replayed_violations]
    return all(write(lambda cur, check=check: check(cur, [organization])) == [] for check in checks)  # type: ignore[misc]


def test_a_hold_takes_what_is_available_and_no_unit_more() -> None:
    organization = open_books()
    give(organization, "10")
    hold(organization, 4 * UNIT)
    with Still(organization), pytest.raises(AmountExceedsAvailable):
        hold(organization, 6 * UNIT + 1)
    hold(organization, 6 * UNIT)
    assert held(organization) == {"customer_credit": 10 * UNIT}
    with Still(organization), pytest.raises(AmountExceedsAvailable):
        hold(organization, 1)
    assert sound(organization)


def test_a_postpaid_line_is_held_down_to_its_limit() -> None:
    organization = open_books(funding="postpaid", credit_limit=5 * UNIT)
    hold(organization, 5 * UNIT, "unbilled_receivable")
    with Still(organization), pytest.raises(AmountExceedsAvailable):
        hold(organization, 1, "unbilled_receivable")
    assert sound(organization)


def test_a_prepaid_customer_has_no_line() -> None:
    organization = open_books()
    with Still(organization), pytest.raises(AmountExceedsAvailable):
        hold(organization, 1, "unbilled_receivable")


def test_what_is_used_is_posted_and_the_rest_is_free() -> None:
    organization = open_books()
    give(organization, "10")
    name = hold(organization, 4 * UNIT)
    use(organization, name, 3 * UNIT)
    assert held(organization) == {}
    assert balances(organization) == {"customer_credit": 7 * UNIT, "revenue": 3 * UNIT, "cash": -10 * UNIT}
    hold(organization, 7 * UNIT)
    assert sound(organization)


@pytest.mark.parametrize("first", ["post", "void", "expire"])
@pytest.mark.parametrize("second", ["post", "void", "expire"])
def test_a_hold_ends_once(first: str, second: str) -> None:
    organization = open_books()
    give(organization, "10")
    name = hold(organization, UNIT)
    ends: dict[str, Callable[[], Any]] = {
        "post": lambda: use(organization, name, 1),
        "void": lambda: free(organization, name),
        "expire": lambda: free(organization, name, expired=True),
    }
    ends[first]()
    with Still(organization), pytest.raises(InvalidTransition):
        ends[second]()
    assert rows("SELECT status FROM holds WHERE id = %s", name) == [
        ({"post": "posted", "void": "voided", "expire": "expired"}[first],)
    ]
    assert held(organization) == {}
    assert sound(organization)


def test_more_than_is_held_is_not_used() -> None:
    organization = open_books()
    give(organization, "10")
    name = hold(organization, UNIT)
    with Still(organization), pytest.raises(AmountExceedsAvailable):
        use(organization, name, UNIT + 1)


@pytest.mark.parametrize(
    ("kind", "amount", "source"),
    [("cash", 1, "x"), ("customer_credit", 0, "x"), ("customer_credit", -1, "x"), ("customer_credit", 1, "")],
)
def test_what_is_no_hold_is_refused(kind: str, amount: int, source: str) -> None:
    organization = open_books()
    give(organization, "10")
    with Still(organization), pytest.raises(InvalidField):
        hold(organization, amount, kind, source)


def test_a_hold_of_others_is_an_unknown_one() -> None:
    organization, other = open_books(), open_books()
    give(organization, "10")
    name = hold(organization, UNIT)
    for stranger, wanted in ((other, name), (organization, new_id())):
        with Still(organization), pytest.raises(NotFound):
            free(stranger, wanted)
        with Still(organization), pytest.raises(NotFound):
            use(stranger, wanted, 1)


def test_exactly_k_of_n_at_once_are_held() -> None:
    organization = open_books()
    give(organization, "5")
    results: list[str] = []
    start = threading.Barrier(16)

    def call() -> None:
        from django.db import connection

        start.wait()
        try:
            hold(organization, UNIT)
            results.append("held")
        except AmountExceedsAvailable:
            results.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=call) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (results.count("held"), results.count("refused")) == (5, 11)
    assert held(organization) == {"customer_credit": 5 * UNIT}
    assert sound(organization)


def test_what_returns_to_a_grant_that_has_ended_is_breakage() -> None:
    organization = open_books()
    give(organization, "10", kind="promotional", lifetime=timedelta(hours=1))
    used, unused = hold(organization, 4 * UNIT), hold(organization, 3 * UNIT)
    write(lambda cur: advance_clock(cur, organization=organization, by=timedelta(hours=2), author=AUTHOR))
    write(lambda cur: expire_grants(cur, organization=organization, author=AUTHOR))
    assert balances(organization)["breakage"] == 3 * UNIT
    use(organization, used, UNIT)
    assert balances(organization)["breakage"] == 6 * UNIT
    free(organization, unused)
    assert balances(organization) == {
        "promotional_expense": -10 * UNIT, "breakage": 9 * UNIT, "revenue": UNIT,
    }  # fmt: skip
    assert sound(organization)
