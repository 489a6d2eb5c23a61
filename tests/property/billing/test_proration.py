"""Proration conserves money: what was used of the old and of the new is what is billed."""

from datetime import datetime
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from billing.rules.periods import Cycle
from billing.rules.proration import (
    NewFee,
    RunningFee,
    change_fees,
    end_fees,
    net_of_discount,
    span_share,
    unused_share,
    used_share,
)
from billing.rules.rounding import document_step, round_to_document
from tests.property.billing.calendars import cycles, inside

CURRENCIES = st.sampled_from(["USD", "JPY", "KWD"])
MAJORS = st.integers(0, 10**6)
ADDITIVE = st.sampled_from(["per_second", "per_day"])
BASES = st.sampled_from(["per_second", "per_day", "fixed_30"])


@st.composite
def changes(draw: st.DrawFn) -> tuple[Cycle, datetime]:
    cycle = draw(cycles())
    period = cycle.period(draw(st.integers(0, 20)))
    return cycle, draw(inside(period.start, period.end))


@given(change=changes(), basis=ADDITIVE, day_counts_as_used=st.booleans())
def test_used_and_unused_make_the_period(
    change: tuple[Cycle, datetime], basis: str, day_counts_as_used: bool
) -> None:
    cycle, at = change
    period = cycle.period_at(at)
    used = used_share(period, at, basis=basis, day_counts_as_used=day_counts_as_used)
    unused = unused_share(period, at, basis=basis, day_counts_as_used=day_counts_as_used)
    assert used + unused == span_share(period, period.start, period.end, basis=basis)


@given(change=changes(), basis=BASES)
def test_a_share_is_between_nothing_and_all(change: tuple[Cycle, datetime], basis: str) -> None:
    cycle, at = change
    assume(basis != "fixed_30" or cycle.interval.months)
    period = cycle.period_at(at)
    assert 0 <= used_share(period, at, basis=basis) <= 1
    assert 0 <= unused_share(period, at, basis=basis) <= 1


@given(change=changes(), basis=ADDITIVE, currency=CURRENCIES, old=MAJORS, new=MAJORS)
def test_credit_and_charge_leave_what_was_used(
    change: tuple[Cycle, datetime], basis: str, currency: str, old: int, new: int
) -> None:
    """Exactly before rounding. Credit and charge are rounded, of a stub what was billed, too: by half a step each."""
    cycle, at = change
    period, step = cycle.period_at(at), document_step(currency)
    share = span_share(period, period.start, period.end, basis=basis)
    billed = round_to_document(old * step * share, currency=currency)
    credit, charge = change_fees(
        [RunningFee("plan", old * step, billed=billed)],
        [NewFee("plan", new * step)],
        cycle=cycle,
        at=at,
        mode="invoice",
        basis=basis,
        currency=currency,
    ).lines
    used = used_share(period, at, basis=basis)
    unused = unused_share(period, at, basis=basis)
    exact = old * step * used + new * step * unused
    assert old * step * (share - credit.share) + new * step * charge.share == exact
    assert abs(billed + credit.amount + charge.amount - exact) <= Fraction((2 + period.is_stub) * step, 2)
    if not any(
        (price * step * part / step).denominator > 1 for price in (old, new) for part in (share, unused)
    ):
        assert billed + credit.amount + charge.amount == exact


@given(change=changes(), basis=BASES, price=MAJORS, billed=MAJORS, days=st.booleans())
def test_a_credit_never_exceeds_what_was_billed(
    change: tuple[Cycle, datetime], basis: str, price: int, billed: int, days: bool
) -> None:
    cycle, at = change
    assume(basis != "fixed_30" or cycle.interval.months)
    (line,) = end_fees(
        [RunningFee("plan", price * 10**6, billed=billed * 10**6)],
        period=cycle.period_at(at),
        at=at,
        basis=basis,
        currency="USD",
        day_counts_as_used=days,
    )
    assert -min(billed, price) * 10**6 <= line.amount <= 0


@given(change=changes(), basis=ADDITIVE, price=MAJORS)
def test_a_change_to_the_same_price_costs_nothing(
    change: tuple[Cycle, datetime], basis: str, price: int
) -> None:
    cycle, at = change
    fees = change_fees(
        [RunningFee("plan", price * 10**6, billed=price * 10**6)],
        [NewFee("plan", price * 10**6)],
        cycle=cycle,
        at=at,
        mode="prorate",
        basis=basis,
        currency="USD",
    )
    assert sum(line.amount for line in fees.lines) == 0


@given(amounts=st.lists(MAJORS, max_size=8), discount=MAJORS)
def test_a_discount_is_taken_once_and_no_fee_falls_below_nothing(amounts: list[int], discount: int) -> None:
    net = net_of_discount([amount * 10**6 for amount in amounts], discount * 10**6, currency="USD")
    assert sum(net) == max(sum(amounts) - discount, 0) * 10**6
    assert all(0 <= rest <= amount * 10**6 for rest, amount in zip(net, amounts, strict=True))
