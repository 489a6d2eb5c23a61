"""A partner's money from the customer's card to the partner's bank and back, told as it is in life: customers pay, take
back and dispute at the simulator, and its events are delivered at our door."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from orgs.operations.clock import advance_clock_to
from orgs.operations.locks import lock_organization
from payouts.operations.statements import make_statement
from payouts.queries.payingintegrity import violations as payout_violations
from payouts.queries.references import references_of
from payouts.rules.references import CUSTOMER
from payouts.rules.statements import next_month
from tests.builders.books import balances
from tests.builders.deliveries import CONNECT, PLATFORM, post
from tests.builders.gate import Customer, make_customer, units
from tests.builders.marketplace import Seller, calls, marketplace_violations, settled, spend
from tests.builders.orgs import AUTHOR, write
from tests.builders.payouts import CENT, Earner, partner
from tests.builders.processor import Payer, header
from tests.builders.stripe import CONNECT_SECRET, SECRET, Simulator
from tests.invariants import assert_sound
from webhooks.operations.inbound.processing import process_due


@dataclass
class Story:
    """A processor with partners and their customers. `funds`: what the platform had there, in cents."""

    simulator: Simulator
    funds: int = 10**6
    told: set[str] = field(default_factory=set)
    earners: list[Earner] = field(default_factory=list)
    buyers: list[Buyer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.simulator.fund(self.funds)

    def earner(self) -> Earner:
        """A partner with an account."""
        self.earners.append(partner(self.simulator, funds=0))
        return self.earners[-1]

    def buyer(self, earner: Earner) -> Buyer:
        """A customer without credit, whose agent is what the partner offers."""
        customer = make_customer("0")
        there = self.simulator.sdk().v1.customers.create({"metadata": {"organization": str(customer.id)}})
        calls(customer, Seller(earner.id, earner.listing, earner.own))
        made = Buyer(self, customer, Payer(self.simulator, customer.id, there.id))
        self.buyers.append(made)
        return made

    def hear(self) -> None:
        """Deliver every event that was not delivered yet, the platform's and the accounts', and do what they ask."""
        for account in ("", *(earner.account for earner in self.earners)):
            options: Any = {"stripe_account": account} if account else {}
            pages = self.simulator.sdk().v1.events.list({"limit": 100}, options).auto_paging_iter()
            for event in [json.loads(str(one)) for one in pages][::-1]:
                if event["id"] not in self.told:
                    self.told.add(event["id"])
                    self._deliver(event, account)
        while process_due():
            pass

    def _deliver(self, event: dict[str, Any], account: str) -> None:
        body = json.dumps({**event, "account": account} if account else event).encode()
        secret, path = (CONNECT_SECRET, CONNECT) if account else (SECRET, PLATFORM)
        answer = post(body, header(body, secret), path)
        assert answer.status_code == 200, answer.content

    def settle(self) -> None:
        """What came is collected, and past the holdback of no days."""
        for buyer in self.buyers:
            settled(buyer.customer.id)
            buyer.customer.pass_time(hours=2)
            settled(buyer.customer.id)

    def assert_right(self) -> None:
        """P1 to P4 and L8 hold, and the books have what the processor holds."""
        ours = {earner.id for earner in self.earners} | {buyer.customer.id for buyer in self.buyers}
        for buyer in self.buyers:
            assert marketplace_violations(buyer.customer.id) == []
        assert [one for one in write(payout_violations) if one.organization in ours] == []
        assert_sound(*ours)
        held = -sum(balances(one).get("processor_clearing", 0) for one in ours) // CENT
        there = self.simulator.funds().get("usd", {"available": 0, "pending": 0})
        assert held == there["available"] + there["pending"] - self.funds


@dataclass
class Buyer:
    """A customer who buys credit by card and whose agent calls the partner's."""

    story: Story
    customer: Customer
    payer: Payer

    def buy(self, cents: int) -> str:
        """Credit, paid by card; its charge."""
        made = self.payer.pay(cents)
        self.story.hear()
        return cast(str, made.latest_charge)

    def use(self, cents: int) -> None:
        """A call of so much; all of it is the partner's."""
        spend(self.customer, f"{cents // 100}.{cents % 100:02d}")
        self.story.settle()

    def known_to(self, earner: Earner) -> str:
        """How a partner knows it."""
        return str(write(lambda cur: references_of(cur, earner.id)).of(CUSTOMER, self.customer.id))


def end_month(organization: UUID) -> None:
    """Go on to the second day of a partner's next month."""
    first = next_month(write(lambda cur: lock_organization(cur, organization).now).astimezone(UTC).date())
    to = datetime(first.year, first.month, 2, tzinfo=UTC)
    write(lambda cur: advance_clock_to(cur, organization=organization, to=to, author=AUTHOR))


def stated(earner: Earner, *, unit: int = CENT) -> dict[str, Any]:
    """The statement of the partner's month, which ends now, as it reads it; amounts in units over `unit`. It and all
    before it add up and chain."""
    end_month(earner.id)
    assert write(lambda cur: make_statement(cur, organization=earner.id)) is not None
    while write(lambda cur: make_statement(cur, organization=earner.id)) is not None:
        pass  # earlier months were not stated yet
    found = [in_units(one) for one in earner.own.get("/v1/partner/statements", limit="100").json()["data"]]
    before = {"closing": 0, "payable": 0}
    for one in found[::-1]:
        add_up(one, before)
        before = one
    now = found[0]
    assert now["payable"] == balances(earner.id).get("partner_payable", 0)
    assert now["in_transit"] == balances(earner.id).get("payout_in_transit", 0)
    return dict(in_units(now, unit=unit))


def add_up(now: dict[str, Any], before: dict[str, Any]) -> None:
    """Fail unless a statement opens with what the one before closed with, and says what its lines say."""
    assert (now["opening"], now["payable_opening"]) == (before["closing"], before["payable"])
    assert now["closing"] == now["opening"] + now["earned"] - now["clawed_back"] - now["paid_out"]
    assert now["payable"] == now["payable_opening"] + now["received"] - now["taken_back"] - now["paid_out"]
    assert now["earned"] == sum(one["share"] for one in now["lines"])
    assert now["clawed_back"] == sum(one["amount"] for one in now["clawbacks"])
    assert now["paid_out"] == sum(one["amount"] for one in now["payouts"])
    assert now["received"] == sum(one["received"] for one in now["collections"])
    assert now["taken_back"] == sum(one["taken_back"] for one in now["collections"])


def in_units(value: Any, *, unit: int = 1) -> Any:
    """A statement with its decimals as units of 10^-8; with its units as so many of another unit."""
    if isinstance(value, dict):
        return {name: one if name in _PLAIN else in_units(one, unit=unit) for name, one in value.items()}
    if isinstance(value, list):
        return [in_units(one, unit=unit) for one in value]
    if isinstance(value, int):
        assert value % unit == 0
        return value // unit
    return -units(value[1:]) if value.startswith("-") else units(value)


_PLAIN = (
    "number", "month", "partner", "name", "currency", "made_at", "listing", "customer", "payout", "day", "kind",
    "calls", "issuer", "supplier",
)  # fmt: skip
