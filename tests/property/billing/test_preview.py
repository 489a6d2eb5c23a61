"""The preview equals the invoice for random use, items, coupons and credit (S80), and an invoice's parts sum to it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.rules.profiles import CONSOLIDATIONS
from tests.builders.billing import CENT, billed, item, owe
from tests.builders.catalog import make_coupon
from tests.builders.gate import usage_body
from tests.builders.orgs import unique
from tests.builders.subscribed import fee
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


@settings(max_examples=12, deadline=None)
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
