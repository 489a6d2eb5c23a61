"""Whichever call to the processor fails, a read or a write: the customer's story ends in the same state (S82, S89).

The story is told once without a fault. Then its N-th call fails (and what the client repeats of it at once), for each N
until there is none; FULL=1 tries every N, else a few.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from billing.rules.payments.commands import OPEN_STATES
from common.errors import ProblemError
from tests.builders.books import rows
from tests.builders.orgs import platform, unique, write
from tests.builders.paying import Payer, payer
from tests.builders.processor import whole_state
from tests.builders.reconciling import AT_STRIPE, Day
from tests.builders.sizes import IS_FULL
from tests.functional.billing.test_dunning_collected import use_card
from tests.integration.billing.test_killed_commands import finish
from tests.invariants import assert_sound
from webhooks.operations.inbound.processing import process_due

ALL: Final = ("catch_up", "commands", *AT_STRIPE)
KINDS: Final = ("error_after", "reset_before", "html_502")
STEP: Final = 1 if IS_FULL else 29
"""Of so many calls one fails, each time at another place."""
_TRIES: Final = 4
_NAMES: Final = re.compile(r"price_\w+|SIM-\d+")


@dataclass
class Story:
    """What one customer does, in parts; each is done again until it went, as a program or a beat does."""

    day: Day
    made: Payer
    there: str
    subscription: str
    price: str
    charges: list[str] = field(default_factory=list)

    @property
    def parts(self) -> Sequence[Callable[[], None]]:
        """In their order."""
        return (
            self.leaves_a_card, self.pays_an_invoice, self.buys_credit, self.gets_some_back, self.disputes,
            self.renews_there, self.is_told_and_compared,
        )  # fmt: skip

    def leaves_a_card(self) -> None:
        """As a browser does."""
        key = unique()
        begun = insist(lambda: self.made.setup(key=key), 201, before=self.made.make_due)
        self.day.simulator.decide(setup_intent=begun["setup_intent"], method="pm_card_visa")
        insist(lambda: self.made.owner.post("/v1/payment-methods/refresh"), 200)

    def sends(self) -> None:
        """Now, and what waits then, later: the calls of now are the processor's of now."""
        self.made.send()
        finish(self.made)

    def pays_an_invoice(self) -> None:
        """It is charged when it opens."""
        self.made.open_invoice(4_900)
        self.sends()

    def buys_credit(self) -> None:
        """Once."""
        body = {"amount": "20", "currency": "USD"}
        insist(lambda: self.made.owner.post("/v1/top-ups", body, key=unique()), 201)
        self.sends()

    def gets_some_back(self) -> None:
        """By the platform."""
        bought = self.made.owner.get("/v1/payments", purpose="top_up").json()["data"][0]["id"]
        body = {"amount": "5", "currency": "USD", "reason": "duplicate", "note": "twice"}
        path = f"/v1/payments/{bought}/refund?organization={self.made.id}"
        insist(lambda: platform().post(path, body, key=unique()), 201)
        self.sends()

    def disputes(self) -> None:
        """Its bank takes back what paid the invoice, and warns of the rest."""
        found = rows(
            "SELECT charge FROM payments WHERE organization = %s AND charge IS NOT NULL ORDER BY amount DESC",
            self.made.id,
        )
        simulator = self.day.simulator
        simulator.close_dispute(simulator.dispute(found[0][0])["id"], "lost")
        simulator.warn(found[1][0])

    def renews_there(self) -> None:
        """Its subscription that lives at the processor."""
        self.day.simulator.decide(subscription=self.subscription, renew=True)

    def is_told_and_compared(self) -> None:
        """Events that were never delivered are fetched, and everything is compared."""
        for _ in range(_TRIES):
            if is_done(lambda: self.day.run(*ALL)):
                return
        raise AssertionError("the run does not end")

    def settles(self) -> None:
        """What waits for its next try has it."""
        self.sends()
        for _ in range(2):
            write(lambda cur: cur.execute("UPDATE stripe_events SET next_at = now() WHERE next_at > now()"))
            while process_due():
                pass
            self.is_told_and_compared()

    def state(self) -> dict[str, list[str]]:
        """Everything that it came to, here and there; of its commands, how many of each kind were done."""
        found = whole_state(self.made.id)
        for apart in ("outbound_commands", "api_keys"):
            del found[apart]
        found = {name: sorted(_NAMES.sub("name", row) for row in each) for name, each in found.items()}
        done = rows(
            "SELECT purpose, state FROM outbound_commands WHERE organization = %s AND state <> 'lapsed' ORDER BY 1, 2",
            self.made.id,
        )
        intents = self.day.simulator.sdk().v1.payment_intents.list({"limit": 100}).auto_paging_iter()
        charged = [
            one.amount_received for one in intents
            if "organization" in one.metadata and one.metadata["organization"] == str(self.made.id)
        ]  # fmt: skip
        return {**found, "commands": [str(row) for row in done], "charged": [str(sorted(charged))]}


def insist(
    call: Callable[[], Any], status: int, *, before: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """The answer of a call that is made again until it goes."""
    for _ in range(_TRIES):
        answer = call()
        if answer.status_code == status:
            return dict(answer.json())
        assert answer.status_code in (429, 502, 503), answer.content
        before()
    raise AssertionError(answer.content)


def differing(state: dict[str, list[str]], expected: dict[str, list[str]]) -> dict[str, list[str]]:
    """By table, the rows that are in one of both alone."""
    found = {
        name: sorted({*state.get(name, ()), "rows"} ^ {*expected.get(name, ()), "rows"})
        for name in sorted({*state, *expected})
        if state.get(name) != expected.get(name)
    }
    return found


def still_open(day: Day) -> list[str]:
    """What is open that a person would have to see, in words."""
    return [f"{each.kind} {each.name} {each.subject} {each.detail}" for each in day.differences("open")]


def is_done(call: Callable[[], Any]) -> bool:
    """Whether it went; what the processor did not answer may be tried again."""
    try:
        call()
    except ProblemError as error:
        if not error.retryable:
            raise
        return False
    return True


def begun(day: Day) -> Story:
    """A customer here, and one there whose subscription gives credit."""
    made, simulator = payer(day.simulator), day.simulator
    customer = simulator.sdk().v1.customers.create({"email": "anna@example.org"}).id
    use_card(simulator, customer, "pm_card_visa")
    seeded = simulator.seed(subscription={"customer": customer, "amount": 3_000})
    price = seeded["items"]["data"][0]["price"]["id"]
    link = {"customer": customer, "organization": str(made.id)}
    assert platform().post("/v1/mirrored-customers", link).status_code == 201
    body = {"price": price, "name": "Pro", "credit": "30", "currency": "USD"}
    assert platform().post("/v1/credit-prices", body).status_code == 201
    return Story(day, made, customer, str(seeded["id"]), price)


def told_with(day: Day, *rules: dict[str, Any]) -> tuple[Story, int, int]:
    """A story with these faults: how many of them struck, and how many calls it made until it was settled."""
    story = begun(day)
    day.simulator.fail({"kind": "headers"}, *rules)
    for part in story.parts:
        part()
    shown = day.simulator.get("faults")["rules"]
    day.simulator.fail()
    story.settles()
    return story, sum(rule["hit"] for rule in shown[1:]), shown[0]["seen"]


def test_whichever_call_fails_the_end_is_the_same(day: Day) -> None:
    tidy, _, calls = told_with(day)
    expected = tidy.state()
    assert not (left := still_open(day)), left
    assert {"refunds", "disputes", "mirrored_invoices", "credit_grants", "invoices"} <= expected.keys()
    assert not tidy.made.commands(None, *OPEN_STATES)
    assert calls > 40
    places = 0
    while (nth := places * STEP + 1 + places % STEP) <= calls or IS_FULL:
        kind = KINDS[places % len(KINDS)]
        story, struck, _ = told_with(day, *({"kind": kind, "nth": nth + more} for more in range(2)))
        assert not (found := differing(story.state(), expected)), (nth, kind, found)
        assert not (left := still_open(day)), (nth, kind, left)
        assert_sound(story.made.id)
        if not struck:
            break
        places += 1
    assert places >= (calls - 10) // STEP
    print(f"failed at {places} of {calls} calls")
    assert day.moved()[0] == day.moved()[1]
