"""A payment from its customer to its refund, through the real SDK."""

from typing import Any

import pytest
import stripe

from tests.builders.payments_at_stripe import assert_conserved, charge_of, customer_with, pay, rows, types
from tests.builders.stripe import Simulator


class TestAPayment:
    def test_costs_a_fee_rounded_half_up_and_is_available_two_days_later(
        self, stripe_simulator: Simulator
    ) -> None:
        row = charge_of(pay(stripe_simulator, amount=1234)).balance_transaction
        assert isinstance(row, stripe.BalanceTransaction)
        assert (row.fee, row.net, row.reporting_category) == (66, 1168, "charge")
        assert stripe_simulator.funds() == {"usd": {"available": 0, "pending": 1168}}
        stripe_simulator.advance(2 * 86_400)
        assert stripe_simulator.funds() == {"usd": {"available": 1168, "pending": 0}}

    @pytest.mark.parametrize(("amount", "fee"), [(50, 31), (500, 45), (10_050, 321), (1_000_000, 29_030)])
    def test_has_this_fee(self, stripe_simulator: Simulator, amount: int, fee: int) -> None:
        row = charge_of(pay(stripe_simulator, amount=amount)).balance_transaction
        assert isinstance(row, stripe.BalanceTransaction)
        assert row.fee == fee

    def test_tells_its_family_of_events(self, stripe_simulator: Simulator) -> None:
        pay(stripe_simulator)
        assert types(stripe_simulator) == [
            "customer.created",
            "payment_method.attached",
            "customer.updated",
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
        ]

    def test_may_be_captured_in_part_once(self, stripe_simulator: Simulator) -> None:
        client = stripe_simulator.sdk()
        payment = pay(stripe_simulator, amount=1000, capture_method="manual")
        assert (payment.status, payment.amount_capturable, rows(stripe_simulator)) == (
            "requires_capture",
            1000,
            [],
        )
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.payment_intents.capture(payment.id, {"amount_to_capture": 1001})
        payment = client.v1.payment_intents.capture(payment.id, {"amount_to_capture": 400})
        assert (payment.status, payment.amount_received, payment.amount_capturable) == ("succeeded", 400, 0)
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.payment_intents.capture(payment.id)
        assert [row.amount for row in rows(stripe_simulator)] == [400]

    def test_that_is_canceled_cannot_be_confirmed(self, stripe_simulator: Simulator) -> None:
        client = stripe_simulator.sdk()
        payment = client.v1.payment_intents.create({"amount": 500, "currency": "usd"})
        assert client.v1.payment_intents.cancel(payment.id).status == "canceled"
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.payment_intents.confirm(payment.id, {"payment_method": "pm_card_visa"})
        assert caught.value.code == "payment_intent_unexpected_state"

    def test_by_debit_is_known_later(self, stripe_simulator: Simulator) -> None:
        stripe_simulator.next_payment("*", "asynchronous")
        payment = pay(stripe_simulator)
        assert (payment.status, charge_of(payment).status, rows(stripe_simulator)) == (
            "processing",
            "pending",
            [],
        )
        happened = [one["what"] for one in stripe_simulator.advance(60)]
        assert happened == ["charge.succeeded", "payment_intent.succeeded"]
        assert stripe_simulator.sdk().v1.payment_intents.retrieve(payment.id).status == "succeeded"

    def test_by_debit_may_come_back(self, stripe_simulator: Simulator) -> None:
        stripe_simulator.next_payment("*", "asynchronous_failure")
        payment = pay(stripe_simulator)
        stripe_simulator.advance(60)
        found = stripe_simulator.sdk().v1.payment_intents.retrieve(payment.id)
        assert found.status == "requires_payment_method"
        assert found.last_payment_error is not None
        assert found.last_payment_error.decline_code == "insufficient_funds"
        assert rows(stripe_simulator) == []

    def test_may_learn_its_fee_later(self, stripe_simulator: Simulator) -> None:
        stripe_simulator.next_payment("*", "fee_later")
        payment = pay(stripe_simulator)
        assert (payment.status, charge_of(payment).balance_transaction) == ("succeeded", None)
        assert [one["what"] for one in stripe_simulator.advance(60)] == ["charge.updated"]
        assert [row.fee for row in rows(stripe_simulator)] == [66]


class TestADecline:
    def test_is_a_card_error_whose_failed_charge_stays(self, stripe_simulator: Simulator) -> None:
        with pytest.raises(stripe.CardError) as caught:
            pay(stripe_simulator, method="pm_card_chargeCustomerFail")
        assert caught.value.error is not None
        assert (caught.value.code, caught.value.error.decline_code) == ("card_declined", "generic_decline")
        [payment] = stripe_simulator.sdk().v1.payment_intents.list().data
        assert (payment.status, payment.payment_method) == ("requires_payment_method", None)
        [charge] = stripe_simulator.sdk().v1.charges.list().data
        assert (charge.status, charge.failure_code, rows(stripe_simulator)) == ("failed", "card_declined", [])
        assert types(stripe_simulator)[-2:] == ["charge.failed", "payment_intent.payment_failed"]

    @pytest.mark.parametrize(
        ("method", "code", "decline_code"),
        [
            ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
            ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
            ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ],
    )
    def test_also_keeps_such_a_card_from_being_attached(
        self, stripe_simulator: Simulator, method: str, code: str, decline_code: str
    ) -> None:
        with pytest.raises(stripe.CardError) as caught:
            customer_with(stripe_simulator, method)
        assert caught.value.error is not None
        assert (caught.value.code, caught.value.error.decline_code) == (code, decline_code)

    def test_may_be_decided_for_one_payment(self, stripe_simulator: Simulator) -> None:
        customer, method = customer_with(stripe_simulator)
        stripe_simulator.next_payment(customer, "decline", decline_code="insufficient_funds")
        params: Any = {"amount": 900, "currency": "usd", "customer": customer, "payment_method": method,
                       "confirm": True, "off_session": True}  # fmt: skip
        with pytest.raises(stripe.CardError):
            stripe_simulator.sdk().v1.payment_intents.create(params)
        assert stripe_simulator.sdk().v1.payment_intents.create(params).status == "succeeded"


class TestAuthentication:
    def test_is_refused_while_the_customer_is_away(self, stripe_simulator: Simulator) -> None:
        with pytest.raises(stripe.CardError) as caught:
            pay(stripe_simulator, method="pm_card_authenticationRequired")
        assert caught.value.code == "authentication_required"

    @pytest.mark.parametrize("to", ["succeeded", "failed"])
    def test_is_asked_of_a_customer_who_is_there(self, stripe_simulator: Simulator, to: str) -> None:
        payment = stripe_simulator.sdk().v1.payment_intents.create(
            {
                "amount": 700,
                "currency": "usd",
                "payment_method": "pm_card_authenticationRequired",
                "confirm": True,
                "return_url": "https://example.org",
            }
        )
        assert payment.status == "requires_action"
        stripe_simulator.decide(payment_intent=payment.id, to=to)
        found = stripe_simulator.sdk().v1.payment_intents.retrieve(payment.id)
        assert found.status == {"succeeded": "succeeded", "failed": "requires_payment_method"}[to]


class TestASetupIntent:
    def test_leaves_a_method_at_the_customer(self, stripe_simulator: Simulator) -> None:
        client = stripe_simulator.sdk()
        customer = client.v1.customers.create({})
        setup = client.v1.setup_intents.create({"customer": customer.id, "usage": "off_session"})
        assert setup.status == "requires_payment_method"
        stripe_simulator.decide(setup_intent=setup.id, method="pm_card_visa")
        setup = client.v1.setup_intents.retrieve(setup.id)
        [method] = client.v1.customers.payment_methods.list(customer.id).data
        assert (setup.status, setup.payment_method) == ("succeeded", method.id)
        assert client.v1.payment_methods.detach(method.id).customer is None

    def test_tells_of_a_card_that_is_refused(self, stripe_simulator: Simulator) -> None:
        client = stripe_simulator.sdk()
        setup = client.v1.setup_intents.create({"customer": client.v1.customers.create({}).id})
        stripe_simulator.decide(setup_intent=setup.id, method="pm_card_visa_chargeDeclined")
        assert client.v1.setup_intents.retrieve(setup.id).last_setup_error is not None
        assert types(stripe_simulator)[-1] == "setup_intent.setup_failed"


class TestARefund:
    def test_gives_back_no_more_than_was_paid(self, stripe_simulator: Simulator) -> None:
        payment, client = pay(stripe_simulator), stripe_simulator.sdk()
        client.v1.refunds.create({"payment_intent": payment.id, "amount": 1000})
        before = stripe_simulator.funds()
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.refunds.create({"payment_intent": payment.id, "amount": 235})
        assert stripe_simulator.funds() == before
        client.v1.refunds.create({"payment_intent": payment.id})
        with pytest.raises(stripe.InvalidRequestError, match="already been refunded"):
            client.v1.refunds.create({"payment_intent": payment.id})
        assert charge_of(
            client.v1.payment_intents.retrieve(payment.id, {"expand": ["latest_charge"]})
        ).refunded
        assert_conserved(stripe_simulator)

    def test_may_wait(self, stripe_simulator: Simulator) -> None:
        payment = pay(stripe_simulator, method="pm_card_pendingRefund")
        refund = stripe_simulator.sdk().v1.refunds.create({"payment_intent": payment.id})
        assert refund.status == "pending"
        stripe_simulator.advance(60)
        assert stripe_simulator.sdk().v1.refunds.retrieve(refund.id).status == "succeeded"

    def test_may_fail_and_brings_the_money_back(self, stripe_simulator: Simulator) -> None:
        payment = pay(stripe_simulator, method="pm_card_refundFail")
        refund = stripe_simulator.sdk().v1.refunds.create({"payment_intent": payment.id})
        assert refund.status == "succeeded"
        stripe_simulator.advance(60)
        found = stripe_simulator.sdk().v1.refunds.retrieve(refund.id)
        assert (found.status, found.failure_reason) == ("failed", "expired_or_canceled_card")
        categories = [row.reporting_category for row in rows(stripe_simulator)]
        assert categories == ["charge", "refund", "refund_failure"]
        assert_conserved(stripe_simulator)


class TestADispute:
    @pytest.mark.parametrize(("to", "left"), [("won", -1500), ("lost", -2734)])
    def test_takes_amount_and_fee_and_brings_back_what_is_won(
        self, stripe_simulator: Simulator, to: Any, left: int
    ) -> None:
        charge = charge_of(pay(stripe_simulator))
        dispute = stripe_simulator.dispute(charge.id)
        [row] = stripe_simulator.sdk().v1.disputes.retrieve(dispute["id"]).balance_transactions
        assert (row.amount, row.fee, row.type, row.reporting_category) == (
            -1234,
            1500,
            "adjustment",
            "dispute",
        )
        with pytest.raises(stripe.InvalidRequestError) as caught:
            stripe_simulator.sdk().v1.refunds.create({"charge": charge.id})
        assert caught.value.code == "charge_disputed"
        stripe_simulator.close_dispute(dispute["id"], to)
        assert sum(row.net for row in rows(stripe_simulator)) == 1168 + left
        assert types(stripe_simulator)[-1] == "charge.dispute.closed"
        assert_conserved(stripe_simulator)

    def test_comes_with_the_public_test_card(self, stripe_simulator: Simulator) -> None:
        pay(stripe_simulator, method="pm_card_createDispute")
        [dispute] = stripe_simulator.sdk().v1.disputes.list().data
        assert dispute.status == "needs_response"
        assert types(stripe_simulator)[-3:] == [
            "charge.dispute.created",
            "charge.dispute.funds_withdrawn",
            "charge.updated",
        ]

    def test_takes_evidence(self, stripe_simulator: Simulator) -> None:
        dispute = stripe_simulator.dispute(charge_of(pay(stripe_simulator)).id, reason="product_not_received")
        found = stripe_simulator.sdk().v1.disputes.update(
            dispute["id"], {"evidence": {"customer_name": "Anna"}, "submit": True}
        )
        assert (found.status, found.reason, found.evidence.customer_name) == (
            "under_review", "product_not_received", "Anna",
        )  # fmt: skip

    def test_may_only_be_asked_about(self, stripe_simulator: Simulator) -> None:
        charge = charge_of(pay(stripe_simulator))
        dispute = stripe_simulator.dispute(charge.id, inquiry=True)
        assert (dispute["status"], dispute["balance_transactions"]) == ("warning_needs_response", [])
        assert stripe_simulator.sdk().v1.refunds.create({"charge": charge.id}).status == "succeeded"

    def test_may_be_warned_of(self, stripe_simulator: Simulator) -> None:
        charge = charge_of(pay(stripe_simulator))
        warning = stripe_simulator.warn(charge.id)
        found = stripe_simulator.sdk().v1.radar.early_fraud_warnings.retrieve(warning["id"])
        assert (found.charge, found.actionable) == (charge.id, True)
