"""P1 to P4, L8: charges and their reversals, collections, refunds, disputes, payouts and reversals of transfers anyhow;
of two partners who share by tiers, on bought credit, debt that is forgiven, a commitment and the line.

After each step, as committed: every unit of a share is in exactly one of partner_earned, partner_payable, in transit,
paid and clawed back; no more is paid, in transit and payable than was collected; linked entries clear; each payout is
in the state that what happened at the processor left it in. Statements chain, in units. PARTNER_STEPS and
PARTNER_EXAMPLES: how much of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, given, settings

from billing.rules.payments.views import DisputeView
from common.money import format_amount, parse_amount
from payouts.operations.adjusting import adjust_due
from payouts.operations.paying.due import advance_due
from payouts.queries.payingintegrity import violations as payout_violations
from payouts.rules.paying.row import Payout
from payouts.rules.shares import Tier
from tests.builders.billing import Billed, billed
from tests.builders.books import balances, rows
from tests.builders.contracts import agreed, commitment
from tests.builders.gate import Customer, make_customer
from tests.builders.marketplace import (
    Seller,
    calls,
    make_seller,
    marketplace_violations,
    reversed_once,
    settled,
)
from tests.builders.orgs import platform, unique, write
from tests.builders.partner_money import stated
from tests.builders.payments import Paying, asked
from tests.builders.payouts import CENT, Earner, partner
from tests.builders.stripe import Simulator
from tests.invariants import assert_sound

STEPS = int(os.environ.get("PARTNER_STEPS", "12"))
EXAMPLES = int(os.environ.get("PARTNER_EXAMPLES", "2"))
TIERS = (Tier(50 * 10**8, 323_457), Tier(None, 123_457))
Action = Callable[[], None]


@dataclass
class Taken:
    """A payment that succeeded, what was refunded of it, and its dispute."""

    paying: Paying
    refunded: int = 0
    dispute: DisputeView | None = None
    is_open: bool = False


@dataclass
class Market:
    """A partner that is paid, another that shares in its calls and offers something itself, a customer with bought
    credit and one who is invoiced, and what happened to their money."""

    random: Random
    earner: Earner
    other: Seller
    prepaid: Customer
    invoiced: Billed
    taken: list[Taken] = field(default_factory=list)
    states: dict[UUID, str] = field(default_factory=dict)
    back: dict[UUID, int] = field(default_factory=dict)

    # What may happen now

    def actions(self) -> list[tuple[str, Action]]:
        """Every step that is possible, by name."""
        made: list[tuple[str, Action]] = [
            ("use", self.use), ("use on account", self.use_on_account), ("buy", self.buy), ("settle", self.settle),
            ("settle ", self.settle), ("request", self.request), ("state", self.state),
            ("take back", self.take_back), ("call", self.call), ("forgive", self.forgive), ("adjust", self.adjust),
        ]  # fmt: skip
        if any(invoice["status"] in ("draft", "open") for invoice in self.invoiced.invoices()):
            made += [("pay", self.pay), ("write off", self.write_off)]
        else:
            made.append(("bill", self.bill))
        for one in self.taken:
            if one.refunded < one.paying.amount and one.dispute is None:
                made.append(("refund", partial(self.refund, one)))
            if one.dispute is None:
                made.append(("dispute", partial(self.dispute, one)))
            elif one.is_open:
                made += [("win", partial(self.close, one, "won")), ("lose", partial(self.close, one, "lost"))]
        for payout in self.earner.payouts():
            made += self._of_payout(payout)
        return made

    def _of_payout(self, payout: Payout) -> list[tuple[str, Action]]:
        state = self.states[payout.id]
        made: list[tuple[str, Action]] = []
        if state == "approved":
            made += [("send", partial(self.send, payout)), ("send ", partial(self.send, payout))]
        elif state == "held":
            made.append(("go on", partial(self.go_on, payout)))
        elif state == "processing" and payout.payout is None:
            made.append(("try again", self.try_again))
        elif state == "processing":
            made += [(to, partial(self.decide, payout, to)) for to in ("paid", "paid", "failed")]
        elif state == "paid":
            made.append(("failed late", partial(self.decide, payout, "failed")))
        if state in ("processing", "paid") and self.back[payout.id] < payout.amount:
            made.append(("reverse", partial(self.reverse, payout)))
        return made

    # Customers

    def amount(self, most: int = 40) -> int:
        """Some units, up to so many dollars."""
        return self.random.randint(1, most * 10**8)

    def cents(self, most: int) -> int:
        """Some units of whole cents, up to so many units."""
        return self.random.randint(1, max(1, most // CENT)) * CENT

    def use(self) -> None:
        """A call on bought credit; what it does not cover is debt."""
        answer = self.prepaid.use(format_amount(self.amount()))
        assert answer.status_code == 201, answer.content

    def use_on_account(self) -> None:
        self.invoiced.use(format_amount(self.amount()))

    def take_back(self) -> None:
        """A call of either customer, whatever became of it: paid, owed, invoiced or not yet."""
        customer = self.random.choice((self.prepaid.id, self.invoiced.id))
        asking = {"organization": str(customer), "kind": "usage", "limit": "100"}
        entries = platform().get("/v1/entries", **asking).json()["data"]
        left = [entry["id"] for entry in entries if entry["reversed_by"] is None]
        if left and customer == self.invoiced.id:
            reversed_once(customer, UUID(self.random.choice(left)))
        elif left:
            path = f"/v1/entries/{self.random.choice(left)}/reverse"
            assert platform().post(path, {"reason": "test"}, key=unique()).status_code == 201

    def buy(self) -> None:
        self.succeed(asked(self.prepaid.id, self.cents(60 * 10**8)))

    def call(self) -> None:
        """What the customer with credit calls from now on."""
        calls(self.prepaid, self.random.choice((self.other, seller_of(self.earner))))

    def forgive(self) -> None:
        """Some of what is owed is given up, or given away where nothing is."""
        body = {"organization": str(self.prepaid.id), "amount": format_amount(self.amount(20)), "currency": "USD",
                "direction": "credit", "contra": "bad_debt", "reason": "test"}  # fmt: skip
        assert platform().post("/v1/adjustments", body, key=unique()).status_code == 201

    def adjust(self) -> None:
        """A month is over, and its tiers bring the difference."""
        self.earner.later(days=31)
        self.prepaid.pass_time(days=31)
        adjust_due()

    def bill(self) -> None:
        self.invoiced.pass_months()
        self.invoiced.run()

    def pay(self) -> None:
        """The oldest open invoice by card."""
        for invoice in self.invoiced.invoices():
            due = parse_amount(invoice["due"], allow_zero=True)
            if invoice["status"] == "open" and due:
                self.succeed(asked(self.invoiced.id, due, invoice=UUID(invoice["id"])))
                return

    def write_off(self) -> None:
        """The newest open one, sometimes."""
        invoices = [one for one in self.invoiced.invoices() if one["status"] == "open"]
        if invoices and self.random.random() < 0.3:
            self.invoiced.act(invoices[-1]["id"], "write-off", {"reason": "test"})

    def succeed(self, paying: Paying) -> None:
        """It is paid."""
        assert paying.apply(paying.view()).outcome == "applied"
        self.taken.append(Taken(paying))

    def refund(self, one: Taken) -> None:
        part = self.cents(one.paying.amount - one.refunded)
        assert one.paying.apply(one.paying.refund(part)).outcome == "applied"
        one.refunded += part

    def dispute(self, one: Taken) -> None:
        """Of all or a part, also of what was refunded; the fee comes on top."""
        whole = self.random.random() < 0.6
        one.dispute = one.paying.dispute(one.paying.amount if whole else self.cents(one.paying.amount))
        one.is_open = True
        assert one.paying.apply(one.dispute).outcome == "applied"

    def close(self, one: Taken, to: str) -> None:
        assert one.dispute is not None
        closed = one.paying.won(one.dispute) if to == "won" else one.paying.lost(one.dispute)
        assert one.paying.apply(closed).outcome == "applied"
        one.is_open = False

    # The partner

    def settle(self) -> None:
        for customer in (self.prepaid, self.invoiced.customer):
            settled(customer.id)
            customer.pass_time(hours=2)
            settled(customer.id)

    def request(self) -> None:
        """All there is, a day later. Refused, it moves nothing."""
        self.earner.later(hours=25)
        before = self.earner.money()
        answer = self.earner.ask()
        if answer.status_code == 201:
            made = UUID(answer.json()["id"])
            self.states[made], self.back[made] = answer.json()["status"], 0
            return
        assert answer.json()["code"] in ("below_minimum_payout", "payout_under_way", "payout_too_soon"), (
            answer.content
        )
        assert self.earner.money() == before

    def send(self, payout: Payout) -> None:
        """What was taken back meanwhile holds it until later earnings have made up for it."""
        self.earner.send()
        self.states[payout.id] = "processing" if self.is_owed() else "held"

    def go_on(self, payout: Payout) -> None:
        self.earner.later(minutes=16)
        advance_due()
        self.states[payout.id] = "approved" if self.is_owed() else "held"

    def is_owed(self) -> bool:
        return balances(self.earner.id).get("partner_payable", 0) >= 0

    def try_again(self) -> None:
        """A reversal of what was at the bank already left the account too little for the next payout: it waits."""
        self.earner.stripe.fund(10**6, account=self.earner.account)
        self.earner.later(minutes=16)
        advance_due()
        self.earner.send()

    def decide(self, payout: Payout, to: str) -> None:
        """The bank says something; what comes back has its transfer reversed."""
        name = self.earner.payout(payout.id).payout
        self.earner.stripe.decide(payout=name, on=self.earner.account, to=to)
        self.earner.hear()
        if to == "failed":
            self.earner.send()
            self.back[payout.id] = payout.amount
        self.states[payout.id] = to

    def reverse(self, payout: Payout) -> None:
        """Somebody reverses some of the transfer in the dashboard. All of it takes a paid payout back."""
        left = payout.amount - self.back[payout.id]
        part = left if self.random.random() < 0.4 else self.cents(left)
        params: Any = {"amount": part // CENT}
        self.earner.stripe.sdk().v1.transfers.reversals.create(payout.transfer or "", params)
        self.earner.hear()
        self.back[payout.id] += part
        if self.back[payout.id] == payout.amount and self.states[payout.id] == "paid":
            self.states[payout.id] = "reversed"

    def state(self) -> None:
        stated(self.earner, unit=1)

    # What holds

    def prove(self) -> None:
        """Fail unless everything is where it belongs."""
        ours = (self.prepaid.id, self.invoiced.id, self.earner.id)
        for customer in ours[:2]:
            assert marketplace_violations(customer) == []
        assert [one for one in write(payout_violations) if one.organization in ours] == []
        payouts = self.earner.payouts()
        assert {one.id: one.state for one in payouts} == self.states
        assert {one.id: one.taken_back for one in payouts} == self.back
        assert all(sum(one.reversals.values()) == one.taken_back for one in payouts)
        paid = sum(one.amount for one in payouts if self.states[one.id] == "paid")
        money, others = balances(self.earner.id), balances(self.other.id)
        assert money.get("payout_in_transit", 0) == sum(
            one.amount for one in payouts if self.states[one.id] in ("approved", "held", "processing")
        )
        shares, lost, waiting = self.shares()
        assert (
            waiting
            + money.get("partner_payable", 0)
            + others.get("partner_payable", 0)
            + money.get("payout_in_transit", 0)
            + paid
            + lost
            == shares
        )

    def shares(self) -> tuple[int, int, int]:
        """The shares of all calls that stand, by record, and differences of tiers; what was clawed back for
        good; what is in partner_earned."""
        ours = [self.prepaid.id, self.invoiced.id]
        said = rows(
            "SELECT coalesce(sum((p->>3)::bigint), 0) FROM usage_records u, json_array_elements(u.detail->'shares'"
            "->'parts') p WHERE u.detail->'shares' IS NOT NULL AND u.organization = ANY(%s) AND NOT EXISTS (SELECT FROM"
            " v_entries e JOIN v_entries r ON r.idempotency_key = 'reversal:' || e.entry_id"
            " WHERE e.source = 'usage_record:' || u.id)",
            ours,
        )
        posted = rows(
            "SELECT coalesce(sum(p.amount), 0), coalesce(-sum(p.amount) FILTER (WHERE e.kind = 'earning_lost'), 0),"
            " coalesce(sum(p.amount) FILTER (WHERE e.kind = 'earning_adjusted'), 0)"
            " FROM v_postings p JOIN v_entries e USING (entry_id)"
            " WHERE p.account_kind = 'partner_earned' AND p.organization = ANY(%s)",
            ours,
        )
        return int(said[0][0]) + int(posted[0][2]), int(posted[0][1]), int(posted[0][0])


def market(simulator: Simulator, random: Random) -> Market:
    """Nothing has happened yet."""
    earner, other = partner(simulator), make_seller(holdback_days=0)
    seller = seller_of(earner)
    seller.share(tiers=TIERS, splits=((earner.id, 2), (other.id, 1)))
    prepaid, invoiced = make_customer("0"), billed()
    agreed(invoiced.id, "30", days=3650, commitment=commitment("postpaid", "month"))
    calls(prepaid, seller)
    calls(invoiced.customer, seller)
    return Market(random, earner, other, prepaid, invoiced)


def seller_of(earner: Earner) -> Seller:
    """The partner by what it offers."""
    return Seller(earner.id, earner.listing, earner.own)


def begin(made: Market) -> None:
    """So that short sequences have something to take back: a payout that is on its way."""
    made.succeed(asked(made.prepaid.id, 60 * 10**8))
    assert made.prepaid.use(format_amount(made.random.randint(30 * 10**8, 90 * 10**8))).status_code == 201
    made.settle()
    made.request()
    made.send(made.earner.payout())


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(seed=st.integers(1, 2**32))
def test_every_unit_is_in_one_place_whatever_happens_to_the_money(
    stripe_simulator: Simulator, seed: int
) -> None:
    random = Random(seed)
    made = market(stripe_simulator, random)
    done: list[str] = ["buy", "use", "settle", "request", "send"]
    begin(made)
    for _ in range(STEPS):
        possible: dict[str, list[Action]] = {}
        for name, action in made.actions():
            possible.setdefault(name, []).append(action)
        done.append(random.choice(sorted(possible)))
        random.choice(possible[done[-1]])()
        try:
            made.prove()
        except AssertionError as error:
            error.add_note(f"seed {seed}, after: {', '.join(done)}")
            raise
    made.settle()
    made.state()
    made.prove()
    assert_sound(made.earner.id, made.other.id, made.prepaid.id, made.invoiced.id)
