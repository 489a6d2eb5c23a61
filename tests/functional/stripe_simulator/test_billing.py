"""Subscriptions and invoices, seeded as billing at Stripe would make them: current shapes and an older one."""

from typing import Any

import pytest
import stripe

from tests.builders.payments_at_stripe import customer_with, rows, types
from tests.builders.stripe import Simulator
from tests.functional.stripe_simulator.conftest import Sink

ACACIA = "2025-02-24.acacia"


def _subscription(simulator: Simulator, method: str = "pm_card_visa") -> str:
    customer, _ = customer_with(simulator, method)
    return str(simulator.seed(subscription={"customer": customer, "amount": 2000})["id"])


class TestASubscription:
    def test_has_its_periods_on_its_items(self, stripe_simulator: Simulator) -> None:
        found = stripe_simulator.sdk().v1.subscriptions.retrieve(_subscription(stripe_simulator))
        assert "current_period_end" not in found
        item = found["items"].data[0]
        assert item.current_period_end - item.current_period_start == 30 * 86_400

    def test_is_renewed_with_a_paid_invoice_and_its_family_of_events(
        self, stripe_simulator: Simulator
    ) -> None:
        id = _subscription(stripe_simulator)
        before = len(types(stripe_simulator))
        stripe_simulator.decide(subscription=id, renew=True)
        assert types(stripe_simulator)[before:] == [
            "customer.subscription.updated",
            "invoice.created",
            "invoice.finalized",
            "customer.subscription.updated",
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
            "invoice_payment.paid",
            "invoice.updated",
            "invoice.paid",
            "invoice.payment_succeeded",
        ]
        client = stripe_simulator.sdk()
        [invoice] = client.v1.invoices.list({"subscription": id, "expand": ["data.payments"]}).data
        assert invoice.parent is not None
        assert invoice.parent.subscription_details is not None
        assert (invoice.status, invoice.amount_paid) == ("paid", 2000)
        assert invoice.parent.subscription_details.subscription == id
        assert invoice.payments is not None
        payment = invoice.payments.data[0].payment.payment_intent
        given: Any = {"payment": {"type": "payment_intent", "payment_intent": payment}}
        [found] = client.v1.invoice_payments.list(given).data
        assert (found.invoice, found.status, found.amount_paid) == (invoice.id, "paid", 2000)

    def test_is_past_due_until_its_invoice_is_paid(self, stripe_simulator: Simulator) -> None:
        id = _subscription(stripe_simulator, "pm_card_chargeCustomerFail")
        client = stripe_simulator.sdk()
        invoice = stripe_simulator.decide(subscription=id, renew=True)
        assert (invoice["status"], invoice["attempt_count"]) == ("open", 1)
        assert client.v1.subscriptions.retrieve(id).status == "past_due"
        assert "invoice.payment_failed" in types(stripe_simulator)
        good = client.v1.payment_methods.attach("pm_card_visa", {"customer": invoice["customer"]})
        paid = client.v1.invoices.pay(invoice["id"], {"payment_method": good.id})
        assert (paid.status, client.v1.subscriptions.retrieve(id).status) == ("paid", "active")
        assert [row.amount for row in rows(stripe_simulator)] == [2000]


class TestAnInvoice:
    def test_that_is_paid_cannot_be_paid_or_voided(self, stripe_simulator: Simulator) -> None:
        customer, _ = customer_with(stripe_simulator)
        client = stripe_simulator.sdk()
        id = stripe_simulator.seed(invoice={"customer": customer, "amount": 500})["id"]
        client.v1.invoices.pay(id)
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.invoices.pay(id)
        with pytest.raises(AssertionError, match="isn't open"):
            stripe_simulator.decide(invoice=id, to="void")

    def test_may_be_voided_while_open(self, stripe_simulator: Simulator) -> None:
        customer, _ = customer_with(stripe_simulator)
        id = stripe_simulator.seed(invoice={"customer": customer, "amount": 500})["id"]
        assert stripe_simulator.decide(invoice=id, to="void")["status"] == "void"
        assert types(stripe_simulator)[-1] == "invoice.voided"


class TestTheOlderShape:
    def test_has_the_fields_that_basil_took_away(self, stripe_simulator: Simulator, sink: Sink) -> None:
        stripe_simulator.register(sink.url, version=ACACIA, types=["invoice.paid", "charge.succeeded"])
        id = _subscription(stripe_simulator)
        stripe_simulator.decide(subscription=id, renew=True)
        stripe_simulator.drain()
        told = {event["type"]: event for event in sink.events()}
        invoice = told["invoice.paid"]["data"]["object"]
        assert told["invoice.paid"]["api_version"] == ACACIA
        assert (invoice["subscription"], invoice["paid"], "parent" in invoice) == (id, True, False)
        assert invoice["payment_intent"].startswith("pi_")
        assert invoice["lines"]["data"][0]["type"] == "subscription"
        assert told["charge.succeeded"]["data"]["object"]["invoice"] == invoice["id"]

    def test_is_answered_to_a_caller_of_that_version(self, stripe_simulator: Simulator) -> None:
        id = _subscription(stripe_simulator)
        found = stripe_simulator.sdk(version=ACACIA).v1.subscriptions.retrieve(id)
        assert found["current_period_end"] - found["current_period_start"] == 30 * 86_400
        assert "current_period_end" not in found["items"].data[0]

    def test_does_not_exist_for_an_unknown_version(self, stripe_simulator: Simulator) -> None:
        with pytest.raises(stripe.InvalidRequestError):
            stripe_simulator.sdk(version="2019-01-01").v1.customers.list()
