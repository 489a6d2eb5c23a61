"""What a plan's document says, what is wrong with one, and that it comes back as it went in."""

from copy import deepcopy
from fractions import Fraction
from typing import Any

import pytest

from billing.rules.charges.pricing import price_line
from billing.rules.charges.usage import used
from billing.rules.plans import Interval, PlanCredit, divides, parse_plan, write_plan
from common.errors import ProblemError

BASE: dict[str, Any] = {
    "key": "base",
    "name": "Advanced plan",
    "kind": "recurring",
    "prices": {"USD": {"model": "flat", "amount": "49"}},
}
CALLS: dict[str, Any] = {
    "key": "calls",
    "name": "API calls",
    "kind": "metered",
    "meter": "api_calls",
    "group_by": ["model"],
    "included": "1000.5",
    "prices": {"USD": {"model": "per_unit", "unit_price": "0.002"}},
}
SEATS: dict[str, Any] = {"model": "per_unit", "unit_price": "5"}
SMALL: dict[str, Any] = {"name": "Small", "interval": {"unit": "month"}, "currencies": ["USD"]}
FULL: dict[str, Any] = {
    **SMALL,
    "charges": [BASE, CALLS],
    "credits": [{"amounts": {"USD": "20"}}],
    "features": {"max_agents": 10, "sso": True, "support": "mail", "max_members": None},
}


def wrong(document: dict[str, Any], pointer: str = "") -> set[tuple[str, str]]:
    with pytest.raises(ProblemError) as caught:
        parse_plan(document, pointer)
    return {(error.code, error.pointer) for error in caught.value.errors}


class TestAPlan:
    def test_that_says_little_has_the_defaults(self) -> None:
        terms = parse_plan(SMALL)
        assert write_plan(terms) == {
            "name": "Small",
            "interval": {"unit": "month", "count": 1},
            "currencies": ["USD"],
            "trial_days": 0,
            "proration": "per_second",
            "recognition": "per_second",
            "upgrade": "prorate",
            "downgrade": "next_period",
            "charges": [],
            "credits": [],
            "funding": "organization",
            "credit_limit": None,
            "features": {},
            "credit_blocked_time": False,
            "grace_hours": None,
            "net_days": None,
        }

    def test_comes_back_as_it_went_in(self) -> None:
        terms = parse_plan(deepcopy(FULL))
        assert parse_plan(write_plan(terms)) == terms
        assert write_plan(parse_plan(write_plan(terms))) == write_plan(terms)

    def test_bills_fees_in_advance_and_use_in_arrears(self) -> None:
        base, calls = parse_plan(FULL).charges
        assert (base.timing, calls.timing) == ("advance", "arrears")
        assert calls.included == Fraction("1000.5")
        assert (calls.meter, calls.group_by) == ("api_calls", ("model",))

    def test_does_not_bill_what_it_includes_in_any_currency(self) -> None:
        price = {"model": "per_unit", "unit_price": "2"}
        calls = {**CALLS, "included": "10", "prices": {"USD": price, "EUR": price}}
        terms = parse_plan({**SMALL, "currencies": ["USD", "EUR"], "charges": [calls]})
        for definition in terms.charges[0].prices.values():
            line = price_line(definition, used(12))
            assert line is not None
            assert line.amount == 4

    def test_gives_its_credit_once_a_period_unless_it_says_otherwise(self) -> None:
        assert parse_plan(FULL).credits == (PlanCredit({"USD": 2_000_000_000}, Interval("month")),)
        yearly = {**FULL, "interval": {"unit": "year"}}
        yearly["credits"] = [{"amounts": {"USD": "20"}, "every": {"unit": "month"}}]
        assert parse_plan(yearly).credits[0].every == Interval("month", 1)

    def test_finds_a_charge_by_its_key(self) -> None:
        terms = parse_plan(FULL)
        assert terms.charge("calls") is terms.charges[1]
        assert terms.charge("ghost") is None


class TestWhatIsWrong:
    def test_is_told_all_at_once(self) -> None:
        assert wrong({"name": 1, "interval": 5, "currencies": ["usd"], "colour": "red", "net_days": 400}) == {
            ("invalid_field", "/name"),
            ("invalid_field", "/interval"),
            ("invalid_currency", "/currencies/0"),
            ("unknown_field", "/colour"),
            ("invalid_field", "/net_days"),
        }

    def test_is_told_where_the_document_stands(self) -> None:
        assert wrong({**SMALL, "charges": [5]}, "/definition") == {("invalid_field", "/definition/charges/0")}

    def test_of_an_empty_one_is_what_is_missing(self) -> None:
        assert wrong({}) == {
            ("invalid_field", "/name"),
            ("invalid_field", "/interval"),
            ("invalid_field", "/currencies"),
        }

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"interval": {"unit": "day"}}, ("invalid_field", "/interval/unit")),
            ({"interval": {"unit": "month", "count": 0}}, ("invalid_field", "/interval/count")),
            ({"interval": {"unit": "year", "count": 6}}, ("invalid_field", "/interval/count")),
            ({"interval": {"unit": "month", "count": True}}, ("invalid_field", "/interval/count")),
            ({"interval": {"unit": "month", "days": 1}}, ("unknown_field", "/interval/days")),
            ({"currencies": []}, ("invalid_field", "/currencies")),
            ({"currencies": ["USD", "USD"]}, ("invalid_field", "/currencies")),
            ({"currencies": ["XXX"]}, ("invalid_currency", "/currencies/0")),
            ({"trial_days": -1}, ("invalid_field", "/trial_days")),
            ({"trial_days": "7"}, ("invalid_field", "/trial_days")),
            ({"proration": "per_hour"}, ("invalid_field", "/proration")),
            ({"upgrade": "never"}, ("invalid_field", "/upgrade")),
            ({"funding": "prepaid"}, ("invalid_field", "/funding")),
            ({"grace_hours": 721}, ("invalid_field", "/grace_hours")),
            ({"credit_blocked_time": 1}, ("invalid_field", "/credit_blocked_time")),
            ({"features": ["sso"]}, ("invalid_field", "/features")),
            ({"features": {"max agents": 1}}, ("invalid_field", "/features/max agents")),
            ({"features": {"max_agents": -1}}, ("invalid_field", "/features/max_agents")),
            ({"features": {"max_agents": {}}}, ("invalid_field", "/features/max_agents")),
            ({"features": {"note": "a\u202eb"}}, ("invalid_text", "/features/note")),
            ({"charges": {}}, ("invalid_field", "/charges")),
            ({"charges": [BASE] * 101}, ("invalid_field", "/charges")),
            ({"status": "published"}, ("read_only_field", "/status")),
        ],
    )
    def test_with_a_plan(self, change: dict[str, Any], expected: tuple[str, str]) -> None:
        assert wrong({**SMALL, **change}) == {expected}

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"key": "a b"}, ("invalid_field", "/charges/0/key")),
            ({"kind": "usage"}, ("invalid_field", "/charges/0/kind")),
            ({"meter": "api_calls"}, ("invalid_field", "/charges/0/meter")),
            ({"group_by": ["model"]}, ("invalid_field", "/charges/0/group_by")),
            ({"included": "5"}, ("invalid_field", "/charges/0/included")),
            ({"included": 5}, ("invalid_quantity", "/charges/0/included")),
            ({"timing": "later"}, ("invalid_field", "/charges/0/timing")),
            ({"prices": {}}, ("invalid_field", "/charges/0/prices/USD")),
            (
                {"prices": {"EUR": {"model": "flat", "amount": "1"}, **BASE["prices"]}},
                ("unknown_field", "/charges/0/prices/EUR"),
            ),
            ({"prices": {"USD": "49"}}, ("invalid_field", "/charges/0/prices/USD")),
            ({"prices": None}, ("invalid_field", "/charges/0/prices")),
            ({"prices": {"USD": {"model": "flat"}}}, ("invalid_field", "/charges/0/prices/USD/amount")),
            ({"prices": {"USD": {"model": "gift"}}}, ("invalid_field", "/charges/0/prices/USD/model")),
            ({"prices": {"USD": SEATS}}, ("invalid_field", "/charges/0/prices/USD/model")),
            ({"kind": "licensed"}, ("invalid_field", "/charges/0/prices/USD/model")),
            (
                {"prices": {"USD": {"model": "flat", "amount": "49.005"}}},
                ("invalid_amount", "/charges/0/prices/USD/amount"),
            ),
            ({"addon": "no"}, ("invalid_field", "/charges/0/addon")),
        ],
    )
    def test_with_a_charge(self, change: dict[str, Any], expected: tuple[str, str]) -> None:
        assert wrong({**SMALL, "charges": [{**BASE, **change}]}) == {expected}

    def test_with_a_metered_charge_that_names_no_meter_or_bills_in_advance(self) -> None:
        without = {name: value for name, value in CALLS.items() if name != "meter"}
        assert wrong({**SMALL, "charges": [without]}) == {("invalid_field", "/charges/0/meter")}
        assert wrong({**SMALL, "charges": [{**CALLS, "timing": "advance"}]}) == {
            ("invalid_field", "/charges/0/timing")
        }

    def test_with_what_is_included_twice_or_where_nothing_can_be(self) -> None:
        twice = {**CALLS, "prices": {"USD": {**SEATS, "included": "5"}}}
        assert wrong({**SMALL, "charges": [twice]}) == {("invalid_field", "/charges/0/prices/USD/included")}
        dear = {**CALLS, "prices": {"USD": {"model": "percentage", "rate": "1"}}}
        assert wrong({**SMALL, "charges": [dear]}) == {("invalid_field", "/charges/0/included")}
        flat = {**CALLS, "included": "0", "prices": BASE["prices"]}
        assert wrong({**SMALL, "charges": [flat]}) == {("invalid_field", "/charges/0/prices/USD/model")}

    def test_with_two_charges_of_one_key(self) -> None:
        assert wrong({**SMALL, "charges": [BASE, BASE]}) == {("invalid_field", "/charges/1/key")}

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"amounts": {"USD": "0"}}, ("invalid_amount", "/credits/0/amounts/USD")),
            ({"amounts": {"USD": 20}}, ("invalid_amount", "/credits/0/amounts/USD")),
            ({"amounts": {"USD": "1e3"}}, ("invalid_amount", "/credits/0/amounts/USD")),
            ({"amounts": {}}, ("invalid_field", "/credits/0/amounts/USD")),
            ({"every": {"unit": "year"}}, ("invalid_field", "/credits/0/every")),
            ({"every": {"unit": "week"}}, ("invalid_field", "/credits/0/every")),
            ({"source": "commitment"}, ("invalid_field", "/credits/0/source")),
            ({"priority": 1001}, ("invalid_field", "/credits/0/priority")),
        ],
    )
    def test_with_its_credit(self, change: dict[str, Any], expected: tuple[str, str]) -> None:
        credit = {"amounts": {"USD": "20"}, **change}
        assert wrong({**SMALL, "credits": [credit]}) == {expected}


class TestAnIntervalThatDividesAnother:
    @pytest.mark.parametrize(
        ("part", "whole", "expected"),
        [
            (Interval("month"), Interval("year"), True),
            (Interval("quarter"), Interval("year"), True),
            (Interval("month", 2), Interval("quarter"), False),
            (Interval("year"), Interval("month"), False),
            (Interval("week"), Interval("week", 4), True),
            (Interval("week", 3), Interval("week", 4), False),
            (Interval("week"), Interval("month"), False),
            (Interval("month"), Interval("week", 4), False),
        ],
    )
    def test_fits_into_it_a_whole_number_of_times(
        self, part: Interval, whole: Interval, expected: bool
    ) -> None:
        assert divides(part, whole) is expected
