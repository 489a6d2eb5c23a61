"""Random histories of events, corrections, backfills and cuts: every kind of meter says what plain Python says of them,
and the numbers of a chain of cuts add up."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.operations.metering.correcting import amend_event, create_backfill, revert_backfill, void_event
from billing.queries.metering import Period, aggregate, late
from billing.rules.cuts import Cut
from billing.rules.meterevents import Correction
from billing.rules.meters import AGGREGATIONS, Meter
from tests.builders.metering import cut_of, make_meter, new_event, now, record, unique_type
from tests.builders.orgs import AUTHOR, make_organization, write
from tests.property.billing.meters import Groups, Knowledge, Said, difference, value

BASE = now().replace(minute=0, second=0, microsecond=0) - timedelta(days=20)
HOUR = timedelta(hours=1)
PERIODS = [Period(BASE + place * 10 * HOUR, BASE + (place + 1) * 10 * HOUR) for place in range(4)]
MOMENTS = st.integers(0, 40 * 3_600).map(lambda seconds: BASE + timedelta(seconds=seconds))
DATA = st.fixed_dictionaries(
    {
        "units": st.sampled_from(["0", "1", "2.5", "0.000000000001", "12345678901.999999999999", "7"]),
        "disk": st.sampled_from(["a", "b", "c"]),
    },
    optional={"region": st.sampled_from(["eu", "us"])},
)
PLACE = st.integers(0, 30)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("record"), st.lists(st.tuples(MOMENTS, DATA), min_size=1, max_size=4), st.booleans()
        ),
        st.tuples(st.just("amend"), PLACE, MOMENTS, DATA),
        st.tuples(st.just("void"), PLACE),
        st.tuples(st.just("revert")),
        st.tuples(st.just("cut"), st.integers(0, 15)),
    ),
    min_size=3,
    max_size=14,
)


@pytest.fixture(scope="module")
def meters() -> dict[str, Meter]:
    """One of each kind, for the same events."""
    kind = unique_type("property")
    unique = {"unique": "disk", "weighted_sum": "disk"}
    return {
        each: make_meter(
            each, event_type=kind, group_by=("region",),
            **({"unique_property": unique[each]} if each in unique else {}),
        )
        for each in AGGREGATIONS
    }  # fmt: skip


class World:
    """An organization, and beside it what is known of its events in plain Python."""

    def __init__(self, kind: str) -> None:
        self.kind, self.organization = kind, make_organization()
        self.counting: dict[UUID, Said] = {}
        self.all: list[UUID] = []
        self.in_backfill: set[UUID] = set()
        self.backfill: UUID | None = None
        self.order, self.until = 0, BASE
        self.cuts: list[tuple[Cut, Knowledge]] = []

    def do(self, step: tuple[Any, ...]) -> None:
        name, *given = step
        getattr(self, name)(*given)

    def record(self, events: list[tuple[datetime, dict[str, str]]], as_backfill: bool) -> None:
        if as_backfill and self.backfill is None:
            made = write(
                lambda cur: create_backfill(cur, self.organization, name="b", reason="r", author=AUTHOR)
            )
            self.backfill = made.id
        backfill = self.backfill if as_backfill else None
        sent = [new_event(self.kind, at, data) for at, data in events]
        for event, (at, data) in zip(
            record(self.organization, *sent, backfill=backfill), events, strict=True
        ):
            self.say(event, at, data)
            self.all.append(event)
            if as_backfill:
                self.in_backfill.add(event)

    def say(self, event: UUID, at: datetime, data: dict[str, str]) -> None:
        self.order += 1
        self.counting[event] = Said(at, data, self.order)

    def amend(self, place: int, at: datetime, data: dict[str, str]) -> None:
        event = self.all[place % len(self.all)] if self.all else None
        if event in self.counting:
            said = self.counting[event]
            write(
                lambda cur: amend_event(
                    cur, self.organization, event, Correction("r", at, data), author=AUTHOR
                )
            )
            if (said.at, said.data) != (at, data):
                self.say(event, at, data)

    def void(self, place: int) -> None:
        if self.all:
            event = self.all[place % len(self.all)]
            write(lambda cur: void_event(cur, self.organization, event, reason="r", author=AUTHOR))
            self.counting.pop(event, None)

    def revert(self) -> None:
        backfill, self.backfill = self.backfill, None
        if backfill is not None:
            write(lambda cur: revert_backfill(cur, self.organization, backfill, reason="r", author=AUTHOR))
            for event in self.in_backfill:
                self.counting.pop(event, None)
            self.in_backfill = set()

    def cut(self, hours: int) -> None:
        self.until = min(self.until + hours * HOUR, BASE + 40 * HOUR)
        known = tuple(one for one in self.counting.values() if one.at < self.until)
        self.cuts.append((cut_of(self.organization, self.until), Knowledge(known, self.until)))


def told(world: World, meter: Meter, period: Period, cut: Cut, before: Cut | None) -> Groups:
    found = write(
        lambda cur: aggregate(
            cur, world.organization, meter, period.start, period.end, cut, before, ("region",)
        )
    )
    return {one.group[0]: one.quantity for one in found if one.quantity}


class TestAMeter:
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(steps=STEPS)
    def test_says_what_plain_python_says_of_any_history(
        self, meters: dict[str, Meter], steps: list[tuple[Any, ...]]
    ) -> None:
        world = World(meters["sum"].definition.event_type or "")
        for step in [*steps, ("cut", 40)]:
            world.do(step)
        for name, meter in meters.items():
            self.check(world, name, meter)

    def check(self, world: World, name: str, meter: Meter) -> None:
        before, known_before = None, None
        billed: dict[Period, Counter[Any]] = defaultdict(Counter)
        for cut, known in world.cuts:
            for period in PERIODS:
                expected = difference(name, known, known_before, period.start, period.end)
                assert told(world, meter, period, cut, before) == expected, (name, period)
                for group, amount in expected.items():
                    billed[period][group] += amount
            if before is not None:
                self.check_late(world, name, meter, (cut, known), (before, known_before))
            before, known_before = cut, known
        for period in PERIODS:
            last = {
                group: amount
                for group, amount in value(name, known_before, period.start, period.end).items()
                if amount
            }
            assert {group: amount for group, amount in billed[period].items() if amount} == last
            assert told(world, meter, period, world.cuts[-1][0], None) == last

    def check_late(self, world: World, name: str, meter: Meter, now_: Any, then: Any) -> None:
        """The adjustments of closed periods are those that looking at each of them finds."""
        (cut, known), (before, known_before) = now_, then
        closed = [period for period in PERIODS if period.end <= before.until]
        found = write(lambda cur: late(cur, world.organization, meter, closed, cut, before, ("region",)))
        expected = {
            period: difference(name, known, known_before, period.start, period.end) for period in closed
        }
        changed = {
            period: {one.group[0]: one.quantity for one in quantities if one.quantity}
            for period, quantities in found
        }
        assert {period: each for period, each in changed.items() if each} == {
            period: each for period, each in expected.items() if each
        }
        assert all(isinstance(amount, Fraction) for each in changed.values() for amount in each.values())
