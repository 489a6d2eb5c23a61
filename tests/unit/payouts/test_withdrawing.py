"""What can be withdrawn: the reserve is never short of its rate, and never more than there is."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from payouts.rules.partners import ACTIVE, Partner, Terms
from payouts.rules.withdrawing import Figures, judge


@pytest.mark.parametrize(
    ("balance", "recent", "rate", "reserved"),
    [
        (100, 3, 250_000, 1),  # three quarters of a unit
        (100, 4, 250_000, 1),
        (100, 5, 250_000, 2),
        (100, 0, 250_000, 0),
        (100, -5, 250_000, 0),
        (1, 100, 1_000_000, 1),
        (-7, 100, 250_000, 0),
    ],
)
def test_a_reserve_is_rounded_up_and_takes_no_more_than_there_is(
    balance: int, recent: int, rate: int, reserved: int
) -> None:
    terms = Terms(reserve_rate=rate)
    partner = Partner(UUID(int=1), "USD", ACTIVE, terms, 1, datetime(2026, 1, 1, tzinfo=UTC))
    found = judge(partner, Figures(100, 100, 100, balance, recent=recent))
    assert (found.reserved, found.withdrawable) == (reserved, max(balance, 0) - reserved)
