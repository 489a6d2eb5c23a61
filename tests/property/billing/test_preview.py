"""The preview equals the invoice for random use, items, coupons and credit (S80), and an invoice's parts sum to it."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from billing.operations.simulating import simulate
from billing.rules.profiles import CONSOLIDATIONS
from tests.builders.billing import CENT, Billed, billed, item, owe
from tests.builders.catalog import make_coupon
from tests.builders.contracts import agreed, commitment
from tests.builders.gate import usage_body
from tests.builders.metering import make_meter, new_event, record
from tests.builders.orgs import Caller, unique
from tests.builders.subscribed import fee, metered
from tests.builders.subscriptions import now_of, owner, sell, subscribe

FIGURES = ("subtotal", "discount", "net", "tax", "total", "discounts", "taxes")
LINES = (
    "kind",
    "description",
    "charge",
    "funded",
    "amount",
    "discount",
    "net",
    "tax",
    "quantities",
    "digest",
)


def subscription_of(organization: UUID) -> UUID:
    """A subscription that starts long after."""
    later = (now_of(organization) + timedelta(days=300)).isoformat()
    return UUID(subscribe(owner(organization), sell(fee("30")), start_at=later)["id"])


amounts = st.integers(1, 10**10).map(lambda units: f"{units // 10**8}.{units % 10**8:08d}")
uses = st.lists(st.tuples(amounts, st.sampled_from(["search", "mail", None])), max_size=5)
fees = st.lists(st.integers(-500, 5_000), max_size=3)


@settings(max_examples=6, deadline=None)
@given(uses=uses, fees=fees, credit=st.sampled_from(["0", "3.3333333", "50"]), percent=st.sampled_from([None, "33"]),
       country=st.sampled_from(["US", "DE"]), consolidation=st.sampled_from(CONSOLIDATIONS))  # fmt: skip
def test_a_preview_is_the_later_invoice(
    uses: list[tuple[str, str | None]],
    fees: list[int],
    credit: str,
    percent: str | None,
    country: str,
    consolidation: str,
) -> None:
    """The items are of subscriptions in turn, and of none, so that they may be invoiced apart."""
    made = billed(country, credit=credit)
    made.profile(consolidation=consolidation)
    for amount, tool in uses:
        action: dict[str, Any] = {"kind": "tool.call", "tool": tool} if tool else {"kind": "llm.chat"}
        body = usage_body(amount, action=action, occurred_at=now_of(made.id).isoformat())
        assert made.customer.api.post("/v1/usage", body).status_code == 201
    end = made.reader.get("/v1/billing-cycle").json()["next_at"]
    boundary = now_of(made.id).fromisoformat(end)
    owned = [subscription_of(made.id), None, subscription_of(made.id)]
    new = [
        item(due_at=boundary, amount=cents * CENT, subscription=of)
        for cents, of in zip(fees, owned, strict=False)
    ]
    owe(made.id, *new)
    if percent:
        coupon = make_coupon(percent=percent)
        who = owner(made.id)
        answer = who.post("/v1/coupon-redemptions", {"coupon": coupon.code}, key=unique())
        assert answer.status_code == 201
    upcoming = made.reader.get("/v1/invoices/upcoming").json()
    made.pass_months()
    made.run()
    made.assert_sound()
    invoices = made.invoices()
    if not invoices:
        assert (upcoming["total"], upcoming["lines"]) == ("0.00", [])
    if consolidation == "customer":
        assert len(invoices) <= 1
    told = upcoming["invoices"]
    assert [{name: one[name] for name in FIGURES} for one in invoices] == [
        {name: one[name] for name in FIGURES} for one in told
    ]
    lines = [[{name: line[name] for name in LINES} for line in made.lines(one["id"])] for one in invoices]
    assert lines == [[{name: line[name] for name in LINES} for line in one["lines"]] for one in told]


codes = st.sampled_from(["standard", "saas", "exempt"])
timings = st.sampled_from(["advance", "arrears"])
prices = {"USD": {"model": "per_unit", "unit_price": "0.07"}}
OWN = ({"model": "flat", "amount": "7.89"}, {"model": "per_unit", "unit_price": "0.03"})


def agree(made: Billed, who: Caller, drawn: st.DataObject) -> None:
    """Subscriptions that renew inside of the cycle, with fees and metered charges, use of them, items on any day and a
    contract, which may price their charges from their next period on: whatever makes invoices."""
    meter, now, stated = make_meter("sum"), now_of(made.id), []
    for place in range(drawn.draw(st.integers(1, 2))):
        charges = [fee("12.34", f"base{place}", tax_code=drawn.draw(codes), timing=drawn.draw(timings))]
        if place == 0 and drawn.draw(st.booleans()):
            code = drawn.draw(codes)
            charges.append(metered(f"use{place}", meter=meter.key, prices=prices, tax_code=code))
        start = now + timedelta(days=drawn.draw(st.integers(0, 20)))
        plan = sell(*charges)
        subscribe(who, plan, **({"start_at": start.isoformat()} if start > now else {}))
        own = zip(charges, OWN, strict=False)
        stated += [{"plan": plan.plan_key, "charge": one["key"], "price": price} for one, price in own]
    for units in drawn.draw(st.lists(st.integers(1, 500), max_size=2)):
        at = now + timedelta(minutes=5)
        record(made.id, new_event(meter.definition.event_type or "", at, {"units": str(units)}))
    for day, cents in drawn.draw(
        st.lists(st.tuples(st.integers(1, 40), st.integers(-500, 5_000)), max_size=2)
    ):
        owe(made.id, item(due_at=now + timedelta(days=day), amount=cents * CENT, tax_code=drawn.draw(codes)))
    if drawn.draw(st.booleans()):
        support = {"key": "support", "name": "Support", "amount": "31", "interval": {"unit": "month"}}
        fees = [{**support, "timing": drawn.draw(timings), "tax_code": drawn.draw(codes)}]
        agreed(made.id, "2", days=300, fees=fees, commitment=commitment("postpaid", "month"), prices=stated)


@settings(max_examples=4, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(drawn=st.data(), consolidation=st.sampled_from(CONSOLIDATIONS), credit=st.sampled_from(["0", "5"]))
def test_each_preview_is_the_next_invoice(drawn: st.DataObject, consolidation: str, credit: str) -> None:
    """Whatever the boundary that makes it, and whatever its tax codes."""
    made = billed("DE", credit=credit)
    made.profile(consolidation=consolidation)
    agree(made, owner(made.id), drawn)
    made.use("1.2345")
    made.run()  # else several boundaries are due at once
    for _ in range(3):
        known = {one["id"] for one in made.invoices()}
        with made.still():
            upcoming = made.reader.get("/v1/invoices/upcoming").json()
        cycle_end = made.reader.get("/v1/billing-cycle").json()["next_at"]
        at = datetime.fromisoformat(upcoming["dated_at"] or cycle_end)
        simulate(organization=made.id, until=at)
        if upcoming["invoices"] and {one["id"] for one in made.invoices()} == known:
            at += timedelta(
                days=3
            )  # a contract's window is settled so long after the date of what it makes owed
            simulate(organization=made.id, until=at)
        new = [one for one in made.invoices() if one["id"] not in known]
        assert [{name: one[name] for name in (*FIGURES, "dated_at")} for one in new] == [
            {name: one[name] for name in (*FIGURES, "dated_at")} for one in upcoming["invoices"]
        ]
        lines = [[{name: line[name] for name in LINES} for line in made.lines(one["id"])] for one in new]
        assert lines == [
            [{name: line[name] for name in LINES} for line in one["lines"]] for one in upcoming["invoices"]
        ]
        simulate(organization=made.id, until=at + timedelta(hours=2))
    made.assert_sound()
