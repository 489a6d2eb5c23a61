"""P1, L8, S97-S100: any order of charges, collections, refunds, disputes, notes, write-offs, moves, payouts.

After every step, as committed: what came into the partner's books is not more than was collected, every unit of a share
is in exactly one place, the two books clear. In the end, when nothing is missing, all that is paid is the partner's.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, given, settings

from common.money import format_amount
from ledger.operations.posting import NewEntry, post_entry
from tests.builders.billing import Billed
from tests.builders.books import balances
from tests.builders.gate import Customer
from tests.builders.marketplace import (
    Seller,
    calling,
    calling_on_account,
    make_seller,
    marketplace_violations,
    settled,
    spend,
)
from tests.builders.orgs import AUTHOR, platform, unique, write
from tests.invariants import assert_sound

UNITS = st.integers(1, 5 * 10**8)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ("use", "use", "gift", "buy", "claw", "reverse", "settle", "settle", "wait", "payout", "odd")
        ),
        UNITS,
    ),
    min_size=4,
    max_size=14,
)
INVOICED = st.lists(
    st.tuples(st.sampled_from(("pay", "note", "write_off", "settle", "wait", "payout", "use")), UNITS),
    min_size=2,
    max_size=8,
)
CHECKED = settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


def pay_out(seller: Seller, amount: int) -> None:
    """What a payout does to the books, as far as this cares: it takes what is withdrawable."""
    amount = min(amount, seller.money.withdrawable)
    if amount > 0:
        lines = (("partner_payable", -amount), ("payout_in_transit", amount))
        entry = NewEntry("payout", unique("payout"), "payout:test", lines)
        write(lambda cur: post_entry(cur, organization=seller.id, entry=entry, author=AUTHOR))


def come_back(seller: Seller) -> None:
    """What was paid out comes back: no payout is there for it, and the whole database is looked at in the end (P3)."""
    amount = balances(seller.id).get("payout_in_transit", 0)
    if amount:
        lines = (("payout_in_transit", -amount), ("partner_payable", amount))
        entry = NewEntry("payout", unique("payout"), "payout:test", lines)
        write(lambda cur: post_entry(cur, organization=seller.id, entry=entry, author=AUTHOR))


def reverse_one(customer: UUID) -> None:
    """Take the oldest call back that was not taken back."""
    api = platform()
    entries = api.get("/v1/entries", organization=str(customer), kind="usage", limit="100").json()["data"]
    for entry in entries[::-1]:
        if entry["reversed_by"] is None:
            api.post(f"/v1/entries/{entry['id']}/reverse", {"reason": "test"}, key=unique())
            return


def claw(customer: UUID, amount: int) -> None:
    """A dispute of bought credit."""
    body = {
        "organization": str(customer),
        "amount": f"{max(1, amount // 10**6) / 100:.2f}",
        "currency": "USD",
        "source": f"dispute:{unique()}",
        "reason": "lost",
    }
    answer = platform().post("/v1/credits/clawbacks", body, key=unique())
    assert answer.status_code == 201, answer.content


def use(customer: Customer, amount: int) -> None:
    """A call, reserved where it fits, else told after the fact."""
    text = format_amount(amount)
    made = customer.reserve(text)
    if made.status_code == 201:
        customer.commit(made.json()["id"], text)
    else:
        assert customer.use(text).status_code == 201


def step(customer: Customer, seller: Seller, what: str, amount: int) -> None:
    if what == "use":
        use(customer, amount)
    elif what == "odd":
        use(customer, amount % 97 + 1)
    elif what in ("gift", "buy"):
        customer.grant(format_amount(amount), kind="promotional" if what == "gift" else "paid")
    elif what == "claw":
        claw(customer.id, amount)
    elif what == "reverse":
        reverse_one(customer.id)
    elif what == "wait":
        customer.pass_time(days=8)
    elif what == "payout":
        pay_out(seller, amount)
    else:
        settled(customer.id)


def proven(customer: UUID, *sellers: Seller) -> None:
    assert marketplace_violations(customer) == []
    for seller in sellers:
        found = balances(seller.id)
        assert found.get("partner_payable", 0) + found.get("payout_in_transit", 0) == -found.get(
            "intercompany_clearing", 0
        )
        assert seller.money.withdrawable <= max(0, found.get("partner_payable", 0))


@CHECKED
@given(STEPS)
def test_every_unit_of_a_share_is_in_one_place_whatever_happens(steps: list[tuple[str, int]]) -> None:
    seller, other = make_seller(), make_seller()
    seller.share(fee_rate=123_457, splits=((seller.id, 2), (other.id, 1)))
    customer = calling(seller, credit="3")
    for what, amount in steps:
        step(customer, seller, what, amount)
        proven(customer.id, seller, other)
    finish(customer, seller, other)


def finish(customer: Customer, *sellers: Seller) -> None:
    """Pay what is owed: all that was earned is collected, and after the holdback moved."""
    customer.grant("1000")
    settled(customer.id)
    customer.pass_time(days=8)
    settled(customer.id)
    assert not settled(customer.id)
    proven(customer.id, *sellers)
    for seller in sellers:
        earned, collected, past, _ = seller.figures
        assert earned == collected == past
        come_back(seller)
    assert_sound(customer.id, *(seller.id for seller in sellers))


@CHECKED
@given(st.lists(UNITS, min_size=1, max_size=4), INVOICED)
def test_an_invoice_brings_its_partners_what_is_paid_of_it(
    amounts: list[int], steps: list[tuple[str, int]]
) -> None:
    seller = make_seller()
    made = calling_on_account(seller)
    spend(made.customer, *(format_amount(amount) for amount in amounts))
    made.pass_months()
    made.run()
    settled(made.id)
    for what, amount in steps:
        invoice_step(made, seller, what, amount)
        proven(made.id, seller)
    settled(made.id)
    proven(made.id, seller)
    come_back(seller)
    assert_sound(made.id, seller.id)


def invoice_step(made: Billed, seller: Seller, what: str, amount: int) -> None:
    invoice: dict[str, Any] = made.invoices()[0]
    cents = f"{max(1, amount // 10**6) / 100:.2f}"
    if what == "pay":
        made.pay(invoice["id"], cents)
    elif what == "note":
        line = made.lines(invoice["id"])[0]
        made.act(
            invoice["id"],
            "credit-notes",
            {"reason": "test", "lines": [{"line": line["number"], "net": cents}]},
        )
    elif what == "write_off":
        made.act(invoice["id"], "write-off", {"reason": "test"})
    else:
        step(made.customer, seller, what, amount)


class TestManySmallEarnings:
    """S97 at the size of CI: none of so many shares below a cent loses a unit."""

    def test_lose_nothing(self) -> None:
        seller = make_seller(holdback_days=0)
        seller.share(fee_rate=333_333)
        customer = calling(seller, credit="1")
        total, kept = 0, 0
        facts = [
            {
                "source": "small",
                "id": str(number),
                "subject": {"agent": "bot"},
                "action": {"kind": "llm.chat"},
                "amount": format_amount(number % 7 + 1),
                "outcome": "completed",
                "occurred_at": "2026-01-01T00:00:00Z",
            }
            for number in range(2_000)
        ]
        for first in range(0, len(facts), 500):
            answer = customer.api.post("/v1/usage/batch", {"items": facts[first : first + 500]})
            assert answer.status_code == 200, answer.content
            assert {one["status"] for one in answer.json()["results"]} == {201}
        total = sum(number % 7 + 1 for number in range(2_000))
        kept = balances(customer.id)["platform_fee"]
        settled(customer.id)
        customer.pass_time(hours=2)
        settled(customer.id)
        assert seller.figures[3] + kept == total
        assert balances(seller.id)["partner_payable"] == total - kept
        proven(customer.id, seller)
