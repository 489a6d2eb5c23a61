"""A payment from its customer to its refund, through the real SDK."""

import pytest
import stripe

from tests.builders.stripe import Simulator

FAMILY = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


def _paid(simulator: Simulator, *, amount: int = 1234, method: str = "pm_card_visa") -> stripe.PaymentIntent:
    client = simulator.sdk()
    customer = client.v1.customers.create({"email": "anna@example.org"})
    attached = client.v1.payment_methods.attach(method, {"customer": customer.id})
    return client.v1.payment_intents.create(
        {
            "amount": amount,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": attached.id,
            "off_session": True,
            "confirm": True,
            "expand": ["latest_charge.balance_transaction"],
        }
    )


class TestAPayment:
    def test_costs_a_fee_rounded_half_up_and_is_available_two_days_later(
        self, stripe_simulator: Simulator
    ) -> None:
        charge = _paid(stripe_simulator, amount=1234).latest_charge
        assert isinstance(charge, stripe.Charge)
        assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
        assert (charge.balance_transaction.fee, charge.balance_transaction.net) == (66, 1168)
        assert stripe_simulator.funds() == {"usd": {"available": 0, "pending": 1168}}
        stripe_simulator.advance(2 * 86_400)
        assert stripe_simulator.funds() == {"usd": {"available": 1168, "pending": 0}}

    def test_tells_its_family_of_events(self, stripe_simulator: Simulator) -> None:
        _paid(stripe_simulator)
        events = stripe_simulator.sdk().v1.events.list({"types": [*FAMILY]}).data
        assert [event.type for event in reversed(events)] == FAMILY

    def test_refuses_to_give_back_more_than_was_paid(self, stripe_simulator: Simulator) -> None:
        payment, client = _paid(stripe_simulator), stripe_simulator.sdk()
        client.v1.refunds.create({"payment_intent": payment.id, "amount": 1000})
        before = stripe_simulator.funds()
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.refunds.create({"payment_intent": payment.id, "amount": 235})
        assert stripe_simulator.funds() == before
        client.v1.refunds.create({"payment_intent": payment.id})
        with pytest.raises(stripe.InvalidRequestError, match="already been refunded"):
            client.v1.refunds.create({"payment_intent": payment.id})
