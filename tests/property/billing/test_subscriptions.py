"""What holds for every sequence of changes, pauses and cancellations: periods tile, money and credit are conserved."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from billing.rules.agreed import AgreedPrice, DatedPrice
from billing.rules.charges.definition import parse_charge
from billing.rules.plans import PlanTerms
from billing.rules.subscriptions import pausing
from billing.rules.subscriptions.allowances import still_running
from billing.rules.subscriptions.changing import Change, decide_change
from billing.rules.subscriptions.decision import Decision
from billing.rules.subscriptions.ending import (
    decide_cancel_later,
    decide_cancel_now,
    decide_uncancel,
)
from billing.rules.subscriptions.row import Ending, Selection
from billing.rules.subscriptions.writing import read_subscription, write_subscription
from common.errors import InvalidTransition
from common.ids import new_id
from tests.builders.sizes import some
from tests.builders.subscribed import CENT, Catalog, Subscriber, day, fee, metered, seats, terms

ZONE = "Europe/Berlin"
START = day("2024-01-31T09:30")
YEAR = {"unit": "year", "count": 1}
MODES = (None, "invoice", "prorate", "next_period", "reset")
BASES = ("per_second", "per_day", "fixed_30")


def credit(amount: str, **given: Any) -> list[dict[str, Any]]:
    return [{"amounts": {"USD": amount}, "every": {"unit": "month", "count": 1}, **given}]


def tiered(model: str, amount: str, rest: str) -> dict[str, Any]:
    """Seats at this much each up to three and at another price above, with a flat fee for each of the two tiers."""
    ladder = [{"up_to": "3", "unit_price": amount, "flat": "10"}, {"unit_price": rest, "flat": "5"}]
    price = {"model": model, "tiers": ladder}
    return {"key": "seats", "name": "Seats", "kind": "licensed", "prices": {"USD": price}}


def plans(basis: str, *, gifts: bool, has_tiers: bool = False) -> list[PlanTerms]:
    """A ladder of plans; with `gifts` some bring more credit than their fee, and where one `has_tiers` its seats do."""
    monthly, yearly = seats("7"), seats("70")
    if has_tiers:
        monthly, yearly = tiered("graduated", "7", "5.5"), tiered("volume", "70", "61.11")
    common = {"proration": basis}
    return [
        terms(metered(), credits=credit("5") if gifts else [], **common),
        terms(fee("9"), credits=credit("15" if gifts else "9"), **common),
        terms(fee("49"), monthly, metered(), fee("3", "sso", addon=True), credits=credit("20"), **common),
        terms(fee("49.99"), credits=credit("49.99"), credit_blocked_time=True, **common),
        terms(fee("490"), yearly, interval=YEAR, credits=credit("20"), **common),
        terms(fee("30", timing="arrears"), metered("tokens"), fee("99", "setup", kind="one_time"), **common),
    ]


hours = st.integers(min_value=1, max_value=40 * 24)
steps = st.lists(
    st.tuples(
        hours,
        st.sampled_from(
            ("change", "change", "change", "seats", "sso", "pause", "resume", "later", "uncancel", "burn")
        ),
        st.integers(min_value=0, max_value=5),
        st.sampled_from(MODES),
        st.integers(min_value=0, max_value=60),
    ),
    min_size=1,
    max_size=14,
)


def agreed_prices(plan: Selection) -> list[DatedPrice]:
    """What a contract says for three months: a lower fee and a higher one for seats, none for the set-up."""
    stated = {
        "base": {"model": "flat", "amount": "6.66"},
        "seats": {"model": "per_unit", "unit_price": "8.8"},
        "setup": {"model": "flat", "amount": "0"},
        "calls": {"model": "per_unit", "unit_price": "0.001"},
    }
    contract, start = new_id(), START + timedelta(days=20)
    return [
        DatedPrice(
            plan.plan, key, start, start + timedelta(days=90), START,
            AgreedPrice(contract, 1, "USD", parse_charge(price), Fraction(1) if key == "seats" else None),
        )
        for key, price in stated.items()
    ]  # fmt: skip


class Year:
    """A year of one subscriber, step by step; with `agreed` a contract prices every plan for a time."""

    def __init__(
        self, basis: str, first: int, *, gifts: bool = True, agreed: bool = False, has_tiers: bool = False
    ) -> None:
        self.catalog = Catalog()
        self.selections = [self.catalog.add(plan) for plan in plans(basis, gifts=gifts, has_tiers=has_tiers)]
        known = [one for plan in self.selections if agreed for one in agreed_prices(plan)]
        self.who = Subscriber(self.catalog, self.selections[first], START, zone=ZONE, agreed=known)
        self.now = START
        self.burnt = 0

    def step(self, wait: int, what: str, number: int, mode: str | None, extra: int) -> None:
        self.now += timedelta(hours=wait)
        self.who.until(self.now)
        with suppress(InvalidTransition):  # not every step fits every state; what was refused changed nothing
            self._act(what, number, mode, extra)

    def _act(self, what: str, number: int, mode: str | None, extra: int) -> None:
        who, row, known = self.who, self.who.row, self.who.known
        if what == "burn":
            self.burnt += who.burn(extra * 50 * CENT)
        elif what == "pause":
            who.take(pausing.decide_pause(row, known, at=self.now))
        elif what == "resume":
            who.take(pausing.decide_resume(row, known, at=self.now))
        elif what == "later":
            who.take(decide_cancel_later(row, known, Ending(None, True), at=self.now))
        elif what == "uncancel":
            who.take(decide_uncancel(row, known, at=self.now))
        else:
            self._change(self._target(what, number, extra), mode)

    def _target(self, what: str, number: int, extra: int) -> Selection:
        now = self.who.row.selection
        if what == "seats" and "seats" in now.quantities:
            return replace(now, quantities={"seats": Fraction(extra)})
        if what == "sso" and any(charge.key == "sso" for charge in self.who.known.terms.charges):
            return replace(now, add_ons=() if now.add_ons else ("sso",))
        return self.selections[number]

    def _change(self, target: Selection, mode: str | None) -> None:
        who = self.who
        wanted = Change(target, self.catalog.of(target), mode)
        who.take(decide_change(who.row, wanted, who.known, at=self.now))

    def end(self) -> None:
        """Cancel now, with whatever is unused credited."""
        who = self.who
        if who.row.ended_at is None:
            who.take(decide_cancel_now(who.row, who.known, at=self.now, credit_unused_part=True))


def items(decisions: Iterable[Decision]) -> list[Any]:
    return [item for decision in decisions for item in decision.items]


class TestAnySequence:
    @settings(max_examples=some(30), deadline=None)
    @given(st.sampled_from(BASES), st.integers(0, 5), steps)
    @example(
        "per_day", 0, [(120, "change", 0, None, 0), (440, "change", 1, None, 0), (126, "change", 4, None, 0)]
    )
    def test_periods_tile_and_no_time_is_billed_twice(self, basis: str, first: int, taken: list[Any]) -> None:
        year = Year(basis, first)
        for wait, what, number, mode, extra in taken:
            if (
                what != "burn" and mode != "reset"
            ):  # burnt credit is not given back, and a reset credits nothing
                year.step(wait, what, number, mode, extra)
        year.end()
        periods = spans(year.who.decisions)
        assert periods[0][0] == START
        assert all(before[1] == after[0] for before, after in pairwise(periods))
        for (charge, _), billed in by_charge(items(year.who.decisions)).items():
            assert not overlaps(billed if basis == "per_second" else [in_days(span) for span in billed]), (
                charge
            )

    @settings(max_examples=some(30), deadline=None)
    @given(st.sampled_from(BASES), st.integers(0, 5), steps, st.booleans(), st.booleans())
    def test_a_credit_takes_back_no_more_than_was_billed(
        self, basis: str, first: int, taken: list[Any], agreed: bool, has_tiers: bool
    ) -> None:
        year = Year(basis, first, agreed=agreed, has_tiers=has_tiers)
        for one in taken:
            year.step(*one)
        year.end()
        made = items(year.who.decisions)
        billed = {item.id: item.amount for item in made}
        back: dict[Any, int] = {}
        for item in made:
            if item.credits is not None:
                back[item.credits] = back.get(item.credits, 0) - item.amount
        assert all(amount <= billed[name] for name, amount in back.items())

    @settings(max_examples=some(30), deadline=None)
    @given(st.sampled_from(BASES), st.integers(0, 5), steps)
    def test_metered_periods_tile(self, basis: str, first: int, taken: list[Any]) -> None:
        year = Year(basis, first)
        for one in taken:
            year.step(*one)
        year.end()
        ended = [one for decision in year.who.decisions for one in decision.metered]
        assert all(one.start < one.end for one in ended)
        for key in {one.charge for one in ended}:
            spent = sorted((one.start, one.end) for one in ended if one.charge == key)
            assert not overlaps(spent)

    @settings(max_examples=some(30), deadline=None)
    @given(st.sampled_from(BASES), st.integers(0, 5), steps, st.booleans(), st.booleans())
    def test_a_row_is_read_as_it_was_written(
        self, basis: str, first: int, taken: list[Any], agreed: bool, has_tiers: bool
    ) -> None:
        year = Year(basis, first, agreed=agreed, has_tiers=has_tiers)
        for one in taken:
            year.step(*one)
        row = year.who.row
        data = {
            **write_subscription(row),
            "id": str(row.id),
            "organization": str(row.organization),
            "version": row.version,
        }
        assert read_subscription(data) == row


class TestNobodyGetsMoreThanWasPaid:
    @settings(max_examples=some(50), deadline=None)
    @example(
        "per_second", 0, [(12, "change", 1, None, 0), (16, "change", 0, None, 0)], False, False
    )  # both rounded: by a cent
    @given(st.sampled_from(BASES), st.integers(0, 4), steps, st.booleans(), st.booleans())
    def test_credit_kept_and_money_back_are_at_most_what_was_charged(
        self, basis: str, first: int, taken: list[Any], agreed: bool, has_tiers: bool
    ) -> None:
        """Without gifts: what was granted and not taken back was paid for, whatever was changed in between."""
        year = Year(basis, first, gifts=False, agreed=agreed, has_tiers=has_tiers)
        for one in taken:
            year.step(*one)
        year.end()
        net = sum(item.amount for item in items(year.who.decisions))
        decisions = year.who.decisions
        granted = sum(one.amount for decision in decisions for one in decision.grants)
        taken_back = sum(one.amount for decision in decisions for one in decision.clawbacks)
        given_away = sum(one.amount - one.deferred for decision in decisions for one in decision.grants)
        assert granted - taken_back - given_away <= net
        assert year.burnt <= granted - taken_back

    @settings(max_examples=some(50), deadline=None)
    @given(
        st.integers(0, 5),
        st.lists(st.tuples(st.integers(1, 20), st.integers(0, 5), st.booleans()), max_size=12),
    )
    def test_gifts_never_run_twice_for_the_same_time(self, first: int, taken: list[Any]) -> None:
        """However often plans are changed within a month, no more promotional credit runs than the best of them has."""
        year = Year("per_second", first)
        for wait, number, burns in taken:
            if burns:
                year.who.burn(10**12)
            year.step(wait, "change", number, "invoice", 0)
            running = sum(
                one.promotional
                for one in year.who.row.allowances
                if one.grant is not None and one.end > year.now
            )
            assert running <= 6 * 100 * CENT + CENT  # 15.00 for a fee of 9.00

    @settings(max_examples=some(30), deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(1, 40), st.booleans(), st.integers(0, 5), st.integers(0, 3)),
            min_size=2,
            max_size=12,
        )
    )
    def test_gifts_of_several_at_once_never_run_twice_for_the_same_time(self, taken: list[Any]) -> None:
        """Begun beside one another, changed and left as one likes, they run no more than the best plan has."""
        catalog, now = Catalog(), START
        selections = [catalog.add(plan) for plan in plans("per_second", gifts=True)]
        everyone: list[Subscriber] = []
        for wait, begins, number, which in taken:
            now += timedelta(days=wait)
            pass_in_order(everyone, now)
            if begins or not everyone:
                everyone.append(Subscriber(catalog, selections[number], now, others=everyone))
            else:
                who = everyone[which % len(everyone)]
                wanted = Change(selections[number], catalog.of(selections[number]), "invoice")
                who.take(decide_change(who.row, wanted, who.known, at=now))
            running = [one for who in everyone for one in still_running(who.row.allowances, now)]
            assert sum(one.amount for one in running) <= 6 * 100 * CENT + CENT  # 15.00 for a fee of 9.00


def pass_in_order(everyone: list[Subscriber], now: datetime) -> None:
    """Pass the boundaries of several subscriptions as the billing run does: the earliest first."""
    while due := [who for who in everyone if who.row.next_at is not None and who.row.next_at <= now]:
        first = min(due, key=lambda who: (who.row.next_at, who.row.id))
        assert first.row.next_at is not None
        first.until(first.row.next_at)


class TestMoneyIsConserved:
    @settings(max_examples=some(40), deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(1, 400_000), st.sampled_from(("10", "30", "100", "33.33"))),
            min_size=1,
            max_size=6,
        )
    )
    def test_the_used_parts_are_what_is_billed_net(self, taken: list[tuple[int, str]]) -> None:
        """Used part of each plan, by seconds, against the sum of all items of the period: a cent of rounding for each
        of them."""
        catalog = Catalog()
        known = {price: catalog.add(terms(fee(price))) for price in ("10", "30", "100", "33.33")}
        start = day("2024-03-01")
        who = Subscriber(catalog, known["10"], start)
        end = who.row.period_end
        assert end is not None
        now, price, used = start, "10", Fraction(0)
        for seconds, new in taken:
            then = now + timedelta(seconds=seconds)
            if then >= end or new == price:
                continue
            used += Fraction(price) * share(now, then, start, end)
            who.change(known[new], then, "invoice")
            now, price = then, new
        used += Fraction(price) * share(now, end, start, end)
        made = items(who.decisions)
        net = Fraction(sum(item.amount for item in made), 100 * CENT)
        assert abs(net - used) <= Fraction(len(made), 200)

    @settings(max_examples=some(30), deadline=None)
    @given(st.sampled_from(BASES), st.sampled_from(("10", "33.33", "0.01")), st.integers(0, 31 * 86_400 - 1))
    def test_a_change_to_the_same_price_costs_nothing(self, basis: str, price: str, seconds: int) -> None:
        catalog = Catalog()
        one, other = (catalog.add(terms(fee(price), proration=basis)) for _ in range(2))
        who = Subscriber(catalog, one, day("2024-03-01"))
        made = who.change(other, day("2024-03-01") + timedelta(seconds=seconds), "invoice")
        assert sum(item.amount for item in made.items) == 0


class TestStandstill:
    @settings(max_examples=some(20), deadline=None)
    @given(st.integers(0, 5), st.integers(0, 5), st.sampled_from(BASES), st.booleans())
    def test_catching_up_13_months_is_the_same_as_each_boundary_in_time(
        self, first: int, second: int, basis: str, agreed: bool
    ) -> None:
        def lived(hours: int) -> list[Any]:
            year = Year(basis, first, agreed=agreed)
            year.step(24, "change", second, "next_period", 0)
            end = START + timedelta(days=400)
            now = year.now
            while now < end:
                now = min(now + timedelta(hours=hours), end)
                year.who.until(now)
            return [told(decision) for decision in year.who.decisions]

        assert lived(24 * 500) == lived(24 * 3)


def told(decision: Decision) -> Any:
    """A decision without the ids that it made."""
    return (
        decision.verb,
        decision.at,
        [(item.kind, item.amount, item.service_start, item.service_end) for item in decision.items],
        [(one.charge, one.start, one.end, one.agreed is None) for one in decision.metered],
        [(one.amount, one.deferred, one.effective_at, one.expires_at) for one in decision.grants],
        (decision.row.period_start, decision.row.period_end, decision.row.next_at, decision.row.version),
    )


def spans(decisions: list[Decision]) -> list[tuple[datetime, datetime]]:
    """The periods one after the other; one that was cut off ends where the next begins, or the subscription did."""
    rows = [decision.row for decision in decisions]
    starts = sorted({row.period_start for row in rows if row.period_start is not None})
    last = rows[-1].period_end
    assert last is not None
    ends = {row.period_start: row.period_end for row in rows}
    found = []
    for place, start in enumerate(starts):
        following = starts[place + 1] if place + 1 < len(starts) else last
        planned = ends[start]
        assert planned is not None and following <= planned
        found.append((start, following))
    return found


def by_charge(made: list[Any]) -> dict[Any, list[tuple[datetime, datetime]]]:
    """What time was billed of each charge, credits taken out: a credit cuts off the item that it takes back."""
    spans: dict[Any, tuple[Any, datetime, datetime]] = {}
    for item in made:
        if item.service_start is None:
            continue
        if item.credits is None:
            spans[item.id] = item.charge_key, item.service_start, item.service_end
        elif item.service_end == spans[item.credits][2]:
            charge, start, _ = spans[item.credits]
            spans[item.credits] = charge, start, item.service_start
    found: dict[Any, list[tuple[datetime, datetime]]] = {}
    for charge, start, end in spans.values():
        found.setdefault((charge, None), []).append((start, end))
    return {key: sorted(value) for key, value in found.items()}


def in_days(span: tuple[datetime, datetime]) -> tuple[date, date]:
    """The days that were billed, the last one not: a period's last morning belongs to the next one's first day."""
    start, end = (moment.astimezone(ZoneInfo(ZONE)).date() for moment in span)
    return start, end


def overlaps(spent: Sequence[tuple[Any, Any]]) -> bool:
    return any(before[1] > after[0] for before, after in pairwise(spent))


def share(start: datetime, end: datetime, first: datetime, last: datetime) -> Fraction:
    second = timedelta(seconds=1)
    return Fraction((end - start) // second, (last - first) // second)
