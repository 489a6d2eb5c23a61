"""Seats with tiers that change within their period: what each change bills, and what it does not.

Of 30 days in April half are left on the 16th, 7 on the 24th.
"""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from billing.rules.agreed import AgreedPrice, DatedPrice
from billing.rules.charges.definition import parse_charge
from billing.rules.subscriptions import pausing
from billing.rules.subscriptions.changing import Change, decide_change
from billing.rules.subscriptions.held import MAX_MOVES
from billing.rules.subscriptions.row import Move
from billing.rules.subscriptions.work import Known
from common.ids import new_id
from tests.builders.charges import Tiers, ladder
from tests.builders.subscribed import CENT, DOLLAR, Catalog, Subscriber, amounts, coupon, day, fee, terms

START = day("2026-04-01")
HALF = day("2026-04-16")
LATE = day("2026-04-24")
FLATS: Tiers = [("5", "10", "100"), (None, "5", "50")]
PLAIN: Tiers = [("5", "10", "0"), (None, "5", "0")]
BY_SHARES = [("proration_credit", -7_500), ("proration_charge", 11_250)]
"""What 10 seats instead of 5 bill at half time where the share of each whole price counts."""


def seats(tiers: Tiers, model: str = "graduated", **given: Any) -> dict[str, Any]:
    price = {"model": model, "tiers": ladder(tiers)}
    return {"key": "seats", "name": "Seats", "kind": "licensed", "prices": {"USD": price}, **given}


def subscriber(charge: dict[str, Any], held: int | None, *, plan: Any = (), **given: Any) -> Subscriber:
    catalog = Catalog()
    quantities = {} if held is None else {"seats": held}
    return Subscriber(catalog, catalog.add(terms(charge, **dict(plan)), **quantities), START, **given)


def to(who: Subscriber, held: int, at: Any = HALF) -> list[tuple[str, Fraction]]:
    """What a change to so many seats bills."""
    wanted = replace(who.row.selection, quantities={"seats": Fraction(held)})
    return amounts(who.change(wanted, at, "invoice"))


class TestMoreSeats:
    def test_cost_their_tiers_by_what_is_left_and_flat_fees_whole(self) -> None:
        who = subscriber(seats(FLATS), 5)
        assert amounts(who.decisions[0]) == [("licensed", 15_000)]
        assert to(who, 10) == [("proration_charge", 6_250)]
        assert who.row.fees[0].billed == 21_250 * CENT

    def test_are_explained_step_by_step(self) -> None:
        who = subscriber(seats(FLATS), 5)
        to(who, 10)
        (item,) = who.decisions[-1].items
        assert (item.description, item.quantity, item.discountable) == ("Seats: 5 to 10", 10, False)
        assert [step["words"] for step in item.steps] == [
            "change by 5, 5 of it in tier 1: 5 x 5 / 5 = 5",
            "change by 5, 5 of it in tier 2: 2.5 x 5 / 5 = 2.5",
            "tier 1 (up to 5): 5 x 10 + 100 flat fee = 150",
            "tier 2 (above 5): 2.5 x 5 + 50 flat fee = 62.5",
            "all tiers: 150 + 62.5 = 212.5",
            "this change: 212.5 for the period now - 150 until now = 62.5",
        ]

    def test_cost_a_whole_period_from_the_next_one_on(self) -> None:
        who = subscriber(seats(FLATS), 5)
        to(who, 10)
        assert [amounts(turn) for turn in who.until(day("2026-06-01"))] == [[("licensed", 22_500)]] * 2

    def test_in_a_period_that_is_cut_short_cost_that_share_of_flat_fees(self) -> None:
        """Begun on the 16th it is half a period: half the flat fees, also of the tier that is entered in it."""
        catalog = Catalog()
        anchor = START.replace(tzinfo=None)
        who = Subscriber(catalog, catalog.add(terms(seats(FLATS)), seats=5), HALF, anchor=anchor)
        assert amounts(who.decisions[0]) == [("licensed", 7_500)]
        assert to(who, 10, LATE) == [("proration_charge", round(500 * 5 * 7 / 30) + 2_500)]
        (item,) = who.decisions[-1].items
        assert "x 0.5 of the period" in item.steps[-2]["words"]

    def test_of_a_volume_price_may_bring_all_into_a_cheaper_tier(self) -> None:
        tiers: Tiers = [("100", "2", "10"), ("200", "1", "0"), (None, "0.5", "50")]
        who = subscriber(seats(tiers, "volume"), 100)
        assert to(who, 300) == [("proration_credit", -6_000)]  # 200 seats in the mean, 0.5 each, and 50
        assert to(who, 200, LATE) == [("proration_charge", 2_667)]  # 176.67 in the mean at 1


class TestFewerSeats:
    def test_keep_the_flat_fees_of_what_was_entered(self) -> None:
        who = subscriber(seats(FLATS), 10)
        assert to(who, 5) == [("proration_credit", -1_250)]

    def test_are_taken_back_of_the_newest_item_first(self) -> None:
        who = subscriber(seats(PLAIN), 5)
        to(who, 6)
        made = who.change(replace(who.row.selection, quantities={"seats": Fraction(1)}), HALF, "invoice")
        assert amounts(made) == [("proration_credit", -250), ("proration_credit", -2_000)]
        first, second = (decision.items[0].id for decision in who.decisions[:2])
        assert [item.credits for item in made.items] == [second, first]
        assert made.items[0].steps[-1]["words"].startswith("of -22.5 the part that this line takes back")
        assert [(part.gross, part.billed) for part in who.row.fees[0].parts] == []

    def test_of_which_some_came_at_several_times_are_taken_back_of_the_last_ones(self) -> None:
        who = subscriber(seats(PLAIN), 5)
        assert to(who, 6) == [("proration_charge", 250)]
        assert to(who, 8, LATE) == [("proration_charge", 233)]
        assert to(who, 5, LATE) == [("proration_credit", -233), ("proration_credit", -117)]
        ids = [decision.items[0].id for decision in who.decisions[:3]]
        assert [item.credits for item in who.decisions[-1].items] == [ids[2], ids[1]]

    def test_and_as_many_again_cost_nothing(self) -> None:
        who = subscriber(seats(PLAIN), 5)
        assert to(who, 2) == [("proration_credit", -1_500)]
        assert to(who, 5) == [("proration_charge", 1_500)]
        assert to(who, 4) == [("proration_credit", -500)]

    def test_give_back_nothing_that_a_credit_note_did(self) -> None:
        who = subscriber(seats(PLAIN), 5)
        item = who.decisions[0].items[0].id
        known = Known(who.known.terms, noted={item: 40 * DOLLAR})
        wanted = replace(who.row.selection, quantities={"seats": Fraction(0)})
        made = who.take(decide_change(who.row, Change(wanted, known.terms, "invoice"), known, at=HALF))
        assert made is not None and amounts(made) == [("proration_credit", -1_000)]
        words = made.items[0].steps[-1]["words"]
        assert words.startswith("-25 + 15 that stays")
        assert to(who, 5) == [("proration_charge", 1_000)]  # what did not come back is not charged again

    def test_keep_the_part_of_the_fee_that_pays_for_credit(self) -> None:
        who = subscriber(seats(PLAIN), 2, plan={"credits": [{"amounts": {"USD": "20"}}]})
        who.burn(20 * DOLLAR)
        assert to(who, 0) == []
        assert to(who, 2) == []
        assert to(who, 3) == [("proration_charge", 500)]


class TestCoupons:
    def test_take_their_percentage_off_each_change(self) -> None:
        who = subscriber(seats(FLATS), 5, coupons=(coupon(START, left=None, percent="20"),))
        assert to(who, 10) == [("proration_charge", 5_000)]
        assert "what coupons leave of 62.5 = 50" in [one["words"] for one in who.decisions[-1].items[0].steps]
        assert to(who, 5) == [("proration_credit", -1_000)]

    def test_take_their_percentage_off_what_another_plan_began_with(self) -> None:
        catalog = Catalog()
        first, second = catalog.add(terms(fee("10"))), catalog.add(terms(seats(PLAIN)), seats=5)
        who = Subscriber(catalog, first, START, coupons=(coupon(START, left=None, percent="20"),))
        assert amounts(who.change(second, HALF, "invoice"))[1] == ("proration_charge", 2_000)
        assert to(who, 3, LATE) == [("proration_credit", -374)]  # 4.67 less 20 %

    def test_of_an_amount_are_for_what_the_period_began_with(self) -> None:
        who = subscriber(seats(PLAIN), 5, coupons=(coupon(START, amounts={"USD": "25"}),))
        assert to(who, 10) == [("proration_charge", 1_250)]
        assert to(who, 5) == [("proration_credit", -1_250)]
        assert to(who, 3) == [("proration_credit", -500)]  # of 10.00 what was paid of it


class TestAddOns:
    def test_pay_a_flat_fee_once_in_a_period_however_often_they_come_and_go(self) -> None:
        who = subscriber(seats(FLATS, addon=True), None)
        base = who.row.selection
        held = replace(base, add_ons=("seats",), quantities={"seats": Fraction(5)})
        less = replace(base, add_ons=(), quantities={})
        assert amounts(who.change(held, HALF, "invoice")) == [("proration_charge", 12_500)]
        assert amounts(who.change(less, LATE, "invoice")) == [("proration_credit", -1_167)]
        assert amounts(who.change(held, LATE, "invoice")) == [("proration_charge", 1_167)]
        (turn,) = who.until(day("2026-05-01"))
        assert amounts(turn) == [("licensed", 15_000)]

    def test_in_arrears_that_are_left_are_billed_at_the_end(self) -> None:
        who = subscriber(seats(FLATS, addon=True, timing="arrears"), None)
        base = who.row.selection
        held = replace(base, add_ons=("seats",), quantities={"seats": Fraction(5)})
        less = replace(base, add_ons=(), quantities={})
        assert amounts(who.change(held, HALF, "invoice")) == []
        assert amounts(who.change(less, LATE, "invoice")) == []
        (turn,) = who.until(day("2026-05-01"))
        assert amounts(turn) == [("proration_charge", 11_333)]  # 8 of 30 days of 5 seats, and the flat fee
        assert turn.items[0].service_start == HALF


class TestLeaving:
    def test_another_plan_credits_the_share_of_what_a_whole_period_would_cost(self) -> None:
        who = subscriber(seats(FLATS), 5)
        to(who, 10)
        made = who.change(who.catalog.add(terms(fee("300"))), LATE, "invoice")
        assert amounts(made) == [("proration_credit", -5_250), ("proration_charge", 7_000)]

    def test_fees_in_arrears_are_billed_without_blocked_days(self) -> None:
        who = subscriber(seats(FLATS, timing="arrears"), 5, plan={"credit_blocked_time": True})
        who.take(pausing.decide_pause(who.row, who.known, at=day("2026-04-11")))
        who.take(pausing.decide_resume(who.row, who.known, at=HALF))
        assert to(who, 10) == []
        (turn,) = who.until(day("2026-05-01"))
        assert amounts(turn) == [
            ("proration_charge", 17_917)
        ]  # 25 days of 5, 15 of 5 more, 25/30 of both flat fees


class TestWhatCannotGoOn:
    """The share of the old whole price is credited and that of the new one charged, as when a plan changes."""

    def test_a_fee_that_was_billed_before_its_moves_were_kept(self) -> None:
        who = subscriber(seats(FLATS), 5)
        who.row = replace(who.row, fees=tuple(replace(one, moves=()) for one in who.row.fees))
        assert to(who, 10) == BY_SHARES
        assert len(who.row.fees[0].moves) == 1
        assert to(who, 5, LATE) == [("proration_credit", -583)]  # from here on it moves: 25.00 x 7/30

    def test_a_fee_that_moved_too_often(self) -> None:
        who = subscriber(seats(FLATS), 5)
        moves = (*who.row.fees[0].moves, *(Move(START, Fraction(0)) for _ in range(MAX_MOVES - 1)))
        who.row = replace(who.row, fees=(replace(who.row.fees[0], moves=moves),))
        assert to(who, 10) == BY_SHARES

    @pytest.mark.parametrize(
        ("stated", "charged"),
        [
            ({"model": "graduated", "tiers": [{"unit_price": "4", "flat": "0"}]}, 2_000),
            ({"model": "per_unit", "unit_price": "3"}, 1_500),
        ],
        ids=["graduated", "per_unit"],
    )
    def test_a_fee_of_which_a_contract_says_another_price_by_now(self, stated: Any, charged: int) -> None:
        who = subscriber(seats(FLATS), 5)
        agreed = AgreedPrice(new_id(), 1, "USD", parse_charge(stated), None)
        plan = who.row.selection.plan
        who.agreed = [DatedPrice(plan, "seats", START, day("2026-07-01"), day("2026-04-02"), agreed)]
        assert to(who, 10) == [("proration_credit", -7_500), ("proration_charge", charged)]
