"""Worked examples of credit grants (section 9) on the pure rules of the ledger.

K6, voiding more than there is, is refused by an operation and no matter of rules.
"""

from datetime import UTC, datetime, timedelta

import pytest

from ledger.rules.grants import Grant, GrantSubject, allocate, available
from tests.builders.charges import amount, charge

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
    burnt = dict(taken)
    left = [(each.remaining - burnt.get(each.id, 0)) // MAJOR for each in grants]
    return [part // MAJOR for _, part in taken], left, missing // MAJOR


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


def test_k5_credits_are_worth_their_rate_while_they_are_voided() -> None:
    wallet = charge("per_unit", unit_price="0.5")
    left = [100, 100 - 60, 100 - 60 - 40]
    assert [amount(wallet, str(each)) for each in left] == [50, 20, 0]
    assert [amount(wallet, "60"), amount(wallet, "40")] == [30, 20]


def test_k8_what_credit_does_not_cover_is_invoiced() -> None:
    """Convention credit_then_invoice."""
    consumed, _, missing = burn([grant(0, 40)], 100)
    assert (consumed, missing) == ([40], 60)


def test_k12_a_grant_that_expires_at_the_start_is_not_burnt() -> None:
    expired = grant(0, 100, expires_at=NOW)
    assert burn([expired], 10) == ([], [100], 10)
    assert available([expired], 0, NOW) == 0
