"""Connected accounts: transfers, reversals and payouts that may fail even after they were paid."""

from typing import Any

import pytest
import stripe

from tests.builders.payments_at_stripe import account, assert_conserved, charge_of, pay, rows, types
from tests.builders.stripe import Simulator


def _transfer(simulator: Simulator, destination: str, amount: int, **more: Any) -> stripe.Transfer:
    params: Any = {"amount": amount, "currency": "usd", "destination": destination, **more}
    return simulator.sdk().v1.transfers.create(params)


class TestAnAccount:
    def test_may_receive_only_when_its_owner_has_answered(self, stripe_simulator: Simulator) -> None:
        client = stripe_simulator.sdk()
        params: Any = {"country": "US", "controller": {"stripe_dashboard": {"type": "express"}},
                       "capabilities": {"transfers": {"requested": True}}}  # fmt: skip
        made = client.v1.accounts.create(params)
        assert (made.payouts_enabled, made.capabilities and made.capabilities.transfers) == (
            False,
            "inactive",
        )
        stripe_simulator.fund(1000)
        with pytest.raises(stripe.InvalidRequestError) as caught:
            _transfer(stripe_simulator, made.id, 100)
        assert caught.value.code == "insufficient_capabilities_for_transfer"
        link: Any = {"account": made.id, "type": "account_onboarding", "refresh_url": "https://example.org/a",
                     "return_url": "https://example.org/b"}  # fmt: skip
        assert client.v1.account_links.create(link).url.startswith("https://connect.stripe.com/")
        stripe_simulator.decide(account=made.id, to="onboarded")
        assert client.v1.accounts.retrieve(made.id).payouts_enabled
        assert types(stripe_simulator, made.id)[-2:] == ["account.updated", "capability.updated"]
        assert _transfer(stripe_simulator, made.id, 100).amount == 100

    def test_is_closed_to_writes_when_restricted_and_to_everything_when_it_has_left(
        self, stripe_simulator: Simulator
    ) -> None:
        id, client = account(stripe_simulator), stripe_simulator.sdk()
        stripe_simulator.decide(account=id, to="restricted", reason="rejected.fraud")
        found = client.v1.accounts.retrieve(id)
        assert found.requirements is not None
        assert (found.payouts_enabled, found.requirements.disabled_reason) == (False, "rejected.fraud")
        with pytest.raises(stripe.PermissionError):
            client.v1.payouts.create({"amount": 1, "currency": "usd"}, {"stripe_account": id})
        assert client.v1.payouts.list({}, {"stripe_account": id}).data == []
        stripe_simulator.decide(account=id, to="deauthorized")
        with pytest.raises(stripe.PermissionError):
            client.v1.payouts.list({}, {"stripe_account": id})


class TestATransfer:
    def test_needs_available_money_or_a_charge_to_come_from(self, stripe_simulator: Simulator) -> None:
        destination = account(stripe_simulator)
        charge = charge_of(pay(stripe_simulator, amount=1000))
        with pytest.raises(stripe.InvalidRequestError) as caught:
            _transfer(stripe_simulator, destination, 500)
        assert caught.value.code == "balance_insufficient"
        made = _transfer(
            stripe_simulator, destination, 500, source_transaction=charge.id, transfer_group="run 7"
        )
        assert (made.amount_reversed, made.transfer_group) == (0, "run 7")
        with pytest.raises(stripe.InvalidRequestError):
            _transfer(stripe_simulator, destination, 501, source_transaction=charge.id)
        assert stripe_simulator.funds(destination) == {"usd": {"available": 0, "pending": 500}}
        stripe_simulator.advance(2 * 86_400)
        assert stripe_simulator.funds(destination) == {"usd": {"available": 500, "pending": 0}}
        assert_conserved(stripe_simulator)
        assert_conserved(stripe_simulator, destination)

    def test_comes_back_in_parts_up_to_its_amount(self, stripe_simulator: Simulator) -> None:
        destination, client = account(stripe_simulator), stripe_simulator.sdk()
        stripe_simulator.fund(1000)
        made = _transfer(stripe_simulator, destination, 1000)
        client.v1.transfers.reversals.create(made.id, {"amount": 300})
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.transfers.reversals.create(made.id, {"amount": 701})
        assert not client.v1.transfers.retrieve(made.id).reversed
        client.v1.transfers.reversals.create(made.id)
        found = client.v1.transfers.retrieve(made.id)
        assert (found.amount_reversed, found.reversed) == (1000, True)
        assert types(stripe_simulator).count("transfer.reversed") == 2
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.transfers.reversals.create(made.id)
        categories = [row.reporting_category for row in rows(stripe_simulator)]
        assert categories == ["topup", "transfer", "transfer_reversal", "transfer_reversal"]

    @pytest.mark.parametrize(("losses", "is_refused"), [("application", False), ("stripe", True)])
    def test_comes_back_from_an_empty_account_only_if_the_platform_bears_it(
        self, stripe_simulator: Simulator, losses: str, is_refused: bool
    ) -> None:
        destination, client = account(stripe_simulator, losses=losses), stripe_simulator.sdk()
        stripe_simulator.fund(1000)
        made = _transfer(stripe_simulator, destination, 1000)
        client.v1.payouts.create({"amount": 1000, "currency": "usd"}, {"stripe_account": destination})
        if is_refused:
            with pytest.raises(stripe.InvalidRequestError):
                client.v1.transfers.reversals.create(made.id)
        else:
            client.v1.transfers.reversals.create(made.id)
        expected = 0 if is_refused else -1000
        assert stripe_simulator.funds(destination)["usd"]["available"] == expected


class TestAPayout:
    def _ready(self, simulator: Simulator, number: str = "000123456789") -> str:
        destination = account(simulator, number=number)
        simulator.fund(1000)
        _transfer(simulator, destination, 1000)
        return destination

    def test_leaves_arrives_and_may_still_fail(self, stripe_simulator: Simulator) -> None:
        destination, client = self._ready(stripe_simulator), stripe_simulator.sdk()
        options: Any = {"stripe_account": destination}
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.payouts.create({"amount": 1001, "currency": "usd"}, options)
        assert caught.value.code == "balance_insufficient"
        made = client.v1.payouts.create({"amount": 1000, "currency": "usd"}, options)
        assert made.status == "pending"
        stripe_simulator.advance(86_400)
        assert client.v1.payouts.retrieve(made.id, {}, options).status == "in_transit"
        stripe_simulator.advance(86_400)
        assert client.v1.payouts.retrieve(made.id, {}, options).status == "paid"
        stripe_simulator.advance(3 * 86_400)
        stripe_simulator.decide(payout=made.id, to="failed", code="account_closed", on=destination)
        found = client.v1.payouts.retrieve(made.id, {}, options)
        assert (found.status, found.failure_code) == ("failed", "account_closed")
        assert found.failure_balance_transaction is not None
        assert stripe_simulator.funds(destination)["usd"]["available"] == 1000
        [bank] = client.v1.accounts.external_accounts.list(destination).data
        assert isinstance(bank, stripe.BankAccount)
        assert bank.status == "errored"
        assert [name for name in types(stripe_simulator, destination) if name.startswith("payout")] == [
            "payout.created",
            "payout.updated",
            "payout.paid",
            "payout.failed",
        ]
        assert_conserved(stripe_simulator, destination)

    @pytest.mark.parametrize(
        ("number", "code"), [("000111111116", "no_account"), ("000111111113", "account_closed")]
    )
    def test_fails_at_such_a_bank_account(self, stripe_simulator: Simulator, number: str, code: str) -> None:
        destination, client = self._ready(stripe_simulator, number), stripe_simulator.sdk()
        options: Any = {"stripe_account": destination}
        made = client.v1.payouts.create({"amount": 600, "currency": "usd"}, options)
        stripe_simulator.advance(2 * 86_400)
        assert client.v1.payouts.retrieve(made.id, {}, options).failure_code == code
        assert stripe_simulator.funds(destination)["usd"]["available"] == 1000

    def test_may_be_canceled_while_pending_and_reversed_once_paid(self, stripe_simulator: Simulator) -> None:
        destination, client = self._ready(stripe_simulator), stripe_simulator.sdk()
        options: Any = {"stripe_account": destination}
        made = client.v1.payouts.create({"amount": 600, "currency": "usd"}, options)
        assert client.v1.payouts.cancel(made.id, {}, options).status == "canceled"
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.payouts.cancel(made.id, {}, options)
        made = client.v1.payouts.create({"amount": 400, "currency": "usd"}, options)
        stripe_simulator.advance(2 * 86_400)
        back = client.v1.payouts.reverse(made.id, {}, options)
        assert (back.original_payout, back.amount) == (made.id, -400)
        assert stripe_simulator.funds(destination)["usd"]["available"] == 1000
        assert_conserved(stripe_simulator, destination)

    def test_of_the_platform_can_be_itemised_when_it_is_automatic(self, stripe_simulator: Simulator) -> None:
        client = stripe_simulator.sdk()
        for amount in (1000, 2000):
            pay(stripe_simulator, amount=amount)
        stripe_simulator.advance(2 * 86_400)
        swept = stripe_simulator.decide(sweep="usd")
        stripe_simulator.advance(2 * 86_400)
        payout = client.v1.payouts.retrieve(swept["id"])
        assert (payout.status, payout.reconciliation_status) == ("paid", "completed")
        items = client.v1.balance_transactions.list({"payout": payout.id}).data
        assert sum(row.net for row in items if row.type != "payout") == payout.amount
        manual = client.v1.payouts
        stripe_simulator.fund(500)
        made = manual.create({"amount": 500, "currency": "usd"})
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.balance_transactions.list({"payout": made.id})
