"""Lines over use: two groups are never one line, whatever callers call their models and tools."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from billing.rules.assembling import assemble
from billing.rules.coupons import Coupon
from billing.rules.tax import Treatment
from billing.rules.usagelines import SOURCES, Group, UsageSum, usage_line

MARCH, APRIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
DOLLAR = 100_000_000


def used(group: Group, dollars: int) -> UsageSum:
    """What one call cost, postpaid."""
    units = dollars * DOLLAR
    funded = {**dict.fromkeys(SOURCES, 0), "postpaid": units}
    return UsageSum(0, group, 1, units, {}, 0, MARCH, MARCH, (), "", funded)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("tool", "acme", None, "search"), ("tool", "other", None, "search")),
        (("model", "a", "b/c", None), ("model", "a/b", "c", None)),
        (("x:y", None, "m", "z"), ("x", None, "m", "y:z")),
    ],
)
def test_a_coupon_lowers_each_group_by_its_own_share(
    one: tuple[str, str | None, str | None, str | None], other: tuple[str, str | None, str | None, str | None]
) -> None:
    sums = [used(Group(*one, late=False), 10), used(Group(*other, late=False), 30)]
    owed = [usage_line(each, start=MARCH, end=APRIL) for each in sums]
    assert len({each.key for each in owed}) == 2
    found = assemble(
        owed,
        currency="USD",
        taxing=lambda code: Treatment(Fraction(0), "O", "US"),
        coupons=[Coupon("HALF", share=Fraction(1, 2))],
    )
    assert [line.net for line in found.lines] == [5 * DOLLAR, 15 * DOLLAR]
