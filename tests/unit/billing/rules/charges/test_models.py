"""What the charge models do beyond the worked examples."""

from fractions import Fraction
from typing import Any

import pytest

from billing.rules.charges.usage import Measured, QuantityChange, TokenUse, Usage
from spend.rules.prices import PriceUnknown
from tests.builders.charges import amount, charge, events, ladder, priced

SEATS = ladder([("5", "10", "100"), (None, "5", "50")])
PRICES = [
    {"models": "*", "components": {"input": "1", "output": "2"}},
    {"models": "claude-*", "components": {"input": "3", "output": "15", "cache_read": "0.3"}},
    {"models": "claude-haiku-*", "components": {"input": "0.8"}},
    {"models": "claude-haiku-4", "per": "1000", "components": {"input": "0.001"}},
]


def changed(*moves: tuple[str, str]) -> Usage:
    """Usage of a held quantity: (change, prorated change)."""
    return Usage(Measured(changes=tuple(QuantityChange(Fraction(a), Fraction(b)) for a, b in moves)))


def tokens(model: str, component: str, quantity: int) -> Usage:
    """So many tokens of one kind."""
    return Usage(Measured(tokens=(TokenUse(model, component, Fraction(quantity)),)))


class TestAFlatFee:
    def test_does_not_ask_what_was_used(self) -> None:
        assert amount(charge("flat", amount="9"), "0") == 9
        assert amount(charge("flat", amount="9"), "1000") == 9

    def test_is_prorated_by_the_share_of_the_period(self) -> None:
        line = priced(charge("flat", amount="31"), Usage(Measured(prorated=Fraction(23, 31))))
        assert line.amount == 23
        assert line.steps[-1].words == "flat fee: 31 x 0.741935483871… of the period = 23"

    def test_is_billed_on_the_first_line_of_its_period(self) -> None:
        later = Usage(Measured(), before=Measured())
        assert amount(charge("flat", amount="9"), later) == 0


class TestAPricePerUnit:
    def test_may_be_for_many_units_without_rounding_up(self) -> None:
        assert amount(charge("per_unit", unit_price="3", per="1000000"), "1") == Fraction(3, 1_000_000)

    def test_counts_seats_as_long_as_they_were_held(self) -> None:
        seats = charge("per_unit", unit_price="10")
        assert amount(seats, Usage(Measured(Fraction(5), prorated=Fraction("2.5")))) == 25
        assert amount(seats, Usage(Measured(Fraction(0), prorated=Fraction("2.5")))) == 25

    def test_takes_included_seats_off_in_proportion(self) -> None:
        seats = charge("per_unit", unit_price="10", included="1")
        line = priced(seats, Usage(Measured(Fraction(5), prorated=Fraction("2.5"))))
        assert (line.amount, line.billable) == (20, 4)
        assert amount(seats, Usage(Measured(Fraction(0), prorated=Fraction("2.5")))) == 15

    def test_takes_the_usage_discount_before_included_units(self) -> None:
        line = priced(charge("per_unit", unit_price="1", usage_discount="30", included="50"), "100")
        assert [step.words for step in line.steps] == [
            "usage discount: 100 - 30 = 70",
            "included: 70 - 50 = 20",
            "20 x 1 = 20",
        ]

    def test_has_no_negative_quantity(self) -> None:
        assert amount(charge("per_unit", unit_price="1", included="50"), "20") == 0
        with pytest.raises(ValueError):
            Measured(Fraction(-1))
        with pytest.raises(ValueError):
            Measured(events=(Fraction(-1),))


class TestGraduatedSeats:
    def test_are_free_below_what_is_included(self) -> None:
        """Of 8 seats 2 are included: 5 lie in the first tier and 1 in the second, half a period each."""
        line = priced(charge("graduated", tiers=SEATS, included="2"), changed(("8", "4")))
        assert line.amount == Fraction("2.5") * 10 + Fraction("0.5") * 5 + 150
        assert line.billable == 6

    def test_that_are_all_included_cost_nothing(self) -> None:
        fields = {"tiers": SEATS, "included": "8"}
        assert amount(charge("graduated", **fields), changed(("8", "4"))) == 0
        assert amount(charge("graduated", flat_fee_at_zero=True, **fields), changed(("8", "4"))) == 100

    def test_are_never_paid_back(self) -> None:
        tiers = ladder([(None, "10", "0")])
        line = priced(charge("graduated", tiers=tiers), changed(("5", "1"), ("-5", "-2")))
        assert line.amount == 0
        assert line.steps[-1].words == "never below 0: -10 = 0"

    def test_are_at_least_none(self) -> None:
        with pytest.raises(ValueError):
            priced(charge("graduated", tiers=SEATS), changed(("5", "1"), ("-6", "-1")))


class TestAVolume:
    def test_leaves_out_what_is_included_before_it_chooses(self) -> None:
        definition = charge("volume", tiers=ladder([("10", "2", "0"), (None, "1", "0")]), included="5")
        assert [amount(definition, units) for units in ("5", "15", "16")] == [0, 20, 11]

    def test_of_seats_that_changed_takes_the_tier_of_those_held_at_last(self) -> None:
        definition = charge("volume", tiers=SEATS)
        line = priced(definition, changed(("4", "4"), ("4", "2")))
        assert (line.amount, line.billable) == (6 * 5 + 50, 8)
        assert [step.words for step in line.steps] == [
            "change by 4, 4 of it billed: 4 x 4 / 4 = 4",
            "change by 4, 4 of it billed: 2 x 4 / 4 = 2",
            "tier 2 (above 5): 6 x 5 + 50 flat fee = 80",
        ]
        assert amount(definition, changed(("8", "8"), ("-8", "-4"))) == 4 * 10 + 100

    def test_bills_seats_above_what_is_included_as_long_as_they_were_held(self) -> None:
        """Of 8 seats 2 are included; of the 6 half a period each counts, and of 4 of them no more than that."""
        definition = charge("volume", tiers=SEATS, included="2")
        assert amount(definition, changed(("8", "8"), ("-4", "-2"))) == 4 * 10 + 100
        assert amount(definition, changed(("8", "8"), ("-6", "-3"))) == 3 * 10 + 100
        assert amount(definition, changed(("2", "2"))) == 0
        assert amount(definition, changed(("2", "2"), ("-2", "-1"))) == 0

    def test_of_held_seats_is_of_at_least_none(self) -> None:
        with pytest.raises(ValueError):
            priced(charge("volume", tiers=SEATS), changed(("5", "1"), ("-6", "-1")))
        assert (
            amount(charge("volume", tiers=ladder([(None, "1", "0")])), changed(("5", "1"), ("-5", "-2"))) == 0
        )


class TestBlocks:
    TIERS = [{"size": "10", "price": "5", "blocks": "2"}, {"size": "100", "price": "20"}]

    @pytest.mark.parametrize(
        ("units", "all_tiers", "top_tier"),
        [("0", 0, 0), ("1", 5, 5), ("20", 10, 10), ("20.5", 30, 20), ("120", 30, 40), ("121", 50, 40)],
    )
    def test_are_rounded_up_inside_their_tier(self, units: str, all_tiers: int, top_tier: int) -> None:
        found = [
            amount(charge("blocks", mode=mode, tiers=self.TIERS), units) for mode in ("all_tiers", "top_tier")
        ]
        assert found == [all_tiers, top_tier]


class TestAPercentage:
    @pytest.mark.parametrize(
        ("fields", "amounts", "expected"),
        [
            ({"free_events": 1}, ("100", "50"), "6"),
            ({"free_events": 5}, ("100", "50"), "0"),
            ({"free_volume": "100"}, ("100", "50"), "6"),
            ({"free_volume": "120"}, ("100", "50"), "4"),
            ({"free_volume": "40", "free_events": 1}, ("100", "50"), "2"),
            ({"event_minimum": "4"}, ("10", "0"), "8"),
            ({"event_minimum": "4", "free_volume": "10"}, ("10", "0"), "4"),
            ({"event_minimum": "4", "free_volume": "11"}, ("10", "0"), "0"),
            ({"event_maximum": "3"}, ("10", "500"), "5"),
        ],
    )
    def test_takes_what_is_free_in_order_of_time(
        self, fields: dict[str, Any], amounts: tuple[str, ...], expected: str
    ) -> None:
        """10 % and 1 a piece."""
        definition = charge("percentage", rate="10", fixed="1", **fields)
        assert amount(definition, events(*amounts)) == Fraction(expected)

    def test_says_what_minimum_and_maximum_did(self) -> None:
        definition = charge("percentage", rate="2.99", event_minimum="1.75", event_maximum="12")
        line = priced(definition, events("10", "80", "10000"))
        assert [step.words for step in line.steps] == [
            "10090 x 2.99 % = 301.691",
            "raised to 1.75 an event: 1.451 in all = 1.451",
            "cut to 12 an event: -287 in all = -287",
            "301.691 + 0 + 1.451 - 287 = 16.142",
        ]
        assert (line.quantity, line.billable) == (10090, 10090)


class TestTokens:
    @pytest.mark.parametrize(
        ("model", "component", "expected"),
        [
            ("gpt-5", "input", "1"),
            ("claude-opus-4", "input", "3"),
            ("Claude-Opus-4", "output", "15"),
            ("claude-opus-4", "cache_read", "0.3"),
            ("claude-opus-4", "cache_creation_1h", "3"),
            ("claude-opus-4", "reasoning", "15"),
            ("claude-haiku-3", "input", "0.8"),
            ("claude-haiku-4", "input", "1"),
        ],
    )
    def test_cost_what_the_nearest_pattern_says(self, model: str, component: str, expected: str) -> None:
        found = amount(charge("tokens", prices=PRICES), tokens(model, component, 1_000_000))
        assert found == Fraction(expected)

    @pytest.mark.parametrize(
        ("prices", "model", "component", "missing"),
        [
            (PRICES[1:], "gpt-5", "input", "model"),
            (PRICES, "claude-haiku-3", "output", "component"),
            (PRICES, "gpt-5", "web_search", "component"),
        ],
    )
    def test_without_a_price_are_refused(
        self, prices: list[dict[str, Any]], model: str, component: str, missing: str
    ) -> None:
        with pytest.raises(PriceUnknown) as caught:
            amount(charge("tokens", prices=prices), tokens(model, component, 1))
        assert caught.value.missing == missing

    def test_are_added_up_by_model_and_component(self) -> None:
        uses = (("gpt-5", "input", 5), ("gpt-5", "output", 1), ("gpt-5", "input", 10), ("a", "input", 0))
        usage = Usage(Measured(tokens=tuple(TokenUse(m, c, Fraction(q)) for m, c, q in uses)))
        line = priced(charge("tokens", prices=PRICES), usage)
        assert [step.words for step in line.steps] == [
            "gpt-5, input: 15 x 1 / 1000000 = 0.000015",
            "gpt-5, output: 1 x 2 / 1000000 = 0.000002",
            "all models: 0.000015 + 0.000002 = 0.000017",
        ]
