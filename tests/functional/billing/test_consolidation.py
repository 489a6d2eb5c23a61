"""One invoice for everything, or one for each subscription, each contract and the rest, as the profile says (S76)."""

from datetime import timedelta
from typing import Any

from billing.operations.simulating import simulate
from events.rebuilding.run import rebuild
from tests.builders.billing import Billed
from tests.builders.catalog import make_coupon
from tests.builders.contracts import agreed, commitment
from tests.builders.gate import units
from tests.builders.orgs import unique
from tests.builders.simulated import at, at_start, decide
from tests.builders.subscribed import fee
from tests.builders.subscriptions import sell, subscribe

BEGUN = at("2027-01-10T09:00:00")
NEXT = "2027-02-01T00:00:00Z"
WHY = {"reason": "It was wrong."}
MONEY = ("subtotal", "discount", "net")
SHOWN = ("kind", "description", "quantity", "charge", "funded", "amount", "discount", "net")


def customer(consolidation: str) -> Billed:
    made = at_start(BEGUN, credit_limit=units("1000"))
    answer = decide(made).patch("/v1/billing-profile", {"consolidation": consolidation})
    assert answer.status_code == 200, answer.content
    made.run()
    return made


def owing(consolidation: str, plans: Any, *, contract: bool = False, coupons: Any = ()) -> Billed:
    """A customer that owes two fees, one of them less its subscription's coupon, use of the gate and an item, all at
    the same moment; with a contract its use and its fee, too."""
    made = customer(consolidation)
    who = decide(made)
    for plan, code in zip(plans, (coupons[0] if coupons else None, None), strict=True):
        subscribe(who, plan, start_at=NEXT, **({"coupons": [code]} if code else {}))
    if coupons:
        body = {"coupon": coupons[1]}
        assert who.post("/v1/coupon-redemptions", body, key=unique()).status_code == 201
    if contract:
        later = {"key": "support", "name": "Support", "amount": "31", "interval": {"unit": "month"}}
        terms = {"commitment": commitment("postpaid", "month", alignment="calendar")}
        agreed(made.id, "2", days=300, fees=[{**later, "timing": "arrears"}], **terms)
    made.use("1.111111", "2.5")
    extra = {"organization": str(made.id), "description": "Help", "amount": "7.77", "currency": "USD"}
    added = made.finance.post("/v1/invoice-items", {**extra, "due_at": NEXT}, key=unique())
    assert added.status_code == 201, added.content
    return made


def billed_at(made: Billed, *, days: float = 0.5) -> list[dict[str, Any]]:
    """The invoices of the next boundary, once they have their numbers."""
    simulate(organization=made.id, until=at("2027-02-01") + timedelta(days=days))
    return [one for one in made.invoices() if one["dated_at"] == NEXT]


def owners(made: Billed, invoice: dict[str, Any]) -> set[tuple[Any, Any]]:
    """Whose lines stand on an invoice."""
    return {(line["subscription"], line["contract"]) for line in made.lines(invoice["id"])}


def all_lines(made: Billed, invoices: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    shown = [line for one in invoices for line in made.lines(one["id"])]
    return sorted(tuple(str(line[name]) for name in SHOWN) for line in shown)


def total(invoices: list[dict[str, Any]], name: str) -> int:
    return sum(units(one[name]) for one in invoices)


def plans() -> list[Any]:
    return [sell(fee("30")), sell(fee("20.01"), net_days=40)]


def coupons() -> list[str]:
    """A percentage for one subscription, and an amount for the customer, off two invoices."""
    amount = make_coupon(amounts={"USD": "3.33"}, duration="periods", periods=2)
    return [make_coupon(percent="33").code, amount.code]


class TestOfEachSubscriptionItsOwn:
    def test_stands_each_on_an_invoice_with_the_contract_and_the_rest_on_theirs(self) -> None:
        made = owing("subscription", plans(), contract=True)
        invoices = billed_at(made)
        found = [owners(made, one) for one in invoices]
        assert all(len(each) == 1 for each in found)
        assert len({next(iter(each)) for each in found}) == 4
        assert [next(iter(each)) for each in found][-1] == (None, None)
        assert sum(subscription is not None for each in found for subscription, _ in each) == 2
        assert sum(contract is not None for each in found for _, contract in each) == 1
        assert [int(one["number"][-6:]) for one in invoices] == [1, 2, 3, 4]
        made.assert_sound()
        assert rebuild().differences == []

    def test_is_together_what_one_invoice_would_be_but_for_the_rounding_of_tax(self) -> None:
        sold, codes = plans(), coupons()
        together = owing("customer", sold, contract=True, coupons=codes)
        apart = owing("subscription", sold, contract=True, coupons=codes)
        (whole,), parts = billed_at(together), billed_at(apart)
        assert [total(parts, name) for name in MONEY] == [units(whole[name]) for name in MONEY]
        assert (
            whole["discount"] == "19.89"
        )  # 33 % of 30; 3.33 of each subscription's period, and once of the rest
        assert abs(total(parts, "tax") - units(whole["tax"])) <= len(parts) * units("0.005")
        # Names of contracts and of use are the same, ids are not shown.
        assert all_lines(apart, parts) == all_lines(together, [whole])
        for one in parts:
            assert sum(units(each["amount"]) for each in one["discounts"]) == units(one["discount"])

    def test_counts_a_coupon_of_the_whole_customer_once_for_a_boundary(self) -> None:
        """Off a contract's fee and off the rest at once; it lowers two boundaries, not two invoices."""
        sold = plans()
        figures = []
        for consolidation in ("customer", "subscription"):
            codes = coupons()
            made = owing(consolidation, sold, contract=True, coupons=codes)
            billed_at(made, days=65)
            dated: dict[str, int] = {}
            for one in made.invoices():
                for each in one["discounts"]:
                    if each["coupon"] == codes[1]:
                        dated[one["dated_at"]] = dated.get(one["dated_at"], 0) + units(each["amount"])
            figures.append(dated)
        assert figures[0] == figures[1]
        assert len(figures[0]) == 2

    def test_has_the_pace_of_its_own_plan(self) -> None:
        made = owing("subscription", plans())
        pace = [(one["net_days"], len(made.lines(one["id"]))) for one in billed_at(made)]
        assert pace == [(14, 1), (40, 1), (14, 2)]

    def test_is_what_the_preview_said(self) -> None:
        made = owing("subscription", plans(), contract=True, coupons=coupons())
        with made.still():
            upcoming = made.reader.get("/v1/invoices/upcoming").json()
        invoices = billed_at(made)
        figures = (*MONEY, "tax", "total", "discounts", "taxes", "dated_at", "period_start", "period_end")
        assert [{name: one[name] for name in figures} for one in invoices] == [
            {name: one[name] for name in figures} for one in upcoming["invoices"]
        ]
        lines = [made.lines(one["id"]) for one in invoices]
        shown = [[{name: line[name] for name in SHOWN} for line in part] for part in lines]
        assert shown == [
            [{name: line[name] for name in SHOWN} for line in one["lines"]] for one in upcoming["invoices"]
        ]
        for name in (*MONEY, "tax", "total"):
            assert units(upcoming[name]) == total(invoices, name)
        assert upcoming["lines"] == [line for one in upcoming["invoices"] for line in one["lines"]]
        (tax,) = upcoming["taxes"]
        assert (units(tax["base"]), units(tax["tax"])) == (total(invoices, "net"), total(invoices, "tax"))

    def test_explains_every_line_and_has_the_records_of_its_use(self) -> None:
        made = owing("subscription", plans(), contract=True)
        seen = []
        for one in billed_at(made):
            for line in made.lines(one["id"]):
                path = f"/v1/invoices/{one['id']}/lines/{line['number']}"
                explained = made.reader.get(f"{path}/explain").json()
                assert explained["agrees"] in (None, True)
                if line["kind"] == "usage":
                    csv = made.reader.get(f"{path}/records.csv")
                    seen.append((line["records"], len(b"".join(csv.streaming_content).splitlines()) - 1))
        assert seen == [(2, 2)]

    def test_that_is_void_gives_back_its_own_part_alone(self) -> None:
        made = owing("subscription", plans())
        first, second, rest = billed_at(made)
        for one in (first, rest):
            assert made.act(one["id"], "void", WHY).status_code == 200
        simulate(organization=made.id, until=at("2027-03-01T12:00:00"))
        again = [one for one in made.invoices() if one["dated_at"] == "2027-03-01T00:00:00Z"]
        shown = [sorted(line["amount"] for line in made.lines(one["id"])) for one in again]
        assert shown == [["30.00", "30.00"], ["20.01"], ["3.61", "7.77"]]
        assert second["status"] == "open"
        made.assert_sound()

    def test_is_none_for_use_that_credit_paid_for(self) -> None:
        made = customer("subscription")
        made.customer.grant("50", kind="paid")
        subscribe(decide(made), sell(fee("30")), start_at=NEXT)
        made.use("1")
        (only,) = billed_at(made)
        assert [line["kind"] for line in made.lines(only["id"])] == ["recurring"]
        assert made.act(only["id"], "void", WHY).status_code == 200
        simulate(organization=made.id, until=at("2027-03-01T12:00:00"))
        (again,) = [one for one in made.invoices() if one["status"] != "void"]
        assert [line["kind"] for line in made.lines(again["id"])] == ["recurring", "recurring"]
        made.assert_sound()

    def test_comes_when_the_threshold_of_unbilled_use_is_reached(self) -> None:
        made = customer("subscription")
        subscribe(decide(made), sell(fee("30")))
        body = {"organization": str(made.id), "threshold": "2.50"}
        assert made.finance.patch("/v1/billing-cycle", body).status_code == 200
        made.use("3")
        made.run()
        shown = [(one["cause"], [line["kind"] for line in made.lines(one["id"])]) for one in made.invoices()]
        assert shown == [("items", ["recurring"]), ("threshold", ["usage"])]
        made.assert_sound()


def test_another_choice_holds_from_the_next_invoice_on() -> None:
    made = owing("subscription", plans())
    assert len(billed_at(made)) == 3
    assert decide(made).patch("/v1/billing-profile", {"consolidation": "customer"}).status_code == 200
    made.use("1")
    simulate(organization=made.id, until=at("2027-03-01T12:00:00"))
    (whole,) = [one for one in made.invoices() if one["dated_at"] == "2027-03-01T00:00:00Z"]
    assert sorted(line["amount"] for line in made.lines(whole["id"])) == ["1.00", "20.01", "30.00"]
