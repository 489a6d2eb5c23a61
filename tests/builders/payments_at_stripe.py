"""Customers, payments and accounts made at the simulator through the real SDK."""

from __future__ import annotations

from typing import Any

import stripe

from tests.builders.stripe import Simulator


def customer_with(simulator: Simulator, method: str = "pm_card_visa") -> tuple[str, str]:
    """A customer and its attached default method; gives both ids."""
    client = simulator.sdk()
    customer = client.v1.customers.create({"email": "anna@example.org"})
    attached = client.v1.payment_methods.attach(method, {"customer": customer.id})
    settings: Any = {"default_payment_method": attached.id}
    client.v1.customers.update(customer.id, {"invoice_settings": settings})
    return customer.id, attached.id


def pay(
    simulator: Simulator,
    *,
    amount: int = 1234,
    method: str = "pm_card_visa",
    key: str | None = None,
    **more: Any,
) -> stripe.PaymentIntent:
    """An off-session payment by a new customer, with its charge and balance transaction."""
    customer, attached = customer_with(simulator, method)
    params: Any = {
        "amount": amount,
        "currency": "usd",
        "customer": customer,
        "payment_method": attached,
        "off_session": True,
        "confirm": True,
        "expand": ["latest_charge.balance_transaction"],
        **more,
    }
    return simulator.sdk().v1.payment_intents.create(params, {"idempotency_key": key} if key else {})


def charge_of(payment: stripe.PaymentIntent) -> stripe.Charge:
    charge = payment.latest_charge
    assert isinstance(charge, stripe.Charge)
    return charge


def account(
    simulator: Simulator,
    *,
    number: str = "000123456789",
    losses: str = "application",
    currency: str = "usd",
) -> str:
    """An onboarded account that may receive transfers and has a bank account."""
    params: Any = {
        "country": "US",
        "default_currency": currency,
        "controller": {"losses": {"payments": losses}, "stripe_dashboard": {"type": "express"}},
        "capabilities": {"transfers": {"requested": True}},
    }
    client = simulator.sdk()
    made = client.v1.accounts.create(params)
    bank: Any = {
        "object": "bank_account",
        "country": "US",
        "currency": currency,
        "routing_number": "110000000",
        "account_number": number,
    }
    client.v1.accounts.external_accounts.create(made.id, {"external_account": bank})
    simulator.decide(account=made.id, to="onboarded")
    return made.id


def rows(simulator: Simulator, account: str | None = None) -> list[stripe.BalanceTransaction]:
    """Every balance transaction, oldest first."""
    options: Any = {"stripe_account": account} if account else {}
    listed = simulator.sdk().v1.balance_transactions.list({"limit": 100}, options)
    return list(listed.auto_paging_iter())[::-1]


def assert_conserved(simulator: Simulator, account: str | None = None) -> None:
    """Per currency the sum of net is what is available and pending."""
    sums: dict[str, int] = {}
    for row in rows(simulator, account):
        sums[row.currency] = sums.get(row.currency, 0) + row.net
    held = simulator.funds(account)
    assert sums == {name: part["available"] + part["pending"] for name, part in held.items()}


def types(simulator: Simulator, account: str | None = None) -> list[str]:
    """The types of all events, oldest first."""
    options: Any = {"stripe_account": account} if account else {}
    listed = simulator.sdk().v1.events.list({"limit": 100}, options)
    return [event.type for event in listed.auto_paging_iter()][::-1]
