"""What is unused of a fee is given back as its invoice took it, whatever was expected of a coupon."""

from fractions import Fraction
from uuid import UUID

import pytest

from billing.rules.subscriptions.changing import Change, decide_change
from billing.rules.subscriptions.work import Known
from tests.builders.subscribed import DOLLAR, Catalog, Subscriber, coupon, day, fee, terms

START = day("2026-06-01")
HALF = day("2026-06-16")


def credit_after(taken: int) -> Fraction:
    """In dollars, of a fee of 100 with a coupon of 50, half of the period unused, of which the invoice took so much."""
    catalog = Catalog()
    paid, free = (catalog.add(terms(fee(amount))) for amount in ("100", "0"))
    who = Subscriber(catalog, paid, START, coupons=(coupon(START, amounts={"USD": "50"}),))
    (item,) = who.decisions[0].items
    invoiced: dict[UUID, tuple[int, int]] = {item.id: (100 * DOLLAR, taken * DOLLAR)}
    known = Known(catalog.of(paid), invoiced=invoiced)
    made = decide_change(who.row, Change(free, catalog.of(free)), known, at=HALF)
    assert made is not None
    return Fraction(-made.total, DOLLAR)


@pytest.mark.parametrize(("taken", "back"), [(50, 25), (25, Fraction(75, 2)), (0, 50), (100, 0)])
def test_a_credit_is_of_what_the_invoice_asked_for(taken: int, back: Fraction) -> None:
    assert credit_after(taken) == back
