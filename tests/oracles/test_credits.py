"""Worked examples of credit (section 9): grants on the rules of the ledger, what is voided through HTTP."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

from billing.rules.amounts import exact_text
from ledger.rules.grants import Grant, GrantSubject, allocate, available
from tests.builders.books import balances, give, open_books
from tests.builders.charges import amount, charge
from tests.builders.orgs import platform, unique
from tests.invariants import Still, assert_sound

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MAJOR = 10**8
ANYBODY = GrantSubject()


def grant(number: int, remaining: int, *, priority: int = 0, expires_at: datetime | None = None) -> Grant:
    """A grant; the smaller its number, the older it is."""
    return Grant(
        id=number,
        kind="paid",
        priority=priority,
        scope="organization",
        scope_target=None,
        remaining=remaining * MAJOR,
        held=0,
        effective_at=NOW - timedelta(days=90),
        expires_at=expires_at,
        created_at=NOW - timedelta(days=60) + timedelta(days=number),
    )


def burn(grants: list[Grant], usage: int) -> tuple[list[int], list[int], int]:
    """What is consumed in order, what each grant has left, and what is not covered."""
    taken, missing = allocate(grants, usage * MAJOR, NOW, ANYBODY)
    burnt = {grant: part for _, grant, part in taken}
    left = [(each.remaining - burnt.get(each.id, 0)) // MAJOR for each in grants]
    return [part // MAJOR for _, _, part in taken], left, missing // MAJOR


@pytest.mark.parametrize(
    ("case", "grants", "usage", "consumed", "left"),
    [
        ("K1", [(100, 0)], 40, [40], [60]),
        ("K3", [(20, 1), (25, 2), (25, 2), (30, 2)], 80, [20, 25, 25, 10], [0, 0, 0, 20]),
        ("K10", [(100, 1), (100, 2)], 120, [100, 20], [0, 80]),
    ],
)
def test_grants_are_burnt_in_order(
    case: str, grants: list[tuple[int, int]], usage: int, consumed: list[int], left: list[int]
) -> None:
    made = [grant(number, size, priority=priority) for number, (size, priority) in enumerate(grants)]
    assert burn(made, usage) == (consumed, left, 0)
    assert burn(made[::-1], usage) == (consumed, left[::-1], 0)


def void(organization: UUID, amount_text: str) -> Any:
    """The answer to taking so much credit away."""
    body = {
        "organization": str(organization), "currency": "USD", "amount": amount_text, "direction": "debit",
        "contra": "promotional_expense", "reason": "Void",
    }  # fmt: skip
    return platform().post("/v1/adjustments", body, key=unique())


def worth(credits: str) -> str:
    """What so many credits of a wallet are worth at its rate of 0.5."""
    return exact_text(amount(charge("per_unit", unit_price="0.5"), credits))


@pytest.mark.parametrize(("case", "credits", "left"), [("K5", ["60", "40"], ["20", "0"])])
def test_credits_are_voided_at_their_rate(case: str, credits: list[str], left: list[str]) -> None:
    organization = open_books()
    give(organization, worth("100"))
    found = []
    for each in credits:
        answer = void(organization, worth(each))
        assert answer.status_code == 201, answer.content
        found.append(exact_text(Fraction(balances(organization).get("customer_credit", 0), MAJOR)))
    assert found == left
    assert_sound(organization)


@pytest.mark.parametrize(("case", "expected"), [("K6", (422, "amount_exceeds_available"))])
def test_voiding_more_than_the_balance_is_refused(case: str, expected: tuple[int, str]) -> None:
    organization = open_books()
    give(organization, "50")
    with Still(organization):
        answer = void(organization, "50.00000001")
        assert (answer.status_code, answer.json()["code"]) == expected


@pytest.mark.parametrize(("case", "credits", "invoiced"), [("K8", [40], 60)])
def test_what_credit_does_not_cover_is_invoiced(case: str, credits: list[int], invoiced: int) -> None:
    """Convention credit_then_invoice."""
    consumed, _, missing = burn([grant(0, 40)], 100)
    assert (consumed, missing) == (credits, invoiced)


@pytest.mark.parametrize(("case", "balance"), [("K12", 0)])
def test_a_grant_that_expires_at_the_start_is_not_burnt(case: str, balance: int) -> None:
    expired = grant(0, 100, expires_at=NOW)
    assert burn([expired], 10) == ([], [100], 10)
    assert available([expired], 0, NOW) == balance
