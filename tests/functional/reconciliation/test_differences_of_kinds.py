"""Differences of refunds, disputes, customers, and of subscriptions and invoices that live at the processor: each class
is found, the safe ones are repaired, once (S87)."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from billing import stripe_gateway
from billing.operations.mirroring.applying import apply_invoice, apply_subscription
from billing.operations.payments import applying
from billing.stripe_gateway import mirrored
from tests.builders.books import open_books
from tests.builders.deliveries import identifier
from tests.builders.gate import make_customer
from tests.builders.orgs import AUTHOR, write
from tests.builders.paying import Payer as AtApi
from tests.builders.paying import payer as payer_at_api
from tests.builders.payments import with_method
from tests.builders.processor import CENT, Payer, state
from tests.builders.reconciling import Day
from tests.functional.billing.test_dunning_collected import told, use_card
from tests.functional.reconciliation.test_placed_twice import There
from tests.invariants import Still, assert_sound


def credit(who: Payer) -> int:
    """What credit a customer has, in cents."""
    return int(state(who.organization)["balances"].get("customer_credit", 0)) // CENT


def found(day: Day, kind: str, outcome: str) -> list[str]:
    """The classes of the differences of a kind of object."""
    return sorted(each.name for each in day.differences(outcome) if each.kind == kind)


def run(day: Day) -> None:
    """Reconcile."""
    day.run()


def is_still(day: Day, *organizations: UUID) -> None:
    """Another run finds nothing more, and moves nothing."""
    known = day.by_class()
    with ExitStack() as still:
        for each in organizations:
            still.enter_context(Still(each))
        day.run()
    assert day.by_class() == known


class TestRefunds:
    @pytest.mark.parametrize(
        ("card", "left"),
        [("pm_card_pendingRefund", 600), ("pm_card_refundFail", 1_000)],
        ids=["went", "failed"],
    )
    def test_in_another_state_there_are_repaired(self, day: Day, card: str, left: int) -> None:
        who = day.payer()
        day.simulator.refund(who.pay(1_000, card).latest_charge, 400)
        told(day.simulator)
        day.simulator.advance(120)
        run(day)
        assert (found(day, "refund", "repaired"), found(day, "refund", "open")) == (["state"], [])
        assert credit(who) == left
        assert day.moved()[0] == day.moved()[1]
        assert_sound(who.organization)
        is_still(day, who.organization)

    def test_that_are_missing_there_or_have_another_amount_are_findings(self, day: Day) -> None:
        who = day.payer()
        first, other = who.pay(1_000), who.pay(2_000)
        told(day.simulator)
        day.simulator.refund(other.latest_charge, 500)
        (real,) = stripe_gateway.list_refunds(payment=other.id)
        gone = replace(real, id="re_gone", payment=first.id, charge=first.latest_charge, balance=None)
        for view in (gone, replace(real, amount=700 * CENT)):
            done = write(lambda cur, view=view: applying.apply_refund(cur, view, None, author=AUTHOR))
            assert done.outcome == "applied"
        run(day)
        assert found(day, "refund", "open") == ["amount", "missing_there"]
        assert found(day, "refund", "repaired") == []
        is_still(day, who.organization)


class TestDisputes:
    @pytest.mark.parametrize(("ends", "left"), [("won", 1_000), ("lost", 0)])
    def test_in_another_state_there_are_repaired(self, day: Day, ends: Any, left: int) -> None:
        who = day.payer()
        dispute = day.simulator.dispute(who.pay(1_000).latest_charge)
        told(day.simulator)
        assert credit(who) == 0
        day.simulator.close_dispute(dispute["id"], ends)
        run(day)
        assert (found(day, "dispute", "repaired"), found(day, "dispute", "open")) == (["state"], [])
        assert credit(who) == left
        assert day.moved()[0] == day.moved()[1]
        assert_sound(who.organization)
        is_still(day, who.organization)

    def test_that_are_missing_there_are_findings_and_another_amount_is_repaired(self, day: Day) -> None:
        who = day.payer()
        first, other = who.pay(1_000), who.pay(2_000)
        told(day.simulator)
        day.simulator.dispute(other.latest_charge)
        (real,) = stripe_gateway.list_disputes(payment=other.id)
        gone = replace(
            real, id="dp_gone", payment=first.id, charge=first.latest_charge, amount=10 * CENT, balance=()
        )
        for view in (gone, replace(real, amount=700 * CENT, balance=())):
            done = write(lambda cur, view=view: applying.apply_dispute(cur, view, author=AUTHOR))
            assert done.outcome == "applied"
        run(day)
        assert (found(day, "dispute", "repaired"), found(day, "dispute", "open")) == (
            ["amount"],
            ["missing_there"],
        )
        is_still(day, who.organization)


class TestCustomers:
    def test_whose_answer_was_lost_are_repaired_and_a_second_one_is_a_finding(self, day: Day) -> None:
        made: AtApi = payer_at_api(day.simulator)
        day.simulator.fail(*({"kind": "reset_after", "path": "/v1/customers", "nth": nth} for nth in (1, 2)))
        assert made.setup().status_code == 503
        day.simulator.fail()
        run(day)
        assert (found(day, "customer", "repaired"), found(day, "customer", "open")) == (["missing_here"], [])
        (asked,) = made.commands("create_customer")
        metadata = {"organization": str(made.id), "command": str(asked.id)}
        day.simulator.sdk().v1.customers.create({"metadata": metadata})
        run(day)
        assert (found(day, "customer", "repaired"), found(day, "customer", "open")) == (
            ["missing_here"],
            ["double"],
        )
        is_still(day, made.id)

    def test_that_were_deleted_there_are_repaired_and_what_never_was_there_is_a_finding(
        self, day: Day
    ) -> None:
        made: AtApi = payer_at_api(day.simulator)
        assert made.setup().status_code == 201
        (asked,) = made.commands("create_customer")
        day.simulator.sdk().v1.customers.delete(str(asked.object_id))
        nobody = make_customer("0", sandbox=False)
        with_method(nobody.id)
        run(day)
        assert (found(day, "customer", "repaired"), found(day, "customer", "open")) == (
            ["state"],
            ["missing_there"],
        )
        is_still(day, made.id, nobody.id)


@pytest.fixture
def there(day: Day) -> There:
    """A customer whose subscription lives at the processor, known here."""
    customer = day.simulator.sdk().v1.customers.create({"email": "anna@example.org"}).id
    use_card(day.simulator, customer, "pm_card_visa")
    seeded = day.simulator.seed(subscription={"customer": customer, "amount": 5_000})
    price = seeded["items"]["data"][0]["price"]["id"]
    made = There(day, open_books(), customer, price, str(seeded["id"]))
    made.link()
    return made


class TestWhatLivesThere:
    def test_and_nobody_told_us_of_is_repaired(self, there: There) -> None:
        there.renew()
        run(there.day)
        assert found(there.day, "subscription", "repaired") == ["missing_here"]
        assert found(there.day, "invoice", "repaired") == ["missing_here"]
        assert there.day.by_class("open") == {}
        assert there.credit() == 5_000
        there.day.run()  # its payment is known by now: the fee
        is_still(there.day, there.organization)

    def test_in_another_state_is_repaired(self, there: There) -> None:
        simulator = there.day.simulator
        simulator.decide(customer=there.customer, payment="decline", times=1)
        simulator.decide(subscription=there.subscription, renew=True)
        told(simulator)
        (unpaid,) = simulator.sdk().v1.invoices.list({"limit": 1}).data
        assert there.invoices() == [("open", "0")]
        simulator.decide(invoice=unpaid.id, to="paid")
        simulator.decide(subscription=there.subscription, to="canceled")
        run(there.day)
        assert found(there.day, "invoice", "repaired") == ["state"]
        assert found(there.day, "subscription", "repaired") == ["state"]
        assert (there.invoices(), there.credit()) == ([("paid", "50")], 5_000)
        there.day.run()  # its payment is known by now: the fee
        is_still(there.day, there.organization)

    def test_only_in_our_books_is_a_finding_and_another_amount_is_repaired(self, there: There) -> None:
        name = there.renew()
        view = mirrored.invoice(name)
        subscription = mirrored.subscription(there.subscription)
        gone = replace(view, id=identifier("in"), payments=())
        less = replace(view, paid=view.paid - 100 * CENT)
        for seen in (gone, less):
            write(lambda cur, seen=seen: apply_invoice(cur, seen, author=AUTHOR))
        never = replace(subscription, id=identifier("sub"))
        write(lambda cur: apply_subscription(cur, never, author=AUTHOR))
        run(there.day)
        assert found(there.day, "invoice", "repaired") == ["amount"]
        assert found(there.day, "invoice", "open") == ["missing_there"]
        assert found(there.day, "subscription", "open") == ["missing_there"]
        there.day.run()  # its payment is known by now: the fee
        is_still(there.day, there.organization)
