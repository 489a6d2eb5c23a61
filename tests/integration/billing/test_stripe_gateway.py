"""The border to Stripe over HTTP: what it reads, lists and makes of each refusal."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from billing import stripe_gateway
from billing.rules.payments.views import PaymentView
from tests.builders.stripe import Simulator

DOLLARS = 100_000_000


def paid(simulator: Simulator, amount: int = 1_000) -> Any:
    """A payment that succeeded."""
    sdk = simulator.sdk()
    customer = sdk.v1.customers.create({})
    sdk.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    (method,) = sdk.v1.payment_methods.list({"customer": customer.id})
    return sdk.v1.payment_intents.create(
        {
            "amount": amount,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": method.id,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "confirm": True,
            "off_session": True,
        }
    )


class TestAnObject:
    def test_comes_with_what_belongs_to_it(self, stripe_simulator: Simulator) -> None:
        intent = paid(stripe_simulator)

        view = stripe_gateway.payment(intent.id)

        assert (view.status, view.amount, view.received) == ("succeeded", 10 * DOLLARS, 10 * DOLLARS)
        assert view.charge is not None
        assert view.charge.balance is not None
        assert view.charge.balance.net == view.charge.balance.amount - view.charge.balance.fee
        assert stripe_gateway.charge(view.charge.id) == view.charge
        assert stripe_gateway.balance_transaction(view.charge.balance.id) == view.charge.balance

    def test_a_refund_a_dispute_and_a_warning_name_their_charge(self, stripe_simulator: Simulator) -> None:
        intent = paid(stripe_simulator)
        charge = intent.latest_charge
        refund = stripe_simulator.refund(charge, 250)
        dispute = stripe_simulator.dispute(charge, amount=300)
        warning = stripe_simulator.warn(charge)

        seen = (
            stripe_gateway.refund(refund["id"]),
            stripe_gateway.dispute(dispute["id"]),
            stripe_gateway.warning(warning["id"]),
        )

        assert {one.charge for one in seen} == {charge}
        assert (seen[0].amount, seen[1].amount) == (250_000_000, 300_000_000)

    READS: dict[str, Callable[[str], Any]] = {
        "payment": stripe_gateway.payment,
        "charge": stripe_gateway.charge,
        "refund": stripe_gateway.refund,
        "dispute": stripe_gateway.dispute,
        "setup": stripe_gateway.setup,
        "method": stripe_gateway.method,
        "customer": stripe_gateway.customer,
        "payout": stripe_gateway.payout,
        "balance transaction": stripe_gateway.balance_transaction,
        "event": stripe_gateway.event,
    }

    @pytest.mark.parametrize("kind", READS)
    def test_that_is_not_there_is_said_to_be_missing(self, kind: str, stripe_simulator: Simulator) -> None:
        with pytest.raises(stripe_gateway.NotAtProcessor):
            self.READS[kind]("xx_nothing")

    @pytest.mark.parametrize("name", ["", "pi_1/cancel", "pi_é"], ids=["empty", "a path", "no ascii"])
    def test_whose_id_is_none_is_not_asked_for(self, name: str, stripe_simulator: Simulator) -> None:
        with pytest.raises(stripe_gateway.Unreadable):
            stripe_gateway.payment(name)
        assert stripe_simulator.requests() == []


class TestAReadThatFails:
    @pytest.mark.parametrize(
        "kind",
        ["rate_limit", "lock_timeout", "conflict", "error_before", "reset_before", "html_502", "truncated"],
    )
    def test_may_be_repeated_after(self, kind: str, stripe_simulator: Simulator) -> None:
        stripe_simulator.fail({"kind": kind, "method": "GET", "count": 2})

        with pytest.raises(stripe_gateway.ProcessorUnavailable) as caught:
            stripe_gateway.customer("cus_1")

        assert (caught.value.retryable, (caught.value.retry_after or 0) >= 1) == (True, True)

    def test_with_a_wrong_key_may_be_repeated_when_it_is_right(
        self, stripe_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(settings, "STRIPE_API_KEY", "sk_test_wrong")
        with pytest.raises(stripe_gateway.ProcessorUnavailable):
            stripe_gateway.customer("cus_1")

    def test_with_a_key_that_may_not_is_a_persons_matter(self, stripe_simulator: Simulator) -> None:
        stripe_simulator.fail({"kind": "forbidden", "method": "GET"})
        with pytest.raises(stripe_gateway.ProcessorRejected):
            stripe_gateway.customer("cus_1")

    def test_without_a_key_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settings, "STRIPE_API_KEY", None)
        with pytest.raises(stripe_gateway.NotConfigured):
            stripe_gateway.customer("cus_1")


class TestAList:
    def test_of_events_after_one_is_oldest_first_and_else_newest_first(
        self, stripe_simulator: Simulator
    ) -> None:
        paid(stripe_simulator)
        newest_first = [one.id for one in stripe_gateway.list_events()]

        assert len(newest_first) > 3
        assert [one.id for one in stripe_gateway.list_events(after=newest_first[-1])] == newest_first[-2::-1]
        assert list(stripe_gateway.list_events(after=newest_first[0])) == []
        types = {one.type for one in stripe_gateway.list_events(types=["charge.succeeded"])}
        assert types == {"charge.succeeded"}

    def test_after_an_event_that_is_forgotten_is_said_to_be_missing(
        self, stripe_simulator: Simulator
    ) -> None:
        with pytest.raises(stripe_gateway.NotAtProcessor):
            list(stripe_gateway.list_events(after="evt_nothing"))

    def test_of_too_many_types_is_refused(self) -> None:
        with pytest.raises(ValueError, match="20"):
            stripe_gateway.list_events(types=["charge.succeeded"] * 21)

    def test_is_bounded_by_when_things_were_made(self, stripe_simulator: Simulator) -> None:
        first = paid(stripe_simulator).id
        stripe_simulator.advance(3_600)
        second = paid(stripe_simulator).id
        middle = datetime.now(UTC) + timedelta(minutes=30)

        assert [one.id for one in stripe_gateway.list_payments(created_from=middle)] == [second]
        assert [one.id for one in stripe_gateway.list_payments(created_to=middle)] == [first]
        assert len(list(stripe_gateway.list_charges())) == 2
        assert len(list(stripe_gateway.list_balance_transactions())) == 2
        assert len(list(stripe_gateway.list_customers())) == 2

    def test_goes_over_its_pages(self, stripe_simulator: Simulator) -> None:
        for _ in range(103):
            stripe_simulator.sdk().v1.customers.create({})

        assert len({one.id for one in stripe_gateway.list_customers()}) == 103

    def test_gives_views_of_payments(self, stripe_simulator: Simulator) -> None:
        paid(stripe_simulator)
        (view,) = stripe_gateway.list_payments()

        assert isinstance(view, PaymentView)
        assert view.charge is not None
        assert view.charge.balance is not None
