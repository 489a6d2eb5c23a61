"""A contract's prices of a plan's charges: they are billed, credited, previewed and explained instead of the plan's."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from billing.operations.simulating import simulate
from billing.rules.catalog import PlanVersion
from billing.rules.meters import Meter
from tests.builders.billing import Billed, billed
from tests.builders.catalog import make_version
from tests.builders.contracts import DAY, PATH, act, acted, agreed, paper, today_of
from tests.builders.counted import DOLLAR, charge, counts, metered_lines
from tests.builders.metering import make_meter, new_event, record
from tests.builders.metrics import broken, only
from tests.builders.orgs import platform, unique
from tests.builders.subscribed import fee, metered, seats
from tests.builders.subscriptions import act as act_on
from tests.builders.subscriptions import acted as acted_on
from tests.builders.subscriptions import items_of, now_of, owner, run_boundaries, sell, shown, subscribe
from tests.functional.billing.test_contracts import problem
from tests.functional.billing.test_subscriptions_admin import staff

FEW = {"model": "per_unit", "unit_price": "5"}
HALF = {"model": "per_unit", "unit_price": "0.5"}


def flat(amount: str) -> dict[str, Any]:
    return {"model": "flat", "amount": amount}


def price(plan: PlanVersion, key: str, stated: Any, **given: Any) -> dict[str, Any]:
    """An entry of a contract's prices."""
    return {"plan": plan.plan_key, "charge": key, "price": stated, **given}


def team(*more: dict[str, Any], **given: Any) -> PlanVersion:
    """A plan of 100 and 10 for each seat a month, changed at once with an invoice."""
    return sell(fee("100"), seats("10"), *more, **{"upgrade": "invoice", "downgrade": "invoice", **given})


def next_period(organization: UUID, made: Billed) -> None:
    made.pass_months()
    run_boundaries(organization)


def fees(made: Billed) -> list[int]:
    """What the base fee of each period is, in cents."""
    return [cents for kind, cents, _ in items_of(made.id) if kind == "recurring"]


class TestAFee:
    def test_costs_what_the_contract_says(self) -> None:
        made, other, plan = billed(), billed(), team()
        contract = agreed(made.id, prices=[price(plan, "base", flat("60"))])
        for one in (made, other):
            subscribe(owner(one.id), plan, quantities={"seats": 1})
        assert items_of(made.id) == [("recurring", 6_000, "base"), ("licensed", 1_000, "seats")]
        assert items_of(other.id)[0] == ("recurring", 10_000, "base")
        made.run()
        invoice = made.only()
        number = next(line["number"] for line in made.lines(invoice["id"]) if line["amount"] == "60.00")
        told = made.reader.get(f"/v1/invoices/{invoice['id']}/lines/{number}/explain").json()
        assert f"price of contract:{contract['id']}@1, instead of the plan's" in told["steps"][0]["words"]
        made.assert_sound()

    def test_is_credited_at_what_it_was_billed(self) -> None:
        made, plan = billed(), team()
        free = {"model": "per_unit", "unit_price": "0"}
        agreed(made.id, prices=[price(plan, "base", flat("60")), price(plan, "seats", free)])
        who = owner(made.id)
        sub = subscribe(who, plan, quantities={"seats": 1})
        made.customer.pass_time(hours=1)
        body = {"when": "now", "credit_unused": True}
        acted_on(platform(), sub, "cancel", body)
        (credit,) = [cents for kind, cents, _ in items_of(made.id) if kind == "proration_credit"]
        assert -6_000 < credit < -5_900

    def test_of_an_add_on_and_a_set_up_are_priced_too(self) -> None:
        made = billed()
        once = {**fee("500", "set_up"), "kind": "one_time"}
        plan = team(once, fee("40", "support", addon=True))
        agreed(made.id, prices=[price(plan, "set_up", flat("0")), price(plan, "support", flat("25"))])
        subscribe(owner(made.id), plan, add_ons=["support"], quantities={"seats": 1})
        assert items_of(made.id) == [
            ("recurring", 10_000, "base"), ("licensed", 1_000, "seats"), ("recurring", 2_500, "support"),
        ]  # fmt: skip


class TestSeats:
    def test_have_the_contracts_tiers_and_included_units(self) -> None:
        made, plan = billed(), team()
        tiers = {"model": "graduated", "tiers": [{"up_to": "2", "unit_price": "8"}, {"unit_price": "4"}]}
        agreed(made.id, prices=[price(plan, "seats", tiers, included="3")])
        subscribe(owner(made.id), plan, quantities={"seats": 7})
        assert items_of(made.id)[1] == ("licensed", 2_400, "seats")

    def test_keep_the_plans_included_units_unless_it_states_its_own(self) -> None:
        made = billed()
        plan = sell(seats("10", included="3"))
        agreed(made.id, prices=[price(plan, "seats", FEW)])
        sub = subscribe(owner(made.id), plan, quantities={"seats": 5})
        assert items_of(made.id) == [("licensed", 1_000, "seats")]
        assert [one["included"] for one in sub["agreed_prices"]] == [None]

    def test_without_a_number_are_as_many_as_the_contract_includes(self) -> None:
        made, plan = billed(), team()
        agreed(made.id, prices=[price(plan, "seats", FEW, included="25")])
        assert subscribe(owner(made.id), plan)["quantities"] == {"seats": 25}

    def test_that_are_added_within_a_period_are_credited_and_charged_at_its_price(self) -> None:
        made, plan = billed(), team()
        agreed(made.id, prices=[price(plan, "seats", FEW)])
        who = owner(made.id)
        sub = subscribe(who, plan, quantities={"seats": 4})
        made.customer.pass_time(days=10)
        told = act_on(who, sub, "change/preview", {"quantities": {"seats": 8}}).json()
        acted_on(who, sub, "quantity", {"quantities": {"seats": 8}})
        credit, charged = items_of(made.id)[-2:]
        assert (credit[0], charged[0]) == ("proration_credit", "proration_charge")
        assert -2_000 < credit[1] < -1_000
        assert abs(charged[1] + 2 * credit[1]) <= 1
        assert [item["amount"] for item in told["items"]] == [
            f"{cents / 100:.2f}".rstrip("0").rstrip(".") for _, cents, _ in (credit, charged)
        ]


class TestAMeteredCharge:
    def test_is_rated_at_the_contracts_price(self) -> None:
        made, meter = billed(), make_meter("sum")
        plan = sell(charge(meter))  # a dollar, ten for nothing
        contract = agreed(made.id, prices=[price(plan, "use", HALF, included="2")])
        subscribe(owner(made.id), plan)
        counts(made, meter, "12")
        made.pass_months()
        made.run()
        invoice = made.only()
        (line,) = [line for line in made.lines(invoice["id"]) if line["kind"] == "metered"]
        assert line["amount"] == "5.00"
        told = made.reader.get(f"/v1/invoices/{invoice['id']}/lines/{line['number']}/explain").json()
        assert told["agrees"] is True
        assert contract["id"] in told["steps"][0]["words"]
        made.assert_sound()

    def test_stays_at_its_price_for_what_is_told_late(self) -> None:
        made, meter = billed(), make_meter("sum")
        plan = sell(charge(meter))
        contract = agreed(made.id, prices=[price(plan, "use", HALF, included="0")])
        subscribe(owner(made.id), plan)
        start = now_of(made.id)
        counts(made, meter, "12")
        made.pass_months()
        made.run()
        acted(contract, "terminate", {})
        late = new_event(meter.definition.event_type or "", start + timedelta(minutes=5), {"units": "4"})
        record(made.id, late)
        made.pass_months()
        made.run()
        assert metered_lines(made)[:2] == ["6.00", "2.00"]
        made.assert_sound()

    def test_is_left_alone_by_a_question_of_other_prices_of_the_plan(self) -> None:
        made, meter = billed(), make_meter("sum")
        plan = sell(charge(meter))
        agreed(made.id, prices=[price(plan, "use", HALF, included="0")])
        subscribe(owner(made.id), plan)
        counts(made, meter, "12")
        made.pass_months()
        made.run()
        end = now_of(made.id)
        asked = {"plan": plan.plan_key, "charge": "use", "prices": {"USD": {**FEW}}}
        body = {
            "from": (end - timedelta(days=90)).isoformat(), "to": end.isoformat(),
            "organizations": [str(made.id)], "charges": [asked],
        }  # fmt: skip
        (row,) = platform().post("/v1/what-if/re-rate-meters", body).json()["data"]
        assert (row["charge"], row["other_charge"], row["rerated"]) == ("6", "6", 0)

    def test_of_a_running_period_is_rated_by_a_contract_that_is_activated_late(self) -> None:
        """Its term began before the period did: what is not billed yet is billed as it says, the fee in advance from
        the next period on."""
        made, meter = billed(), make_meter("sum")
        plan = sell(fee("100"), fee("50", "after", timing="arrears"), charge(meter))
        subscribe(owner(made.id), plan)
        counts(made, meter, "12")
        made.customer.pass_time(days=3)
        stated = {"use": HALF, "base": flat("60"), "after": flat("20")}
        agreed(
            made.id, offset=-5, prices=[price(plan, key, one, included=None) for key, one in stated.items()]
        )
        made.pass_months()
        made.run()
        assert metered_lines(made) == ["1.00"]
        assert fees(made) == [10_000, 2_000, 6_000]
        made.assert_sound()

    def test_of_a_period_that_was_split_keeps_its_price_so_that_free_units_are_given_once(self) -> None:
        made, meter = billed(), make_meter("sum")
        plan = sell(fee("100"), charge(meter), upgrade="invoice", downgrade="invoice")
        sub = subscribe(owner(made.id), plan)
        counts(made, meter, "10")  # all that is free
        made.customer.pass_time(days=9)
        make_version(plan.plan_key, charges=[fee("100"), charge(meter)], credits=[], features={})
        acted_on(platform(), sub, "change", {"plan": plan.plan_key, "mode": "invoice"})
        made.customer.pass_time(days=2)
        agreed(made.id, offset=-13, prices=[price(plan, "use", HALF, included=None)])
        counts(made, meter, "6")
        made.pass_months()
        made.run()
        assert [line for line in metered_lines(made) if line != "0.00"] == ["6.00"]
        counts(made, meter, "12")
        made.pass_months()
        made.run()
        assert metered_lines(made)[-1] == "1.00"
        made.assert_sound()


class TestItsDates:
    def test_are_asked_when_a_period_begins(self) -> None:
        """It begins and ends within a period: each period has the price of its beginning, whole."""
        made, plan = billed(), team()
        today = today_of(made.id)
        dates = {"from": str(today + 10 * DAY), "to": str(today + 40 * DAY)}
        agreed(made.id, prices=[price(plan, "base", flat("60"), **dates), price(plan, "seats", FEW, **dates)])
        who = owner(made.id)
        sub = subscribe(who, plan, quantities={"seats": 4})
        made.customer.pass_time(days=15)
        acted_on(who, sub, "quantity", {"quantities": {"seats": 8}})
        credit, charged = items_of(made.id)[-2:]
        assert abs(charged[1] + 2 * credit[1]) <= 1  # both at 10
        for _ in range(3):
            made.customer.pass_time(days=30)
            run_boundaries(made.id)
        assert fees(made)[:3] == [10_000, 6_000, 10_000]
        assert [cents for kind, cents, _ in items_of(made.id) if kind == "licensed"][:3] == [
            4_000, 4_000, 8_000,
        ]  # fmt: skip

    def test_may_give_a_charge_one_price_after_another(self) -> None:
        made, plan = billed(), team()
        middle = str(today_of(made.id) + 20 * DAY)
        prices = [
            price(plan, "base", flat("60"), to=middle), price(plan, "base", flat("80"), **{"from": middle}),
        ]  # fmt: skip
        agreed(made.id, prices=prices)
        subscribe(owner(made.id), plan, quantities={"seats": 1})
        next_period(made.id, made)
        assert fees(made) == [6_000, 8_000]

    def test_end_with_the_contract(self) -> None:
        made, plan = billed(), team()
        contract = agreed(made.id, prices=[price(plan, "base", flat("60"))])
        subscribe(owner(made.id), plan, quantities={"seats": 1})
        acted(contract, "terminate", {})
        next_period(made.id, made)
        assert fees(made) == [6_000, 10_000]

    def test_do_not_matter_while_the_contract_is_a_draft(self) -> None:
        made, plan = billed(), team()
        body = {
            "organization": str(made.id),
            "definition": paper(made.id, prices=[price(plan, "base", flat("60"))]),
        }
        assert platform().post(PATH, body, key=unique()).status_code == 201
        subscribe(owner(made.id), plan, quantities={"seats": 1})
        assert fees(made) == [10_000]

    def test_are_passed_at_their_moment_after_a_standstill(self) -> None:
        """What was agreed on after a period had begun does not price it, however late its beginning is passed."""
        made, plan = billed(), team()
        subscribe(owner(made.id), plan, quantities={"seats": 1})
        made.pass_months()
        agreed(made.id, offset=-10, prices=[price(plan, "base", flat("60"))])
        run_boundaries(made.id)
        next_period(made.id, made)
        assert fees(made) == [10_000, 10_000, 6_000]


class TestAChange:
    def test_to_another_plan_takes_the_price_that_holds_then(self) -> None:
        made, old, new = billed(), team(), team()
        today = today_of(made.id)
        agreed(made.id, prices=[price(new, "base", flat("60"), **{"from": str(today + 5 * DAY)})])
        who = owner(made.id)
        sub = subscribe(who, old, quantities={"seats": 1})
        made.customer.pass_time(days=10)
        acted_on(who, sub, "change", {"plan": new.plan_key, "quantities": {"seats": 1}})
        found = {(kind, key): cents for kind, cents, key in items_of(made.id)[2:]}
        assert 0.59 < found["proration_charge", "base"] / -found["proration_credit", "base"] < 0.61

    def test_of_the_plans_version_keeps_the_contracts_price(self) -> None:
        made, plan = billed(), team()
        agreed(made.id, prices=[price(plan, "base", flat("60"))])
        who = owner(made.id)
        sub = subscribe(who, plan, quantities={"seats": 1})
        make_version(plan.plan_key, charges=[fee("150"), seats("10")], credits=[], features={})
        acted_on(platform(), sub, "change", {"plan": plan.plan_key, "mode": "next_period"})
        next_period(made.id, made)
        assert fees(made) == [6_000, 6_000]
        assert shown(who, sub)["number"] == 2

    def test_is_an_upgrade_by_what_it_costs_this_customer(self) -> None:
        """100 at the catalog's price and 20 at the contract's: less than the 60 that is paid today."""
        made = billed()
        old, new = (sell(fee(amount), upgrade="invoice", downgrade="next_period") for amount in ("60", "100"))
        agreed(made.id, prices=[price(new, "base", flat("20"))])
        who = owner(made.id)
        sub = subscribe(who, old)
        told = act_on(who, sub, "change/preview", {"plan": new.plan_key}).json()
        assert told["effect"] == "change_scheduled"

    def test_to_a_version_of_which_the_charge_is_another_kind_has_the_plans_price(self) -> None:
        made, plan = billed(), team()
        agreed(made.id, prices=[price(plan, "seats", FEW)])
        make_version(plan.plan_key, charges=[fee("30", "seats")], credits=[], features={})
        sub = subscribe(owner(made.id), plan)
        assert items_of(made.id) == [("recurring", 3_000, "seats")]
        assert sub["status"] == "active"


class TestAnAmendment:
    def test_holds_for_periods_that_begin_in_its_version(self) -> None:
        made, plan = billed(), team()
        contract = agreed(made.id, prices=[price(plan, "base", flat("60")), price(plan, "seats", FEW)])
        who = owner(made.id)
        sub = subscribe(who, plan, quantities={"seats": 4})
        definition = {**contract["definition"], "prices": [price(plan, "base", flat("70"))]}
        day = str(today_of(made.id) + 5 * DAY)
        acted(contract, "amend", {"definition": definition, "effective_on": day})
        made.customer.pass_time(days=8)
        acted_on(who, sub, "quantity", {"quantities": {"seats": 8}})
        credit, charged = items_of(made.id)[-2:]
        assert abs(charged[1] + 2 * credit[1]) <= 1  # both at 5
        assert [one["number"] for one in shown(who, sub)["agreed_prices"]] == [1, 1]
        made.pass_months()
        run_boundaries(made.id)
        assert fees(made) == [6_000, 7_000]
        assert items_of(made.id)[-1] == ("licensed", 8_000, "seats")
        assert [(one["charge"], one["number"]) for one in shown(who, sub)["agreed_prices"]] == [("base", 2)]
        versions = platform().get(f"{PATH}/{contract['id']}/versions").json()["data"]
        assert [len(one["definition"]["prices"]) for one in versions] == [1, 2]


def previewed(made: Billed) -> list[str]:
    """What the lines of the next invoice come to, which are those of its preview."""
    names = ("kind", "description", "amount", "net", "tax")
    while True:
        known = {one["id"] for one in made.invoices()}
        upcoming = made.reader.get("/v1/invoices/upcoming").json()
        at = upcoming["dated_at"] or made.reader.get("/v1/billing-cycle").json()["next_at"]
        simulate(organization=made.id, until=datetime.fromisoformat(at))
        new = [one["id"] for one in made.invoices() if one["id"] not in known]
        lines = [[line[name] for name in names] for invoice in new for line in made.lines(invoice)]
        assert [[line[name] for name in names] for line in upcoming["lines"]] == lines
        if lines:
            return sorted(line[2] for line in lines)


class TestAPreview:
    def test_is_the_later_invoice(self) -> None:
        made, meter = billed(), make_meter("sum")
        plan = team(charge(meter))
        prices = [
            price(plan, "base", flat("60")), price(plan, "seats", FEW, included="1"),
            price(plan, "use", HALF, included="0"),
        ]  # fmt: skip
        agreed(made.id, prices=prices)
        subscribe(owner(made.id), plan, quantities={"seats": 3})
        assert previewed(made) == ["10.00", "60.00"]
        counts(made, meter, "12")
        assert previewed(made) == ["10.00", "6.00", "60.00"]
        made.assert_sound()


class TestWhoReads:
    def test_sees_which_contracts_prices_a_subscription_has(self) -> None:
        made, plan = billed(), team()
        contract = agreed(made.id, prices=[price(plan, "seats", FEW, included="2")])
        sub = subscribe(owner(made.id), plan, quantities={"seats": 4})
        assert sub["agreed_prices"] == [
            {"charge": "seats", "contract": contract["id"], "number": 1, "price": FEW, "included": "2"}
        ]

    def test_finds_it_on_the_staffs_pages(self) -> None:
        made, plan = billed(), team()
        contract = agreed(made.id, prices=[price(plan, "seats", FEW, included="2")])
        sub = subscribe(owner(made.id), plan, quantities={"seats": 4})
        _, client = staff("view_subscription", "view_contract")
        page = client.get(f"/admin/billing/contract/{contract['id']}/change/").content.decode()
        assert "per unit, unit price 5" in page
        assert "includes 2" in page
        page = client.get(f"/admin/billing/subscription/{sub['id']}/change/").content.decode()
        assert f"contract:{contract['id']}@1" in page

    def test_finds_it_in_the_revenue_metrics(self) -> None:
        made, plan = billed(), team()
        agreed(made.id, prices=[price(plan, "base", flat("60")), price(plan, "seats", FEW)])
        subscribe(owner(made.id), plan, quantities={"seats": 4})
        assert only("mrr", made.id, sandbox="true")["mrr"] == "80"
        assert broken(made.id) == []


@pytest.fixture(scope="module")
def sold() -> tuple[Billed, PlanVersion, Meter]:
    made, meter = billed(), make_meter("sum")
    return made, team(metered("use", meter=meter.key, prices=DOLLAR)), meter


class TestAPriceThatIsRefused:
    @pytest.mark.parametrize(
        ("stated", "expected"),
        [
            ({"plan": None}, (400, "invalid_field", "/plan")),
            ({"plan": "no-such-plan"}, (422, "charge_unknown", "/charge")),
            ({"charge": "chairs"}, (422, "charge_unknown", "/charge")),
            ({"price": None}, (400, "invalid_field", "/price")),
            ({"price": {"model": "flat", "amount": "5"}}, (400, "invalid_field", "/price/model")),
            ({"price": {"model": "percentage", "rate": "5"}}, (400, "invalid_field", "/price/model")),
            ({"price": {**FEW, "unit_price": 5}}, (400, "invalid_amount", "/price/unit_price")),
            ({"price": {**FEW, "colour": "red"}}, (400, "unknown_field", "/price/colour")),
            ({"price": {**FEW, "included": "5"}}, (400, "invalid_field", "/price/included")),
            ({"charge": "base", "price": FEW}, (400, "invalid_field", "/price/model")),
            ({"charge": "base", "price": flat("5.001")}, (400, "invalid_amount", "/price/amount")),
            (
                {"charge": "base", "price": flat("5"), "included": "1"},
                (400, "invalid_field", "/included"),
            ),
            ({"charge": "use", "price": flat("5")}, (400, "invalid_field", "/price/model")),
            (
                {"charge": "use", "price": {"model": "percentage", "rate": "5", "fixed": "1"}},
                (422, "meter_unusable", "/price/fixed"),
            ),
            (
                {"charge": "use", "price": {"model": "percentage", "rate": "5"}, "included": "1"},
                (400, "invalid_field", "/included"),
            ),
            ({"included": "-1"}, (400, "invalid_quantity", "/included")),
            ({"from": "2019-01-01"}, (400, "invalid_period", "/from")),
            ({"to": "2099-01-01"}, (400, "invalid_period", "/to")),
            ({"tool": "search"}, (400, "invalid_field", "")),
            ({"amount": "5"}, (400, "invalid_field", "")),
        ],
        ids=lambda value: value[2] if isinstance(value, tuple) else "-".join(value),
    )
    def test_is_named_with_its_place_and_moves_nothing(
        self, sold: tuple[Billed, PlanVersion, Meter], stated: dict[str, Any], expected: tuple[int, str, str]
    ) -> None:
        made, plan, _ = sold
        wrong = {**price(plan, "seats", FEW), **stated}
        wrong = {name: value for name, value in wrong.items() if value is not None}
        body = {"organization": str(made.id), "definition": paper(made.id, prices=[wrong])}
        with made.still():
            status, code, pointers = problem(platform().post(PATH, body, key=unique()))
        assert (status, code) == expected[:2]
        assert f"/definition/prices/0{expected[2]}" in pointers

    def test_is_a_second_one_for_the_same_charge_at_the_same_time(
        self, sold: tuple[Billed, PlanVersion, Meter]
    ) -> None:
        made, plan, _ = sold
        twice = [price(plan, "seats", FEW), price(plan, "seats", HALF)]
        body = {"organization": str(made.id), "definition": paper(made.id, prices=twice)}
        with made.still():
            answer = problem(platform().post(PATH, body, key=unique()))
        assert answer == (400, "invalid_field", ["/definition/prices/1/from"])

    def test_is_one_in_a_currency_that_the_plan_is_not_sold_in(self) -> None:
        made = billed()
        euro = {"key": "base", "name": "Base", "kind": "recurring", "prices": {"EUR": flat("5")}}
        plan = sell(euro, currencies=["EUR"])
        definition = paper(made.id, prices=[price(plan, "base", flat("4"))])
        body = {"organization": str(made.id), "definition": definition}
        with made.still():
            answer = problem(platform().post(PATH, body, key=unique()))
        assert answer == (400, "invalid_field", ["/definition/prices/0/plan"])

    def test_is_one_that_an_amendment_or_another_draft_states(
        self, sold: tuple[Billed, PlanVersion, Meter]
    ) -> None:
        made, plan = billed(), sold[1]
        draft = {"organization": str(made.id), "definition": paper(made.id)}
        contract = platform().post(PATH, draft, key=unique()).json()
        wrong = {"definition": paper(made.id, prices=[price(plan, "chairs", FEW)])}
        with made.still():
            answer = platform().patch(f"{PATH}/{contract['id']}", wrong)
        assert problem(answer)[:2] == (422, "charge_unknown")
        acted(contract, "activate")
        with made.still():
            assert problem(act(contract, "amend", wrong))[:2] == (422, "charge_unknown")
