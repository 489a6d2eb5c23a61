"""From usage to a line: the order of what applies, lines within a period, and how they are explained."""

from fractions import Fraction

import pytest

from billing.rules.amounts import RunningAmount
from billing.rules.charges.explaining import line_json
from billing.rules.charges.pricing import price_line
from billing.rules.charges.usage import Measured, Usage, used
from common.errors import AmountOutOfRange
from tests.builders.charges import charge, ladder, priced

TIERS = ladder([("10", "10", "2"), (None, "5", "3")])


def kinds(line_of: Usage, coupon: RunningAmount | None = None, **fields: str) -> list[tuple[str, Fraction]]:
    """The adjustments of a charge of 1 per unit."""
    definition = charge("per_unit", unit_price="1", **fields)
    line = price_line(definition, line_of, coupon=coupon or RunningAmount())
    assert line is not None
    return [(change.kind, change.exact) for change in line.adjustments]


class TestAdjustments:
    def test_come_in_the_order_of_the_house(self) -> None:
        found = kinds(used(100), RunningAmount(Fraction(10)), discount_percent="20", minimum="75")
        assert found == [("discount", -20), ("coupon", -10), ("minimum", 5)]

    def test_look_at_what_coupons_leave(self) -> None:
        assert kinds(used(100), RunningAmount(Fraction(30)), maximum="80") == [("coupon", -30)]
        assert kinds(used(100), RunningAmount(Fraction(5)), maximum="80") == [
            ("coupon", -5),
            ("maximum", -15),
        ]

    def test_are_none_within_the_bounds(self) -> None:
        assert kinds(used(100), minimum="100", maximum="100") == []

    def test_raise_to_the_minimum_on_the_last_line_only(self) -> None:
        assert kinds(used(10, last=False), minimum="100") == []
        assert kinds(used(20, before=10), minimum="100") == [("minimum", 70)]

    def test_hold_the_maximum_on_every_line(self) -> None:
        assert kinds(used(70, last=False), maximum="50") == [("maximum", -20)]
        assert kinds(used(10, before=70), maximum="50") == [("maximum", -10)]

    def test_take_a_percentage_off_every_line(self) -> None:
        assert kinds(used(10, before=70), discount_percent="20") == [("discount", -2)]

    def test_of_a_coupon_count_earlier_lines(self) -> None:
        found = kinds(used(10, before=70), RunningAmount(Fraction(40), Fraction(35)), maximum="38")
        assert found == [("coupon", -5), ("maximum", -2)]

    def test_are_found_by_kind(self) -> None:
        line = priced(charge("flat", amount="5", minimum="9"), "0")
        assert line.adjustment("maximum") is None
        assert line.adjustment("minimum") == line.adjustments[0]


class TestALine:
    def test_is_what_came_on_top_of_earlier_lines(self) -> None:
        line = priced(charge("graduated", tiers=TIERS), used(4, before=8))
        assert line.gross == RunningAmount(Fraction(115), Fraction(82))
        assert [(use.number, use.quantity, use.flat, use.amount) for use in line.tiers] == [
            (1, 2, 0, 20),
            (2, 2, 3, 13),
        ]
        assert line.steps[-1].words == "this line: 115 so far - 82 on earlier lines = 33"

    def test_that_brings_nothing_new_uses_no_tier(self) -> None:
        line = priced(charge("graduated", tiers=TIERS), used(0, before=8))
        assert (line.amount, line.tiers) == (0, ())

    @pytest.mark.parametrize("model", ["volume", "blocks"])
    def test_of_one_price_for_all_waits_for_the_end(self, model: str) -> None:
        fields = (
            {"tiers": TIERS}
            if model == "volume"
            else {"mode": "top_tier", "tiers": [{"size": "1", "price": "5"}]}
        )
        definition = charge(model, **fields)
        assert price_line(definition, used(4, last=False)) is None
        line = priced(definition, used(4, before=8))
        assert (line.quantity, line.billable, line.gross.before) == (12, 12, 0)

    def test_charges_the_flat_fee_of_no_usage_once(self) -> None:
        definition = charge("graduated", tiers=TIERS, flat_fee_at_zero=True)
        first, later = used(0, last=False), Usage(Measured(), before=Measured())
        assert [priced(definition, usage).amount for usage in (first, later)] == [2, 0]

    def test_is_rounded_once(self) -> None:
        line = priced(charge("per_unit", unit_price="1", per="3"), "1")
        assert (line.amount, line.units) == (Fraction(1, 3), 33_333_333)

    def test_has_a_largest_amount(self) -> None:
        with pytest.raises(AmountOutOfRange):
            _ = priced(charge("per_unit", unit_price="99999999999"), "1000").units


class TestAnExplanation:
    def test_is_json_of_decimal_strings(self) -> None:
        line = priced(charge("graduated", tiers=TIERS, included="1", maximum="50"), "12")
        assert line_json(line) == {
            "model": "graduated",
            "quantity": "12",
            "billable": "11",
            "tiers": [
                {
                    "number": 1,
                    "from": "0",
                    "to": "10",
                    "quantity": "10",
                    "unit_price": "10",
                    "flat": "2",
                    "amount": "102",
                },
                {
                    "number": 2,
                    "from": "10",
                    "to": None,
                    "quantity": "1",
                    "unit_price": "5",
                    "flat": "3",
                    "amount": "8",
                },
            ],
            "steps": [
                {
                    "name": "included",
                    "words": "included: 12 - 1 = 11",
                    "values": {"quantity": "12", "taken": "1"},
                    "result": "11",
                },
                {
                    "name": "tier",
                    "words": "tier 1 (up to 10): 10 x 10 + 2 flat fee = 102",
                    "values": {"quantity": "10", "rate": "10", "flat": "2"},
                    "result": "102",
                },
                {
                    "name": "tier",
                    "words": "tier 2 (above 10): 1 x 5 + 3 flat fee = 8",
                    "values": {"quantity": "1", "rate": "5", "flat": "3"},
                    "result": "8",
                },
                {"name": "sum", "words": "all tiers: 102 + 8 = 110", "values": {}, "result": "110"},
                {
                    "name": "maximum",
                    "words": "maximum, excess taken off: 110 - 60 = 50",
                    "values": {"line": "110", "change": "60"},
                    "result": "50",
                },
            ],
            "exact": "110",
            "amount": "110",
            "adjustments": [{"kind": "maximum", "exact": "-60", "amount": "-60"}],
            "net": "50",
        }

    def test_says_that_an_amount_has_no_end(self) -> None:
        found = line_json(priced(charge("per_unit", unit_price="1", per="3"), "2"))
        assert (found["exact"], found["amount"]) == ("0.666666666667…", "0.66666667")

    def test_shows_percentages_as_such(self) -> None:
        tiers = ladder([("10", "1.5", "0"), (None, "3", "4")], rate="rate")
        line = priced(charge("graduated_percentage", tiers=tiers), "12")
        assert [step.words for step in line.steps] == [
            "tier 1 (up to 10): 10 x 1.5 % = 0.15",
            "tier 2 (above 10): 2 x 3 % + 4 flat fee = 4.06",
            "all tiers: 0.15 + 4.06 = 4.21",
        ]
