"""House rules 19 to 26 through whole decisions on subscriptions: anchors, stubs, changes, terminations."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from billing.rules.subscriptions.ending import decide_cancel_now
from common.localtime import local_time
from tests.builders.subscribed import (
    CENT,
    Catalog,
    Subscriber,
    amounts,
    coupon,
    day,
    fee,
    seats,
    terms,
)

YEAR = {"unit": "year", "count": 1}
QUARTER = {"unit": "quarter", "count": 1}
WEEK = {"unit": "week", "count": 1}


def subscriber(plan: Any, start: str, **given: Any) -> Subscriber:
    catalog = Catalog()
    return Subscriber(catalog, catalog.add(plan), day(start), **given)


def starts(who: Subscriber, count: int) -> list[str]:
    """The local starts of the first periods."""
    found = []
    for _ in range(count):
        assert who.row.period_start is not None and who.row.period_end is not None
        found.append(local_time(who.row.period_start, zone=who.row.zone).isoformat()[:16])
        who.until(who.row.period_end)
    return found


class TestAnchors:
    def test_a1_a_month_that_lacks_the_day_is_clamped_and_the_day_returns(self) -> None:
        who = subscriber(terms(fee("10")), "2024-01-31")
        assert starts(who, 4) == [
            "2024-01-31T00:00", "2024-02-29T00:00", "2024-03-31T00:00", "2024-04-30T00:00",
        ]  # fmt: skip

    def test_a3_day_31_in_a_common_year(self) -> None:
        who = subscriber(terms(fee("10")), "2026-01-31")
        assert [start[5:10] for start in starts(who, 4)] == ["01-31", "02-28", "03-31", "04-30"]

    def test_a5_a_weekly_anchor(self) -> None:
        plan = terms(fee("10"), interval=WEEK)
        who = subscriber(plan, "2024-03-04T10:00", anchor=day("2024-02-07T14:00").replace(tzinfo=None))
        assert who.row.period_end == day("2024-03-06T14:00")

    def test_a6_a_start_between_two_boundaries_is_a_stub(self) -> None:
        who = subscriber(terms(fee("30")), "2024-04-01", anchor=day("2024-01-15T12:00").replace(tzinfo=None))
        assert who.row.period_end == day("2024-04-15T12:00")
        # of the anchor period from 15 March 12:00: 14.5 of 31 days
        assert amounts(who.decisions[0]) == [("recurring", 1403)]

    @pytest.mark.parametrize(("case", "amount"), [("A8", 24_995)])
    def test_the_price_is_the_same_through_daylight_saving(self, case: str, amount: int) -> None:
        who = subscriber(terms(fee("249.95")), "2015-09-01T08:00", zone="America/Juneau", trial_days=30)
        assert who.decisions[0].items == []
        assert starts(who, 8) == [
            "2015-09-01T00:00", "2015-10-01T00:00", "2015-11-01T00:00", "2015-12-01T00:00",
            "2016-01-01T00:00", "2016-02-01T00:00", "2016-03-01T00:00", "2016-04-01T00:00",
        ]  # fmt: skip
        billed = [amount for decision in who.decisions for amount in amounts(decision)]
        assert billed == [("recurring", amount)] * 8

    @pytest.mark.parametrize(("case", "periods"), [("A10", 2)])
    def test_periods_over_the_end_of_a_year(self, case: str, periods: int) -> None:
        who = subscriber(terms(fee("10")), "2010-11-15", anchor=day("2010-11-15").replace(tzinfo=None))
        passed = who.until(day("2011-01-16"))
        assert [decision.at for decision in passed] == [day("2010-12-15"), day("2011-01-15")]
        assert [amounts(decision) for decision in passed] == [[("recurring", 1000)]] * periods


class TestStubs:
    @pytest.mark.parametrize(
        ("name", "start", "anchor", "share"),
        [
            ("R1", "2023-05-23", "2023-01-15", Fraction(23, 31)),
            ("R3", "2023-02-23", "2023-01-15", Fraction(20, 28)),
            ("R5", "2011-02-01", "2011-01-13", Fraction(12, 31)),
        ],
    )
    def test_r1_to_r5_cost_their_days_of_the_anchor_period(
        self, name: str, start: str, anchor: str, share: Fraction
    ) -> None:
        plan = terms(fee("1000000"), proration="per_day")
        who = subscriber(plan, start, anchor=day(anchor).replace(tzinfo=None))
        ((_, amount),) = amounts(who.decisions[0])
        assert amount == round(100_000_000 * share)
        assert who.row.period_end is not None
        (turn,) = who.until(who.row.period_end)
        assert amounts(turn) == [("recurring", 100_000_000)]

    @pytest.mark.parametrize("start", ["2023-05-15", "2023-06-15"])
    def test_r9_thirty_days_to_every_month(self, start: str) -> None:
        plan = terms(fee("19.95"), proration="fixed_30")
        who = subscriber(plan, start, anchor=day("2023-01-23").replace(tzinfo=None))
        assert amounts(who.decisions[0]) == [("recurring", 532)]

    @pytest.mark.parametrize(("case", "gross"), [("R52", 4645)])
    def test_a_calendar_month_from_8_january(self, case: str, gross: int) -> None:
        plan = terms(fee("50"), proration="per_day")
        who = subscriber(plan, "2024-01-08", anchor=day("2024-01-01").replace(tzinfo=None))
        ((_, amount),) = amounts(who.decisions[0])
        assert amount == 3871
        assert round(amount * Fraction(12, 10)) == gross


class TestChangesPerSecond:
    @pytest.mark.parametrize(
        ("name", "old", "new", "interval", "start", "at", "credit", "charge"),
        [
            ("R20", "100", "300", None, "2025-06-01", "2025-06-16", 5000, 15000),
            ("R22", "100", "300", None, "2024-02-18", "2024-02-25", 7586, 22759),
            ("R23", "1000", "3000", YEAR, "2024-08-01", "2024-10-01", 83288, 249863),
            ("R25", "1000", "3000", YEAR, "2023-02-18", "2023-09-05", 45479, 136438),
            ("R29", "5", "20", None, "2025-06-01", "2025-06-02", 483, 1933),
            ("R32", "10", "20", None, "2025-06-01", "2025-06-16", 500, 1000),
        ],
    )
    def test_r20_to_r32_credit_the_old_and_charge_the_new_plan(
        self, name: str, old: str, new: str, interval: Any, start: str, at: str, credit: int, charge: int
    ) -> None:
        catalog = Catalog()
        given = {"interval": interval} if interval else {}
        first, second = (catalog.add(terms(fee(amount), **given)) for amount in (old, new))
        who = Subscriber(catalog, first, day(start))
        made = who.change(second, day(at))
        assert amounts(made) == [("proration_credit", -credit), ("proration_charge", charge)]
        assert [item.due_at for item in made.items] == [day(at)] * 2

    @pytest.mark.parametrize(("case", "credit", "charge"), [("R26", 5000, 100_000)])
    def test_another_interval_begins_a_new_period_at_the_full_price(
        self, case: str, credit: int, charge: int
    ) -> None:
        catalog = Catalog()
        first = catalog.add(terms(fee("100")))
        second = catalog.add(terms(fee("1000"), interval=YEAR))
        who = Subscriber(catalog, first, day("2025-06-01"))
        made = who.change(second, day("2025-06-16"))
        assert amounts(made) == [("proration_credit", -credit), ("recurring", charge)]
        assert (who.row.period_start, who.row.period_end) == (day("2025-06-16"), day("2026-06-16"))

    @pytest.mark.parametrize(("case", "credits"), [("R30", (3500, 7000))])
    def test_a_credit_is_net_of_the_coupon(self, case: str, credits: tuple[int, int]) -> None:
        catalog = Catalog()
        first = catalog.add(terms(fee("100"), seats("200")), seats=1)
        second = catalog.add(terms(fee("500")))
        saved = coupon(day("2025-06-01"), amounts={"USD": "90"})
        who = Subscriber(catalog, first, day("2025-06-01"), coupons=(saved,))
        assert amounts(who.decisions[0]) == [("recurring", 10_000), ("licensed", 20_000)]
        assert [one.discount for one in who.row.fees] == [3000 * CENT, 6000 * CENT]
        made = who.change(second, day("2025-06-16"))
        assert amounts(made)[:2] == [("proration_credit", -amount) for amount in credits]


class TestChangesPerDay:
    @pytest.mark.parametrize(
        ("case", "old", "new", "credit", "charge", "net"),
        [
            ("R40", (fee("10"), {}), (fee("20"), {}), 548, 1097, 549),
            ("R41", (seats("50"), {"seats": 2}), (seats("30"), {"seats": 1}), 5484, 1645, -3839),
        ],
        ids=["R40", "R41"],
    )
    def test_the_day_of_the_change_belongs_to_the_new_plan(
        self, case: str, old: Any, new: Any, credit: int, charge: int, net: int
    ) -> None:
        catalog = Catalog()
        first, second = (catalog.add(terms(one, proration="per_day"), **held) for one, held in (old, new))
        made = Subscriber(catalog, first, day("2024-03-01")).change(second, day("2024-03-15T09:30"))
        assert amounts(made) == [("proration_credit", -credit), ("proration_charge", charge)]
        assert made.total == net * CENT

    @pytest.mark.parametrize(("case", "credit", "charge", "net"), [("R42", 2742, 5484, 2742)])
    def test_more_seats_credit_the_old_number_and_charge_the_new(
        self, case: str, credit: int, charge: int, net: int
    ) -> None:
        catalog = Catalog()
        first = catalog.add(terms(seats("10"), proration="per_day"), seats=5)
        who = Subscriber(catalog, first, day("2024-03-01"))
        made = who.change(replace(first, quantities={"seats": Fraction(10)}), day("2024-03-15"))
        assert amounts(made) == [("proration_credit", -credit), ("proration_charge", charge)]
        assert made.total == net * CENT

    @pytest.mark.parametrize(
        ("name", "start", "anchor", "at", "unused"),
        [
            ("R6", "2011-02-01", "2011-01-01", "2011-02-14", Fraction(15, 28)),
            ("R8", "2011-02-10", "2011-01-10", "2011-02-24", Fraction(1, 2)),
        ],
    )
    def test_r6_and_r8_the_old_plan_keeps_its_days(
        self, name: str, start: str, anchor: str, at: str, unused: Fraction
    ) -> None:
        catalog = Catalog()
        first, second = (
            catalog.add(terms(fee(price), proration="per_day")) for price in ("1000000", "2000000")
        )
        who = Subscriber(catalog, first, day(start), anchor=day(anchor).replace(tzinfo=None))
        made = who.change(second, day(at))
        assert amounts(made)[0] == ("proration_credit", -round(100_000_000 * unused))


class TestTerminations:
    def end(self, who: Subscriber, at: str) -> Any:
        return who.take(decide_cancel_now(who.row, who.known, at=day(at), credit_unused_part=True))

    @pytest.mark.parametrize(
        ("case", "price", "start", "at", "credit"),
        [
            ("R11-house", "19.95", "2023-04-23", "2023-05-15", 466),
            ("R54", "50", "2023-02-01", "2023-02-25", 536),
        ],
    )
    def test_the_last_day_counts_as_used(
        self, case: str, price: str, start: str, at: str, credit: int
    ) -> None:
        who = subscriber(terms(fee(price), proration="per_day"), start)
        assert amounts(self.end(who, at)) == [("proration_credit", -credit)]

    @pytest.mark.parametrize(("case", "amount"), [("R50", 32_000)])
    def test_a_quarter_in_arrears_is_billed_for_its_days(self, case: str, amount: int) -> None:
        plan = terms(fee("910", timing="arrears"), proration="per_day", interval=QUARTER)
        who = subscriber(plan, "2023-05-20", anchor=day("2023-04-15").replace(tzinfo=None))
        assert who.decisions[0].items == []
        assert amounts(self.end(who, "2023-06-20")) == [("proration_charge", amount)]
