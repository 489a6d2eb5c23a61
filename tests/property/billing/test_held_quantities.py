"""Seats with tiers that change within a period: all lines of the period sum to what rule 17 says of its whole course.

The expected amounts are worked out otherwise than by the product: tier by tier over the time in which each number of
seats was held.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.rules.rounding import round_to_document
from billing.rules.subscriptions.ending import decide_cancel_now
from tests.builders.subscribed import DOLLAR, Catalog, Subscriber, day, terms
from tests.property.billing.test_subscriptions import items

START = day("2026-04-11")
END = day("2026-05-01")
MONTH = timedelta(days=30)
"""The whole period that the first one, which is cut short when it begins on the 11th, is a part of."""


@dataclass(frozen=True)
class Ladder:
    """Tiers as (bound, price, flat fee), the last one without a bound, and what is included."""

    model: str
    tiers: tuple[tuple[int | None, Fraction, Fraction], ...]
    included: int
    at_zero: bool

    def charge(self, timing: str) -> dict[str, Any]:
        """The charge as a plan has it."""
        tiers = [
            {"up_to": None if up_to is None else str(up_to), "unit_price": text(price), "flat": text(flat)}
            for up_to, price, flat in self.tiers
        ]
        price = {"model": self.model, "tiers": tiers, "flat_fee_at_zero": self.at_zero}
        made = {"key": "seats", "name": "Seats", "kind": "licensed", "timing": timing}
        return {**made, "included": str(self.included), "prices": {"USD": price}}

    def costs(self, course: list[tuple[datetime, int]], end: datetime) -> Fraction:
        """What a course comes to that begins at its first moment and ends at `end`."""
        held = [(since, max(seats - self.included, 0)) for since, seats in course]
        spent = [(until - since, seats) for (since, seats), (until, _) in pairwise([*held, (end, 0)])]
        whole = of_month(end - held[0][0])
        if self.model == "volume":
            return self._reached(held[-1][1], spent, whole, is_used=any(seats for _, seats in held))
        total, above = Fraction(0), 0
        for number, (up_to, price, flat) in enumerate(self.tiers):
            inside = [(time, max(min(seats, up_to or seats) - above, 0)) for time, seats in spent]
            total += price * sum((of_month(time) * seats for time, seats in inside), Fraction(0))
            highest = max(seats for _, seats in held)
            if highest > above or (number == 0 and self.at_zero and not highest):
                total += flat * whole
            above = up_to or above
        return total

    def _reached(
        self, last: int, spent: list[tuple[timedelta, int]], share: Fraction, *, is_used: bool
    ) -> Fraction:
        if not is_used and not self.at_zero:
            return Fraction(0)
        price, flat = next(
            (price, flat) for up_to, price, flat in self.tiers if up_to is None or last <= up_to
        )
        return price * sum((of_month(time) * seats for time, seats in spent), Fraction(0)) + flat * share


def of_month(time: timedelta) -> Fraction:
    return Fraction(time // timedelta(seconds=1), MONTH // timedelta(seconds=1))


def text(amount: Fraction) -> str:
    return f"{amount.numerator * 100 // amount.denominator / 100:.2f}"


prices = st.integers(0, 2_000).map(lambda cents: Fraction(cents, 100))


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    bounds = sorted(draw(st.sets(st.integers(1, 15), max_size=3)))
    tiers = tuple((up_to, draw(prices), draw(prices)) for up_to in (*bounds, None))
    model = draw(st.sampled_from(("graduated", "volume")))
    return Ladder(model, tiers, draw(st.integers(0, 3)), draw(st.booleans()))


changes = st.lists(
    st.tuples(st.integers(0, 300_000), st.integers(0, 25), st.sampled_from(("invoice", "prorate"))),
    min_size=1,
    max_size=8,
)


def lived(
    ladder: Ladder, timing: str, start: datetime, first: int, taken: list[tuple[int, int, str]]
) -> tuple[Subscriber, list[tuple[datetime, int]], datetime]:
    """A subscriber whose seats changed so in its first period, the course of their number, and when the last was."""
    catalog = Catalog()
    selection = catalog.add(terms(ladder.charge(timing)), seats=first)
    anchor = day("2026-04-01").replace(tzinfo=None)
    who, now, course = Subscriber(catalog, selection, start, anchor=anchor), start, [(start, first)]
    for seconds, seats, mode in taken:
        now += timedelta(seconds=seconds)
        if now >= END:
            break
        if seats != course[-1][1]:
            who.change(replace(selection, quantities={"seats": Fraction(seats)}), now, mode)
            course.append((now, seats))
    return who, course, min(now, END - timedelta(seconds=1))


def back_of_each(made: list[Any]) -> dict[Any, int]:
    """What credits take back of each item."""
    back: dict[Any, int] = {}
    for item in made:
        if item.amount < 0:
            back[item.credits] = back.get(item.credits, 0) - item.amount
    return back


class TestAnyCourse:
    @settings(max_examples=30, deadline=None)
    @given(
        ladders(),
        st.sampled_from(("advance", "arrears")),
        st.sampled_from((day("2026-04-01"), START)),
        st.integers(0, 20),
        changes,
    )
    def test_all_lines_of_a_period_sum_to_what_its_course_costs(
        self, ladder: Ladder, timing: str, start: datetime, first: int, taken: list[tuple[int, int, str]]
    ) -> None:
        who, course, _ = lived(ladder, timing, start, first, taken)
        who.until(END)
        made = [item for item in items(who.decisions) if item.service_end <= END]
        expected = round_to_document(ladder.costs(course, END) * DOLLAR, currency="USD")
        assert sum(item.amount for item in made) == expected
        assert timing == "advance" or len(made) <= 1
        billed = {item.id: item.amount for item in made}
        assert all(amount <= billed[item] for item, amount in back_of_each(made).items())

    @settings(max_examples=20, deadline=None)
    @given(ladders(), st.sampled_from(("advance", "arrears")), st.integers(0, 20), changes)
    def test_leaving_in_between_costs_what_the_course_until_then_costs(
        self, ladder: Ladder, timing: str, first: int, taken: list[tuple[int, int, str]]
    ) -> None:
        """With credit for what is unused: a part of a period costs that part of its flat fees, too. To half a cent for
        the rounding of the credit."""
        who, course, last = lived(ladder, timing, START, first, taken)
        end = last + timedelta(seconds=1)
        who.take(decide_cancel_now(who.row, who.known, at=end, credit_unused_part=True))
        made = items(who.decisions)
        expected = ladder.costs(course, end) * DOLLAR
        assert abs(sum(item.amount for item in made) - expected) <= DOLLAR // 100
        billed = {item.id: item.amount for item in made}
        assert all(amount <= billed[item] for item, amount in back_of_each(made).items())
