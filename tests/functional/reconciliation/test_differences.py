"""Differences of every class are found, none that is not there; the safe ones are repaired, once (S87, S89)."""

from __future__ import annotations

import os
from dataclasses import replace

from billing.operations.payments import applying
from billing.rules.payments.views import PaymentView
from tests.builders.orgs import AUTHOR, write
from tests.builders.payments import payout
from tests.builders.processor import CENT, Payer, state
from tests.builders.reconciling import Day, suspense
from tests.invariants import Still, assert_sound

N = int(os.environ.get("RECONCILIATION_EACH", "3"))
"""Of each class; `make soak` plants a thousand differences in all."""


def missing_here(day: Day, customer: Payer) -> int:
    """Payments, a refund and a dispute that nobody told us of."""
    for _ in range(N):
        customer.pay(1_000)
    paid = customer.pay(2_000)
    disputed = customer.pay(3_000)
    day.simulator.refund(paid.latest_charge, 500)
    day.simulator.dispute(disputed.latest_charge)
    return N + 2


class TestAPlantedDifference:
    def test_that_is_missing_here_is_repaired_by_the_ordinary_operation(self, day: Day) -> None:
        customer = day.payer()
        count = missing_here(day, customer)
        run = day.run()
        found = day.by_class("repaired")
        assert found == {"missing_here": count + 2}, day.differences()
        assert day.by_class("open") == {}
        credit = state(customer.organization)["balances"]["customer_credit"]
        assert credit == (N * 1_000 + 1_500) * CENT
        ours, theirs = day.moved()
        assert ours == theirs
        assert run.status == "finished"
        assert_sound(customer.organization)
        with Still(customer.organization):
            day.run()
        assert day.by_class() == found

    def test_of_a_state_that_nobody_told_us_is_repaired(self, day: Day) -> None:
        customer = day.payer()
        day.simulator.next_payment(customer.customer, "asynchronous", times=N)
        intents = [customer.pay(1_000) for _ in range(N)]
        day.run()
        before = day.by_class()
        for intent in intents:
            day.simulator.decide(payment_intent=intent.id, to="succeeded")
        day.run()
        assert day.by_class().get("state", 0) - before.get("state", 0) == N
        assert day.by_class("open") == {}
        assert state(customer.organization)["balances"]["customer_credit"] == N * 1_000 * CENT

    def test_that_is_missing_there_is_a_finding(self, day: Day) -> None:
        customer = day.payer()
        for n in range(N):
            made = customer.ask(700 + n)
            view = PaymentView(
                id=f"pi_gone_{made.hex}",
                customer=customer.customer,
                amount=(700 + n) * CENT,
                received=(700 + n) * CENT,
                currency="USD",
                status="succeeded",
                livemode=False,
                created=day.now(),
                metadata={"payment": str(made), "organization": str(customer.organization)},
            )
            write(lambda cur, view=view: applying.apply_payment(cur, view, author=AUTHOR))
        day.run()
        assert day.by_class("open") == {"missing_there": N}
        day.run()
        assert day.by_class("open") == {"missing_there": N}

    def test_of_an_amount_or_made_twice_is_a_finding_and_its_money_in_suspense(self, day: Day) -> None:
        customer, before = day.payer(), suspense()
        for _ in range(N):
            wrong = customer.ask(1_000)
            customer.pay(900, payment=wrong)
            twice = customer.ask(1_100)
            customer.pay(1_100, payment=twice)
            customer.pay(1_100, payment=twice)
        day.run()
        assert day.by_class("open") == {"amount": N, "double": N}
        assert day.by_class("repaired") == {"missing_here": N}
        assert suspense() - before == N * 2_000 * CENT
        ours, theirs = day.moved()
        assert ours == theirs
        known = {each.id for each in day.differences()}
        day.run()
        assert {each.id for each in day.differences()} == known

    def test_that_is_none_of_ours_is_a_finding_and_its_money_in_suspense(self, day: Day) -> None:
        customer, before = day.payer(), suspense()
        for n in range(N):
            day.simulator.sdk().v1.payment_intents.create(
                {"amount": 700 + n, "currency": "usd", "customer": customer.customer, "confirm": True,
                 "payment_method": "pm_card_visa", "off_session": True}
            )  # fmt: skip
        day.run()
        assert day.by_class() == {"foreign": N}
        assert suspense() - before == sum(700 + n for n in range(N)) * CENT
        ours, theirs = day.moved()
        assert ours == theirs

    def test_of_payouts_is_found_in_both_directions(self, day: Day) -> None:
        day.simulator.fund(N * (1_000 + N))
        for n in range(N):
            day.simulator.sdk().v1.payouts.create({"amount": 1_000 + n, "currency": "usd"})
        gone = payout(90 * 100 * CENT)
        gone = replace(gone, created=day.now())
        write(lambda cur: applying.apply_payout(cur, gone, author=AUTHOR))
        day.run()
        assert day.by_class("repaired") == {"missing_here": N}
        assert day.by_class("open") == {
            "missing_there": 1,
            "amount": 1,
        }  # the payout, and what the books hold
        ours, theirs = day.moved()
        assert ours == theirs - 9_000  # what left by a payout that never was
