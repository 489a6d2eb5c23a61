"""The preview equals the invoice for random use, items, coupons and credit (S80), and an invoice's parts sum to it."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders.billing import CENT, billed, item, owe
from tests.builders.catalog import make_coupon
from tests.builders.gate import usage_body
from tests.builders.orgs import unique
from tests.builders.subscriptions import now_of, owner

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
amounts = st.integers(1, 10**10).map(lambda units: f"{units // 10**8}.{units % 10**8:08d}")
uses = st.lists(st.tuples(amounts, st.sampled_from(["search", "mail", None])), max_size=5)
fees = st.lists(st.integers(-500, 5_000), max_size=3)


@settings(max_examples=12, deadline=None)
@given(uses=uses, fees=fees, credit=st.sampled_from(["0", "3.3333333", "50"]), percent=st.sampled_from([None, "33"]),
       country=st.sampled_from(["US", "DE"]))  # fmt: skip
def test_a_preview_is_the_later_invoice(
    uses: list[tuple[str, str | None]], fees: list[int], credit: str, percent: str | None, country: str
) -> None:
    made = billed(country, credit=credit)
    for amount, tool in uses:
        action: dict[str, Any] = {"kind": "tool.call", "tool": tool} if tool else {"kind": "llm.chat"}
        body = usage_body(amount, action=action, occurred_at=now_of(made.id).isoformat())
        assert made.customer.api.post("/v1/usage", body).status_code == 201
    end = made.reader.get("/v1/billing-cycle").json()["next_at"]
    boundary = now_of(made.id).fromisoformat(end)
    owe(made.id, *(item(due_at=boundary, amount=cents * CENT) for cents in fees))
    if percent:
        coupon = make_coupon(percent=percent)
        who = owner(made.id)
        answer = who.post("/v1/coupon-redemptions", {"coupon": coupon.code}, key=unique())
        assert answer.status_code == 201
    upcoming = made.reader.get("/v1/invoices/upcoming").json()
    made.pass_months()
    made.run()
    made.assert_sound()
    if not made.invoices():
        assert (upcoming["total"], upcoming["lines"]) == ("0.00", [])
        return
    invoice = made.only()
    assert {name: invoice[name] for name in FIGURES} == {name: upcoming[name] for name in FIGURES}
    lines = made.lines(invoice["id"])
    shown = [{name: line[name] for name in LINES} for line in lines]
    assert shown == [{name: line[name] for name in LINES} for line in upcoming["lines"]]
