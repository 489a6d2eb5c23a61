"""Thirteen months of a customer who changes its mind at random: plans, seats, pauses, coupons, credit, contracts, use,
late facts.

Everything but the quantities from outside goes through HTTP. What is refused is counted by its code: a year may hold
refusals, but no failure.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from billing.operations.profiles import change_billing_profile
from billing.operations.simulating import simulate
from billing.rules.meters import Meter
from billing.rules.profiles import CONSOLIDATIONS, LONGEST_NET_DAYS
from common.errors import ServiceUnavailable
from tests.builders.billing import Billed, billed
from tests.builders.catalog import make_coupon
from tests.builders.gate import usage_body
from tests.builders.metering import make_meter, new_event, record
from tests.builders.orgs import AUTHOR, Caller, platform, unique, write
from tests.builders.simulated import at, decide, move_to
from tests.builders.subscribed import fee, metered, seats
from tests.builders.subscriptions import PATH, now_of, sell
from tests.property.billing.agreements import amended_paper, random_paper

DAY = timedelta(days=1)
CONTRACTS = "/v1/contracts"
START = at("2027-01-10T00:00:00")
LENGTH = timedelta(days=396)
LATEST = 34
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")
MONTH = {"unit": "month", "count": 1}
REFUSED = (402, 403, 404, 409, 422, 429)
# What is asked without looking: seats of a plan that has none, an amendment from a day after the contract's last.
WRONG = {"quantity": ("unknown_field", "invalid_field"), "amend": ("invalid_period",)}
PRICE, INCLUDED = "0.013", "5"
TRIES = 30


@dataclass(frozen=True)
class Catalog:
    """What is on sale in a round."""

    plans: Sequence[str]
    coupons: Sequence[str]
    meter: Meter


def make_catalog() -> Catalog:
    """Plans that differ in interval, timing, credit and who pays what credit does not."""
    meter = make_meter("sum")
    price = {"USD": {"model": "per_unit", "unit_price": PRICE}}
    counted = metered("extra", meter=meter.key, included=INCLUDED, prices=price)
    credit = [{"amounts": {"USD": "12"}, "every": MONTH}]
    gift = [{"amounts": {"USD": "7"}, "every": {"unit": "week", "count": 1}, "source": "credit"}]
    line = {"funding": "credit_then_invoice", "credit_limit": {"USD": "500"}}
    on: dict[str, Any] = {"upgrade": "prorate", "downgrade": "next_period", **line}
    plans = [
        sell(fee("49"), seats("7.77"), counted, credits=credit, trial_days=10, **on),
        sell(
            fee("490.01"), seats("70"), counted, interval={"unit": "year", "count": 1}, credits=credit, **on
        ),
        sell(fee("19.99", timing="arrears"), counted, interval={"unit": "quarter", "count": 1}, **on),
        sell(
            fee("5.55"),
            interval={"unit": "week", "count": 1},
            credits=gift,
            upgrade="invoice",
            downgrade="invoice",
        ),
        sell(
            fee("9"),
            seats("3", included="1"),
            upgrade="reset",
            downgrade="reset",
            proration="per_day",
            funding="credit_only",
        ),
    ]
    coupons = [
        make_coupon(percent="33", duration="periods", periods=3),
        make_coupon(amounts={"USD": "4.44"}, duration="once"),
        make_coupon(percent="10", duration="forever"),
    ]
    return Catalog([plan.plan_key for plan in plans], [one.code for one in coupons], meter)


@dataclass
class Year:
    """One customer's, from its seed alone."""

    seed: str
    catalog: Catalog
    entity: str
    answers: Counter[str] = field(default_factory=Counter)
    events: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.made: Billed = billed(
            time_zone=self.chance.choice(ZONES), funding=self.chance.choice(("prepaid", "postpaid"))
        )
        # It has time to pay: whom dunning stops has nothing more to tell.
        profile = {
            "legal_entity": self.entity,
            "tax": {"country": self.chance.choice(("DE", "FR"))},
            "net_days": LONGEST_NET_DAYS,
            "consolidation": random.Random(f"{self.seed} apart").choice(CONSOLIDATIONS),
        }
        write(lambda cur: change_billing_profile(cur, self.made.id, profile, author=AUTHOR))
        self.who: Caller = decide(self.made)
        self.platform = platform()

    def live(self) -> "Year":
        """Pass thirteen months, and then one in which nothing happens."""
        moments = sorted(self.chance.uniform(0, LENGTH.total_seconds()) for _ in range(13 * 4))
        move_to(self.made.id, START + self.chance.random() * 20 * DAY)
        begun = now_of(self.made.id)
        self.subscribe()
        for moment in moments:
            self.wait(begun + timedelta(seconds=moment))
            self.chance.choices([act for act, _ in self.acts], [weight for _, weight in self.acts])[0]()
        self.wait(begun + LENGTH + 40 * DAY)
        return self

    @property
    def acts(self) -> list[tuple[Callable[[], None], int]]:
        """What may happen, and how often."""
        return [
            (self.use, 8), (self.use_late, 3), (self.count, 4), (self.count_late, 3), (self.subscribe, 1),
            (self.change, 3), (self.quantity, 3), (self.pause, 2), (self.resume, 2), (self.cancel, 1),
            (self.coupon, 1), (self.grant, 2), (self.pay, 3), (self.credit_note, 1), (self.void, 1),
            (self.hold, 1), (self.agree, 2), (self.amend, 1), (self.terminate, 1), (self.void_event, 3),
            (self.write_off, 1), (self.redeem, 1),
        ]  # fmt: skip

    def wait(self, until: datetime) -> None:
        """Let time pass; another customer may have the number's row for a moment."""
        for _ in range(TRIES):
            try:
                done = simulate(organization=self.made.id, until=until)
            except ServiceUnavailable:
                self.answers["busy"] += 1
                continue
            assert done.is_finished
            return
        raise AssertionError(f"{self.seed}: always busy")

    def seen(self, what: str, answer: Any) -> Any:
        """Count an answer; fail at one that is no answer of this API."""
        good = answer.status_code < 300
        is_wrong = answer.status_code == 400 and answer.json()["code"] in WRONG.get(what, ())
        assert good or is_wrong or answer.status_code in REFUSED, (
            self.seed,
            what,
            answer.status_code,
            answer.content,
        )
        self.answers[f"{what} {'done' if good else answer.json()['code']}"] += 1
        return answer.json() if good else None

    def subscribe(self) -> None:
        """Another subscription, mostly to another plan."""
        body: dict[str, Any] = {"plan": self.chance.choice(self.catalog.plans)}
        if self.chance.random() < 0.4:
            body["coupons"] = [self.chance.choice(self.catalog.coupons)]
        self.seen("subscribe", self.who.post(PATH, body, key=unique()))

    def act(self, verb: str, body: dict[str, Any], by: Caller | None = None) -> None:
        """Something about one of the subscriptions, by the customer unless it is said by whom."""
        found = self.who.get(PATH, limit="100").json()["data"]
        alive = [one for one in found if one["status"] not in ("canceled", "expired")]
        if alive:
            chosen = self.chance.choice(sorted(alive, key=lambda one: str(one["id"])))
            path = f"{PATH}/{chosen['id']}/{verb}"
            self.seen(verb, (by or self.who).post(path, body, key=unique()))

    def change(self) -> None:
        """To another plan; in a mode of its own as the platform does it, which no plan binds."""
        body = {"plan": self.chance.choice(self.catalog.plans)}
        mode = self.chance.choice((None, "invoice", "prorate", "next_period", "reset"))
        if mode is None:
            self.act("change", body)
        else:
            self.act("change", {**body, "mode": mode}, by=self.platform)

    def quantity(self) -> None:
        """More or fewer seats."""
        self.act("quantity", {"quantities": {"seats": self.chance.randint(0, 9)}})

    def pause(self) -> None:
        """For a while, or until it is resumed."""
        until = (now_of(self.made.id) + self.chance.uniform(1, 70) * DAY).isoformat()
        self.act("pause", {"resumes_at": until} if self.chance.random() < 0.7 else {})

    def resume(self) -> None:
        """If it is paused."""
        self.act("resume", {})

    def cancel(self) -> None:
        """At once or later."""
        when = self.chance.choice(("now", "period_end"))
        self.act("cancel", {"when": when, **({"credit_unused": True} if when == "now" else {})})

    def coupon(self) -> None:
        """For what comes."""
        self.act("coupons", {"coupon": self.chance.choice(self.catalog.coupons)})

    def agree(self) -> None:
        """A contract, put into force unless another is."""
        paper = random_paper(self.chance, now_of(self.made.id).date())
        body = {"organization": str(self.made.id), "definition": paper}
        made = self.seen("contract", self.platform.post(CONTRACTS, body, key=unique()))
        if made is not None:
            self.on_contract("activate", made, None)

    def amend(self) -> None:
        """The next version of a contract that is in force."""
        made = self._contract()
        if made is not None:
            paper = amended_paper(self.chance, made["definition"])
            effective = now_of(self.made.id).date() + self.chance.randint(1, 20) * DAY
            self.on_contract("amend", made, {"definition": paper, "effective_on": str(effective)})

    def terminate(self) -> None:
        """End one, now or later."""
        made = self._contract()
        if made is not None:
            body: dict[str, Any] = {"commitment": self.chance.choice(("full", "prorated", "waive"))}
            if self.chance.random() < 0.3:
                body["at"] = (now_of(self.made.id) + self.chance.uniform(1, 40) * DAY).isoformat()
            self.on_contract("terminate", made, body)

    def on_contract(self, verb: str, made: dict[str, Any], body: dict[str, Any] | None) -> None:
        """What is done to a contract."""
        self.seen(verb, self.platform.post(f"{CONTRACTS}/{made['id']}/{verb}", body, key=unique()))

    def _contract(self) -> dict[str, Any] | None:
        found = self.platform.get(CONTRACTS, organization=str(self.made.id), limit="100").json()["data"]
        active = [one for one in found if one["status"] == "active"]
        return self.chance.choice(active) if active else None

    def use(self) -> None:
        """A few calls through the gate; what the last takes differs from what it said."""
        for _ in range(self.chance.randint(1, 4)):
            amount = f"{self.chance.uniform(0.00000001, 4):.8f}"
            made = self.seen("reserve", self.made.customer.reserve(amount))
            if made is not None:
                took = amount if self.chance.random() < 0.7 else f"{self.chance.uniform(0, 6):.8f}"
                self.seen("commit", self.made.customer.commit(made["id"], took))

    def hold(self) -> None:
        """A reservation that nobody ends."""
        self.seen("hold", self.made.customer.reserve("1.5", ttl_seconds=self.chance.randint(60, 86_400)))

    def use_late(self) -> None:
        """What was used up to 34 days ago and is reported now."""
        at = now_of(self.made.id) - self.chance.uniform(0, LATEST) * DAY
        body = usage_body(f"{self.chance.uniform(0.01, 3):.8f}", occurred_at=at.isoformat())
        self.seen("usage", self.made.customer.api.post("/v1/usage", body))

    def count(self) -> None:
        """A quantity from outside."""
        self._count(now_of(self.made.id))

    def count_late(self) -> None:
        """One that tells of an earlier day."""
        self._count(now_of(self.made.id) - self.chance.uniform(0, LATEST) * DAY)

    def _count(self, moment: datetime) -> None:
        units = f"{self.chance.uniform(0.1, 600):.3f}"
        event = new_event(self.catalog.meter.definition.event_type or "", moment, {"units": units})
        self.events += record(self.made.id, event)
        self.answers["count done"] += 1

    def void_event(self) -> None:
        """A quantity that turns out not to be, whether it was billed or not; mostly one of the last."""
        if self.events:
            event = self.events.pop(self.chance.randrange(max(len(self.events) - 4, 0), len(self.events)))
            self.seen("void event", self.who.post(f"/v1/events/{event}/void", {"reason": "r"}, key=unique()))

    def redeem(self) -> None:
        """A coupon of the whole customer, which lowers fees of contracts, too."""
        body = {"organization": str(self.made.id), "coupon": self.chance.choice(self.catalog.coupons)}
        self.seen("redeem", self.platform.post("/v1/coupon-redemptions", body, key=unique()))

    def grant(self) -> None:
        """Credit, mostly with an end."""
        body: dict[str, Any] = {
            "organization": str(self.made.id), "amount": f"{self.chance.uniform(1, 30):.2f}", "currency": "USD",
            "kind": self.chance.choice(("paid", "promotional")), "reason": "of the year",
        }  # fmt: skip
        if self.chance.random() < 0.7:
            body["expires_at"] = (now_of(self.made.id) + self.chance.uniform(1, 90) * DAY).isoformat()
        self.seen("grant", self.platform.post("/v1/credits/grants", body, key=unique()))

    def pay(self) -> None:
        """An open invoice, in part, whole, or more than that."""
        invoice = self._open()
        if invoice is not None:
            share = self.chance.choice((0.5, 1, 1, 1.1))
            amount = f"{max(0.01, float(invoice['due']) * share):.2f}"
            self.seen("pay", self.made.pay(invoice["id"], amount))

    def credit_note(self) -> None:
        """On an invoice: all of it, or some."""
        invoice = self._open("open", "paid", "uncollectible")
        if invoice is not None:
            body = {"reason": "goodwill", **self.chance.choice(({}, {"amount": "1.11"}))}
            self.seen("credit note", self.made.act(invoice["id"], "credit-notes", body))

    def write_off(self) -> None:
        """Give one up."""
        invoice = self._open()
        if invoice is not None:
            self.seen("write off", self.made.act(invoice["id"], "write-off", {"reason": "gone"}))

    def void(self) -> None:
        """Take one back: what it took is due again."""
        invoice = self._open()
        if invoice is not None:
            self.seen("void", self.made.act(invoice["id"], "void", {"reason": "wrong address"}))

    def _open(self, *states: str) -> dict[str, Any] | None:
        found = [one for one in self.made.invoices() if one["status"] in (states or ("open",))]
        return self.chance.choice(found) if found else None
