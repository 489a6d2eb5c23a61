"""Shares of a period: used and unused make the whole. That they conserve money: test_subscriptions.py."""

from datetime import datetime

from hypothesis import assume, given
from hypothesis import strategies as st

from billing.rules.periods import Cycle
from billing.rules.proration import span_share, unused_share, used_share
from tests.property.billing.calendars import cycles, inside

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
