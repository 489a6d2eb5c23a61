"""Many random operations, deliveries duplicated, reordered and dropped: money is conserved, and the list of events
has what did not arrive."""

import random
from collections.abc import Callable
from typing import Any

import stripe

from tests.builders.payments_at_stripe import account, assert_conserved, customer_with
from tests.builders.stripe import Simulator
from tests.functional.stripe_simulator.conftest import Sink

STEPS = 60


class Day:
    """Operations on whatever is there; a refusal is one of the outcomes."""

    def __init__(self, simulator: Simulator, seed: int) -> None:
        self.simulator = simulator
        self.random = random.Random(seed)
        self.client = simulator.sdk()
        self.customer, self.method = customer_with(simulator)
        self.account = account(simulator)
        self.charges: list[str] = []
        self.transfers: list[str] = []

    def pay(self) -> None:
        params: Any = {"amount": self.random.randint(50, 9000), "currency": self.random.choice(["usd", "eur"]),
                       "customer": self.customer, "payment_method": self.method, "confirm": True,
                       "off_session": True}  # fmt: skip
        self.charges.append(str(self.client.v1.payment_intents.create(params).latest_charge))

    def refund(self) -> None:
        charge = self.random.choice(self.charges)
        self.client.v1.refunds.create({"charge": charge, "amount": self.random.randint(1, 4000)})

    def dispute(self) -> None:
        free = [
            charge.id for charge in self.client.v1.charges.list({"limit": 100}).data if not charge.disputed
        ]
        dispute = self.simulator.dispute(self.random.choice(free))
        self.simulator.close_dispute(dispute["id"], self.random.choice(["won", "lost"]))

    def transfer(self) -> None:
        params: Any = {"amount": self.random.randint(1, 5000), "currency": "usd", "destination": self.account}
        self.transfers.append(self.client.v1.transfers.create(params).id)

    def reverse(self) -> None:
        params: Any = {"amount": self.random.randint(1, 2000)}
        self.client.v1.transfers.reversals.create(self.random.choice(self.transfers), params)

    def pay_out(self) -> None:
        params: Any = {"amount": self.random.randint(1, 3000), "currency": "usd"}
        self.client.v1.payouts.create(params, {"stripe_account": self.account})

    def wait(self) -> None:
        self.simulator.advance(self.random.randint(60, 86_400))

    def step(self) -> None:
        """One operation; what is impossible now is refused and moves nothing."""
        operations: list[Callable[[], None]] = [self.pay, self.pay, self.refund, self.dispute, self.transfer,
                                                self.reverse, self.pay_out, self.wait]  # fmt: skip
        before = self.simulator.funds(), self.simulator.funds(self.account)
        try:
            self.random.choice(operations)()
        except (stripe.InvalidRequestError, IndexError):
            assert (self.simulator.funds(), self.simulator.funds(self.account)) == before


def test_a_day_of_random_operations_conserves_money_and_loses_no_event(
    stripe_simulator: Simulator, sink: Sink
) -> None:
    day = Day(stripe_simulator, seed=42)
    first = stripe_simulator.sdk().v1.events.list({"limit": 1}).data[0]
    stripe_simulator.register(sink.url)
    stripe_simulator.deliver({"duplicate": 1, "reorder": 0.5}, {"drop": True, "probability": 0.1, "seed": 1})
    day.pay()
    for _ in range(STEPS):
        day.step()
    stripe_simulator.advance(60)
    stripe_simulator.drain(30)
    assert_conserved(stripe_simulator)
    assert_conserved(stripe_simulator, day.account)
    listed = day.client.v1.events.list({"ending_before": first.id, "limit": 100}).auto_paging_iter()
    happened = {event.id for event in listed}
    arrived = [event["id"] for event in sink.events()]
    missed = {event.id for event in day.client.v1.events.list({"delivery_success": False, "limit": 100}).data}
    assert set(arrived) | missed == happened
    assert set(arrived) & missed == set()
    assert len(missed) > 2
    assert len(arrived) >= 2 * len(set(arrived))
