"""However a period of use is split, its parts together cost what one period costs."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
from hypothesis import given, settings

from billing.rules.charges.definition import parse_charge
from billing.rules.charges.shares import price_share
from billing.rules.charges.usage import Measured
from billing.rules.meteredlines import Counted, PeriodOfUse, Tally, rate, shares_of
from billing.rules.periods import Cycle, Interval
from billing.rules.plans import PlanCharge, parse_plan
from billing.rules.subscriptions.counting import Window, parts_of
from common.ids import new_id
from tests.builders.sizes import some
from tests.builders.subscribed import metered
from tests.property.billing.charges import PRICES, ladders
from tests.property.billing.fractions import shares

START = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = Cycle(START.replace(tzinfo=None), Interval("month"), "UTC").period_at(START)
SHARES = shares(1000).map(lambda share: max(share, Fraction(1, 100)))
MODELS = st.one_of(
    PRICES.map(lambda price: {"model": "per_unit", "unit_price": price}),
    ladders("unit_price", PRICES).map(lambda tiers: {"model": "graduated", "tiers": tiers}),
    ladders("unit_price", PRICES).map(lambda tiers: {"model": "volume", "tiers": tiers}),
)
UNITS = st.lists(st.integers(0, 300).map(Fraction), min_size=1, max_size=6)
MINUTES = st.lists(st.integers(1, 31 * 24 * 60 - 1), max_size=5, unique=True).map(sorted)


def charge_of(price: dict[str, Any], included: int) -> PlanCharge:
    bounds = {**price, "minimum": "5", "maximum": "2000"}
    document = metered("use", included=str(included), prices={"USD": bounds})
    plan = {
        "name": "P",
        "interval": {"unit": "month", "count": 1},
        "currencies": ["USD"],
        "charges": [document],
    }
    return parse_plan(plan).charges[0]


def tally(units: list[Fraction], place: int) -> Tally:
    counted = [Counted((), quantity, 1, "") for quantity in (units[place], sum(units[:place], Fraction(0)))]
    return Tally((counted[0],), (counted[1],) if place else ())


def amount(charge: PlanCharge, units: list[Fraction], place: int, earlier: tuple[UUID, ...]) -> int:
    period = PeriodOfUse(new_id(), new_id(), charge, new_id(), START, START + timedelta(days=1), earlier)
    return rate(period, tally(units, place), currency="USD", cut={}).amount


class TestPartsOfAPeriod:
    @settings(max_examples=some(100), deadline=None)
    @given(MODELS, st.integers(0, 200), UNITS)
    def test_cost_together_what_one_period_costs(
        self, price: dict[str, Any], included: int, units: list[Fraction]
    ) -> None:
        charge = charge_of(price, included)
        names: list[UUID] = [new_id() for _ in units]
        parts = [amount(charge, units, place, tuple(names[:place])) for place in range(len(units))]
        assert sum(parts) == amount(charge, [sum(units, Fraction(0))], 0, ())

    @settings(max_examples=some(100), deadline=None)
    @given(MINUTES)
    def test_lie_in_one_window_and_are_all_of_it(self, minutes: list[int]) -> None:
        ends = [START, *(START + timedelta(minutes=each) for each in minutes), MONTH.end]
        windows: list[Window] = []
        found = []
        for since, at in pairwise(ends):
            (part,) = parts_of("calls", MONTH, since, at, windows)
            windows.append(part.window)
            found.append(part)
        assert {one.window for one in found} == {Window("calls", "month:1", MONTH.start, MONTH.end)}
        assert sum(one.share for one in found) == 1
        assert all(share == 1 for share in shares_of([(one.share, one.rest) for one in found]))

    @settings(max_examples=some(100), deadline=None)
    @given(st.lists(st.tuples(*[SHARES] * 2), min_size=1, max_size=8))
    def test_never_have_more_free_units_than_a_period(self, parts: list[tuple[Fraction, Fraction]]) -> None:
        shares = shares_of(parts)
        assert shares == sorted(shares)
        assert shares[0] > 0 and shares[-1] <= 1

    @settings(max_examples=some(100), deadline=None)
    @given(st.lists(st.integers(1, 20), min_size=1, max_size=8))
    def test_follow_windows_that_others_began(self, days: list[int]) -> None:
        """Canceled and subscribed to anew every few days: no time is counted twice, none is left out."""
        windows: list[Window] = []
        found = []
        for since, at in pairwise(accumulate(days, lambda a, b: a + timedelta(days=b), initial=START)):
            period = Cycle(since.replace(tzinfo=None), Interval("month"), "UTC", starts_at=since).period(0)
            parts = parts_of("calls", period, since, at, windows)
            windows += [part.window for part in parts]
            found += parts
        assert [(one.end, other.start) for one, other in pairwise(found)] == [
            (one.end, one.end) for one in found[:-1]
        ]
        for window in set(windows):
            inside = [one for one in found if one.window == window]
            assert all(window.start <= one.start and one.end <= window.end for one in inside)
            assert sum(one.share for one in inside) <= Fraction(31, 28)
        spans = sorted({(one.start, one.end) for one in windows})
        assert all(one[1] <= other[0] for one, other in pairwise(spans))


class TestAShareOfAPeriod:
    @settings(max_examples=some(100), deadline=None)
    @given(MODELS, st.integers(0, 200), st.integers(0, 500), SHARES)
    def test_costs_that_share_of_as_much_as_were_used_in_a_whole_one(
        self, price: dict[str, Any], included: int, units: int, share: Fraction
    ) -> None:
        definition = charge_of(price, included).prices["USD"]
        part = price_share(definition, Measured(units * share), share)
        whole = price_share(definition, Measured(Fraction(units)), Fraction(1))
        assert part.net.exact == whole.net.exact * share
        assert part.quantity == units * share

    def test_has_its_part_of_what_is_free(self) -> None:
        definition = parse_charge({"model": "per_unit", "unit_price": "1", "included": "10"})
        part = price_share(definition, Measured(Fraction(10)), Fraction(1, 2))
        assert (part.net.exact, part.billable) == (5, 5)
