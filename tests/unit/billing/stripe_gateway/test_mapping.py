"""From the processor's objects to plain values, in the shapes that it writes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from billing.rules.payments.views import BalanceView, Failure
from billing.stripe_gateway.mapping import Unreadable, view_of

T = 1_790_000_000
AT = datetime.fromtimestamp(T, UTC)
BALANCE: dict[str, Any] = {
    "id": "txn_1", "object": "balance_transaction", "amount": 1_000, "fee": 59, "net": 941, "currency": "usd",
    "type": "charge", "reporting_category": "charge", "status": "pending", "source": "ch_1", "created": T,
    "available_on": T + 172_800, "exchange_rate": None,
}  # fmt: skip
CHARGE: dict[str, Any] = {
    "id": "ch_1", "object": "charge", "payment_intent": "pi_1", "customer": "cus_1", "amount": 1_000,
    "amount_captured": 1_000, "amount_refunded": 250, "currency": "usd", "status": "succeeded", "disputed": False,
    "created": T, "balance_transaction": BALANCE, "failure_code": None, "payment_method": "pm_1", "metadata": {},
}  # fmt: skip
PAYMENT: dict[str, Any] = {
    "id": "pi_1", "object": "payment_intent", "customer": "cus_1", "amount": 1_000, "amount_received": 1_000,
    "currency": "usd", "status": "succeeded", "livemode": False, "created": T, "payment_method": "pm_1",
    "latest_charge": CHARGE, "last_payment_error": None, "metadata": {"command": "c1"},
}  # fmt: skip


def test_amounts_are_in_our_units_and_times_are_aware() -> None:
    found = view_of(PAYMENT)

    assert (found.amount, found.received, found.created) == (1_000_000_000, 1_000_000_000, AT)
    assert found.charge.refunded == 250_000_000
    assert (found.charge.balance.amount, found.charge.balance.fee, found.charge.balance.net) == (
        1_000_000_000,
        59_000_000,
        941_000_000,
    )


def test_a_balance_transaction_that_came_as_its_id_is_not_known() -> None:
    assert view_of({**CHARGE, "balance_transaction": "txn_1"}).balance is None
    assert view_of({**CHARGE, "balance_transaction": None}).balance is None


def test_an_id_may_come_expanded() -> None:
    expanded = {**CHARGE, "customer": {"id": "cus_1", "object": "customer"}, "payment_intent": {"id": "pi_1"}}

    assert (view_of(expanded).customer, view_of(expanded).payment) == ("cus_1", "pi_1")


def test_the_shape_of_acacia_gives_the_same_charge_and_payment() -> None:
    older = {"invoice": "in_1", "application_fee_amount": None, "source": None}

    assert view_of({**CHARGE, **older}) == view_of(CHARGE)
    assert view_of({**PAYMENT, **older, "charges": {"data": []}}) == view_of(PAYMENT)


def test_a_payment_that_was_declined_says_why() -> None:
    error = {"code": "card_declined", "decline_code": "insufficient_funds", "message": "No."}
    found = view_of({**PAYMENT, "status": "requires_payment_method", "last_payment_error": error})

    assert found.failure == Failure("card_declined", "insufficient_funds", "No.")


def test_a_customer_that_was_deleted_has_its_id_alone() -> None:
    found = view_of({"id": "cus_1", "object": "customer", "deleted": True})

    assert (found.id, found.deleted, found.default_method) == ("cus_1", True, None)


def test_a_card_tells_its_last_digits_and_its_end() -> None:
    card = {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030, "fingerprint": "f1"}
    found = view_of(
        {"id": "pm_1", "object": "payment_method", "type": "card", "customer": None, "card": card}
    )

    assert (found.brand, found.last4, found.exp_month, found.exp_year) == ("visa", "4242", 12, 2030)


def test_a_dispute_has_its_balance_transactions() -> None:
    taken = {**BALANCE, "amount": -1_000, "fee": 1_500, "net": -2_500, "reporting_category": "dispute"}
    dispute = {
        "id": "dp_1", "object": "dispute", "charge": "ch_1", "payment_intent": "pi_1", "amount": 1_000,
        "currency": "usd", "status": "needs_response", "reason": "fraudulent", "created": T,
        "evidence_details": {"due_by": T}, "balance_transactions": [taken],
    }  # fmt: skip
    found = view_of(dispute)

    assert found.evidence_due_by == AT
    assert [(one.amount, one.fee, one.net) for one in found.balance] == [
        (-1_000_000_000, 1_500_000_000, -2_500_000_000)
    ]


def test_a_kind_that_has_no_view_has_none() -> None:
    assert view_of({"id": "prod_1", "object": "product"}) is None


BROKEN: dict[str, dict[str, Any]] = {
    "an amount missing": {name: value for name, value in BALANCE.items() if name != "amount"},
    "an amount with a fraction": {**BALANCE, "amount": 10.5},
    "an unknown currency": {**BALANCE, "currency": "xxx"},
    "a time that is none": {**BALANCE, "created": "now"},
    "an amount beyond what is stored": {**BALANCE, "amount": 10**30},
    "a text where an object is": {**PAYMENT, "last_payment_error": "declined"},
    "a list as metadata": {**PAYMENT, "metadata": ["a"]},
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_object_cannot_be_read_with(case: str) -> None:
    with pytest.raises(Unreadable):
        view_of(BROKEN[case])


def test_a_balance_is_the_view_that_is_frozen() -> None:
    found = view_of(BALANCE)

    assert isinstance(found, BalanceView)
    with pytest.raises(AttributeError):
        found.amount = 0  # type: ignore[misc]
