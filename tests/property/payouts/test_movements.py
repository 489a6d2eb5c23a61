"""Random lives of customers: whatever happens, the movements sum to what recurs, every month and for every customer."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID

from hypothesis import example, given, settings
from hypothesis import strategies as st

from billing.rules.months import next_month
from billing.rules.plans import PlanTerms
from payouts.queries.metrics.asked import month_start
from payouts.rules.metrics.cohorts import cohorts_of
from payouts.rules.metrics.figures import Moved, balances_of, months_of
from payouts.rules.metrics.movements import KINDS, Movement, SourceLevel, movements_of
from tests.builders.recurring import BEGINNING, Recurring, a_month
from tests.builders.sizes import some
from tests.builders.subscribed import DOLLAR, Subscriber, coupon, fee, metered, seats, terms

MONTHS = 24
FIRST = BEGINNING.date().replace(day=1)


class Offer(NamedTuple):
    """A plan in the numbers of this test: fee and price of a seat, and how many make a month."""

    dollars: int
    seat: int
    per_month: Fraction
    interval: dict[str, Any]

    @property
    def plan(self) -> PlanTerms:
        """The plan; what is metered and charged once does not recur."""
        return terms(
            fee(str(self.dollars)), seats(str(self.seat)), metered(), fee("99", key="setup", kind="one_time"),
            interval=self.interval,
        )  # fmt: skip

    def recurs(self, held: int, percent: int) -> int:
        """What it comes to a month, in units."""
        exact = Fraction(self.dollars + self.seat * held) * (100 - percent) / 100 * self.per_month * DOLLAR
        return a_month(exact)


OFFERS = (
    Offer(30, 10, Fraction(1), {"unit": "month", "count": 1}),
    Offer(100, 7, Fraction(1), {"unit": "month", "count": 1}),
    Offer(500, 100, Fraction(1, 12), {"unit": "year", "count": 1}),
    Offer(50, 20, Fraction(1, 3), {"unit": "quarter", "count": 1}),
    Offer(12, 1, Fraction(52, 24), {"unit": "week", "count": 2}),
    Offer(0, 0, Fraction(1), {"unit": "month", "count": 1}),
)
ACTS = ("subscribe", "try", "move", "wait", "pause", "resume", "behind", "recover", "cancel", "end", "coupon")
STEP = st.tuples(
    st.sampled_from(ACTS),
    st.integers(0, 4),
    st.integers(0, len(OFFERS) - 1),
    st.integers(1, 9),
    st.integers(1, 40),
    st.integers(1, 60),
)


class Life:
    """A customer, and what it should come to by the words of the rules alone."""

    def __init__(self) -> None:
        self.customer = Recurring()
        self.offers: dict[UUID, Offer] = {}

    def step(self, act: str, which: int, offer: int, held: int, percent: int, at: datetime) -> None:
        """Do one thing, if it can be done."""
        self.customer.until(at)
        if act in ("subscribe", "try"):
            chosen = OFFERS[offer]
            self._know(
                self.customer.subscribe(chosen.plan, at, trial_days=14 if act == "try" else 0, seats=held),
                chosen,
            )
            return
        alive = [one for one in self.customer.held if one.row.ended_at is None]
        if alive:
            self._act(act, alive[which % len(alive)], OFFERS[offer], held, percent, at)

    def expected(self) -> int:
        """What its subscriptions come to now."""
        return sum(self._recurs(one) for one in self.customer.held)

    def _know(self, one: Subscriber, chosen: Offer) -> None:
        self.offers[one.row.selection.version] = chosen

    def _recurs(self, one: Subscriber) -> int:
        row = one.row
        if row.status not in ("active", "past_due") or row.period_start is None:
            return 0
        left = Fraction(1)
        for held in row.coupons:
            if held.since <= row.period_start and (held.until is None or row.period_start < held.until):
                left *= 1 - Fraction(held.terms["percent"]) / 100
        percent = int((1 - left) * 100) if left != 1 else 0
        offer = self.offers[row.selection.version]
        return offer.recurs(int(row.selection.quantities["seats"]), percent)

    def _act(self, act: str, one: Subscriber, offer: Offer, held: int, percent: int, at: datetime) -> None:
        customer, status = self.customer, one.row.status
        if act in ("move", "wait") and status == "active":
            selection = customer.catalog.add(offer.plan, seats=held)
            self.offers[selection.version] = offer
            customer.select(one, selection, at, "invoice" if act == "move" else "next_period")
        elif act == "pause" and status == "active":
            customer.pause(one, at)
        elif act == "resume" and status == "paused":
            customer.resume(one, at)
        elif act == "behind" and status == "active":
            customer.fall_behind(one, at)
        elif act == "recover" and status == "past_due":
            customer.recover(one, at)
        elif act == "cancel":
            customer.cancel(one, at)
        elif act == "end":
            customer.cancel(one, at, now=True)
        elif act == "coupon" and not one.row.coupons:
            customer.redeem(one, coupon(at, 2, percent=str(5 * (percent % 20 or 1))), at)


def lived(steps: list[tuple[str, int, int, int, int, int]]) -> tuple[Life, list[tuple[datetime, int]]]:
    """A customer after its steps, and what it should come to at the end of each month, looked at as it lived."""
    life, at = Life(), BEGINNING
    ends, month = [], FIRST
    waiting = list(steps)
    for _ in range(MONTHS):
        month = next_month(month)
        end = month_start(month)
        while waiting and at < end:
            act, which, offer, held, percent, days = waiting.pop(0)
            life.step(act, which, offer, held, percent, at)
            at += timedelta(days=days, hours=1)
        life.customer.until(end - timedelta(microseconds=1))
        ends.append((end, life.expected()))
        at = max(at, end)
    return life, ends


@settings(max_examples=some(60), deadline=None)
@given(st.lists(STEP, min_size=1, max_size=25))
def test_movements_over_24_months_sum_to_the_mrr_of_every_month(
    steps: list[tuple[str, int, int, int, int, int]],
) -> None:
    life, ends = lived(steps)
    for end, expected in ends:
        assert life.customer.mrr_before(end) == expected, end
    for one in life.customer.movements:
        assert one.kind in KINDS
        assert (one.amount > 0) == (one.kind in ("new", "expansion", "reactivation"))


@settings(max_examples=some(60), deadline=None)
@given(st.lists(st.lists(STEP, min_size=1, max_size=8), min_size=1, max_size=4))
@example([[("try", 0, 0, 1, 1, 1)]])
def test_months_lead_from_start_to_end_and_cohorts_hold_every_customer(
    lives: list[list[tuple[str, int, int, int, int, int]]],
) -> None:
    moved, last = [], FIRST
    for number, steps in enumerate(lives):
        life, ends = lived(steps)
        moved += monthly_of(UUID(int=number + 1), life.customer.movements)
        last = (ends[-1][0] - timedelta(days=1)).date().replace(day=1)
    months = months_of(moved, first=FIRST, last=last).get("USD", [])
    end = customers = 0
    for month in months:
        assert (month.start, month.customers_start) == (end, customers)
        end, customers = month.end, month.customers_end
        assert month.kept.gross <= min(month.start, month.kept.net)
        assert month.kept.gross >= 0
    held = balances_of(moved).get("USD", {})
    assert (end, customers) == (sum(held.values()), len(held))
    grown = cohorts_of(moved, first=FIRST, last=last)
    for month in months:
        then = [row for row in grown if row.month == month.month]
        assert sum(row.mrr for row in then) == month.end
        assert sum(row.customers for row in then) == month.customers_end


LEVEL = st.builds(
    SourceLevel,
    source=st.integers(1, 3).map(lambda number: UUID(int=number)),
    currency=st.just("USD"),
    at=st.integers(0, 700).map(lambda days: BEGINNING + timedelta(days=days)),
    mrr=st.integers(0, 3).map(lambda dollars: dollars * DOLLAR),
)
LEVELS = st.lists(LEVEL, max_size=20, unique_by=lambda each: (each.source, each.at))


@given(LEVELS, st.integers(0, 700))
def test_what_is_dated_later_changes_nothing_before_it(levels: list[SourceLevel], days: int) -> None:
    moment = BEGINNING + timedelta(days=days)
    known = movements_of([each for each in levels if each.at < moment])
    assert [one for one in movements_of(levels) if one.at < moment] == known


@given(LEVELS)
def test_the_first_movement_is_new_and_no_later_one(levels: list[SourceLevel]) -> None:
    found = movements_of(levels)
    first = [one.at for one in found][:1]
    assert all((one.kind == "new") == ([one.at] == first) for one in found)
    total = 0
    for at in sorted({one.at for one in found}):
        then = [one for one in found if one.at == at]
        before, total = total, total + sum(one.amount for one in then)
        kinds = {one.kind for one in then}
        assert (before == 0) == (kinds <= {"new", "reactivation"})
        assert (total == 0) == (kinds == {"churn"})


def monthly_of(owner: UUID, movements: list[Movement]) -> list[Moved]:
    """Movements by month, as the query sums them."""
    found: dict[tuple[Any, ...], list[Movement]] = {}
    for one in movements:
        found.setdefault((owner, one.currency, one.at.date().replace(day=1), one.kind), []).append(one)
    return [
        Moved(*place, sum(one.amount for one in ones), len({one.at for one in ones}))
        for place, ones in found.items()
    ]
