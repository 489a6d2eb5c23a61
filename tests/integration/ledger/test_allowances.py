"""Grants that a plan or a contract gives: what stands against them, and what becomes of what they leave."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from common.errors import InvalidField
from ledger.operations.grants import NewGrant, grant_credit
from ledger.operations.holding import place_hold, post_hold, void_hold
from orgs.operations.clock import advance_clock
from tests.builders.books import balances, give, one, open_books
from tests.builders.gate import UNIT
from tests.builders.ledger import sweep, wrong
from tests.builders.orgs import AUTHOR, write
from tests.builders.waterfall import HOUR
from tests.invariants import Still

MIXED = (("deferred_revenue", 20 * UNIT), ("promotional_expense", 5 * UNIT))


def included(organization: UUID, **given: Any) -> UUID:
    """25 of allowance for an hour, 20 of it out of the fee."""
    return give(organization, "25", kind="included", source="allowance", lifetime=HOUR, contra=MIXED, **given)


def hold(organization: UUID, amount: int) -> UUID:
    return write(
        lambda cur: place_hold(
            cur,
            organization=organization,
            kind="customer_credit",
            amount=amount,
            source="test:1",
            author=AUTHOR,
        )
    )


def pass_an_hour(organization: UUID) -> None:
    write(lambda cur: advance_clock(cur, organization=organization, by=HOUR, author=AUTHOR))


def test_what_stands_against_a_grant_may_have_parts() -> None:
    organization = open_books()
    grant = included(organization)
    assert balances(organization) == {
        "customer_credit": 25 * UNIT, "deferred_revenue": -20 * UNIT, "promotional_expense": -5 * UNIT,
    }  # fmt: skip
    assert one("SELECT cost_basis FROM credit_grants WHERE id = %s", grant) == 20 * UNIT
    assert one("SELECT gift FROM credit_grants WHERE id = %s", grant) == 5 * UNIT


@pytest.mark.parametrize(
    ("kind", "against"),
    [
        ("paid", "cash"),
        ("promotional", "promotional_expense"),
        ("included", "deferred_revenue"),
        ("committed", "deferred_revenue"),
    ],
)
def test_without_parts_it_is_the_account_of_its_kind(kind: str, against: str) -> None:
    organization = open_books()
    give(organization, "3", kind=kind, source="commitment")
    assert balances(organization) == {"customer_credit": 3 * UNIT, against: -3 * UNIT}


@pytest.mark.parametrize(
    "given",
    [
        {"contra": (("deferred_revenue", UNIT),)},
        {"contra": (("deferred_revenue", 3 * UNIT), ("promotional_expense", -UNIT))},
        {"contra": (("deferred_revenue", 2 * UNIT), ("promotional_expense", 0))},
        {"contra": (("deferred_revenue", UNIT), ("deferred_revenue", UNIT))},
        {"contra": (("unbilled_receivable", 2 * UNIT),)},
        {"contra": (("customer_credit", 2 * UNIT),)},
        {"contra": (("nothing", 2 * UNIT),)},
        {"source": "postpaid"},
        {"kind": "given"},
    ],
)
def test_a_grant_that_does_not_add_up_is_refused(given: dict[str, Any]) -> None:
    organization = open_books()
    new = NewGrant(organization, 2 * UNIT, "USD", **{"kind": "included", "reason": "test", **given})
    with Still(organization), pytest.raises((InvalidField, KeyError)):
        write(lambda cur: grant_credit(cur, new, author=AUTHOR))


def test_no_parts_at_all_are_refused() -> None:
    organization = open_books()
    new = NewGrant(organization, 2 * UNIT, "USD", kind="included", reason="test", contra=())
    with Still(organization), pytest.raises(InvalidField):
        write(lambda cur: grant_credit(cur, new, author=AUTHOR))


def test_a_free_allowance_that_ends_unused_leaves_no_trace_in_income() -> None:
    organization = open_books()
    give(
        organization,
        "5",
        kind="included",
        source="allowance",
        lifetime=HOUR,
        contra=(("promotional_expense", 5 * UNIT),),
    )
    pass_an_hour(organization)
    assert sweep(organization) == 1
    assert balances(organization) == {}
    assert wrong(organization) == []


def test_promotional_credit_stays_breakage() -> None:
    organization = open_books()
    give(organization, "5", kind="promotional", lifetime=HOUR)
    pass_an_hour(organization)
    sweep(organization)
    assert balances(organization) == {"promotional_expense": -5 * UNIT, "breakage": 5 * UNIT}


@pytest.mark.parametrize(("used", "broken", "given"), [(0, 20, 0), (2, 18, 0), (3, 17, 0), (8, 17, 5)])
def test_what_comes_back_of_a_hold_after_its_end_gives_the_gift_back_once(
    used: int, broken: int, given: int
) -> None:
    """17 break at the end; what is held then is the last of the grant, and so holds the gift."""
    organization = open_books()
    included(organization)
    whose: dict[str, Any] = {
        "organization": organization,
        "author": AUTHOR,
        "hold": hold(organization, 8 * UNIT),
    }
    pass_an_hour(organization)
    sweep(organization)
    posted: dict[str, Any] = {"amount": used * UNIT, "contra_kind": "revenue", "reason": ""}
    if used:
        write(lambda cur: post_hold(cur, **whose, **posted))
    else:
        write(lambda cur: void_hold(cur, **whose))
    expected = {"deferred_revenue": -20, "breakage": broken, "revenue": used, "promotional_expense": -given}
    assert balances(organization) == {kind: amount * UNIT for kind, amount in expected.items() if amount}
    assert wrong(organization) == []


def test_its_breakage_waits_as_long_as_it_was_told_to() -> None:
    organization = open_books()
    included(organization, breaks_after=timedelta(hours=1))
    pass_an_hour(organization)
    assert sweep(organization) == 0
    pass_an_hour(organization)
    assert sweep(organization) == 1
    assert balances(organization) == {"deferred_revenue": -20 * UNIT, "breakage": 20 * UNIT}
