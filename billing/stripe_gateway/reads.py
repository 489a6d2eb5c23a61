"""One object as it is now, by its id. Each raises NotAtProcessor, ProcessorUnavailable, ProcessorRejected, Unreadable,
NotConfigured and CallInTransaction."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import quote

import stripe

from billing.rules.payments.events import EventView
from billing.rules.payments.minor import currency_of, from_minor
from billing.rules.payments.views import (
    BalanceView,
    ChargeView,
    CustomerView,
    DisputeView,
    MethodView,
    PaymentView,
    PayoutView,
    RefundView,
    SetupView,
    WarningView,
)
from billing.stripe_gateway.client import client, options
from billing.stripe_gateway.errors import reading
from billing.stripe_gateway.mapping import Unreadable, plain, view_of

_View = TypeVar("_View")


def payment(identifier: str, *, account: str | None = None) -> PaymentView:
    """Return a PaymentIntent with its latest charge and that one's balance transaction."""
    return fetch(
        PaymentView,
        "payment_intents",
        identifier,
        account=account,
        expand=["latest_charge.balance_transaction"],
    )


def charge(identifier: str, *, account: str | None = None) -> ChargeView:
    """Return a charge with its balance transaction."""
    return fetch(
        ChargeView,
        "charges",
        identifier,
        account=account,
        expand=["balance_transaction"],
    )


def refund(identifier: str, *, account: str | None = None) -> RefundView:
    """Return a refund with its balance transaction."""
    return fetch(
        RefundView,
        "refunds",
        identifier,
        account=account,
        expand=["balance_transaction"],
    )


def dispute(identifier: str, *, account: str | None = None) -> DisputeView:
    """Return a dispute; its balance transactions are part of it."""
    return fetch(DisputeView, "disputes", identifier, account=account)


def warning(identifier: str, *, account: str | None = None) -> WarningView:
    """Return an early fraud warning."""
    return fetch(WarningView, "radar/early_fraud_warnings", identifier, account=account)


def setup(identifier: str, *, account: str | None = None) -> SetupView:
    """Return a SetupIntent."""
    return fetch(SetupView, "setup_intents", identifier, account=account)


def setup_secret(identifier: str) -> str:
    """Return the client secret of a SetupIntent, with which a browser confirms it. It is never stored."""
    with reading():
        found = plain(client().v1.setup_intents.retrieve(identifier))
    return str(found["client_secret"])


def payment_secret(identifier: str) -> str:
    """Return the client secret of a PaymentIntent, with which its customer authenticates it. It is never stored."""
    with reading():
        found = plain(client().v1.payment_intents.retrieve(identifier))
    return str(found["client_secret"])


def method(identifier: str, *, account: str | None = None) -> MethodView:
    """Return a payment method."""
    return fetch(MethodView, "payment_methods", identifier, account=account)


def customer(identifier: str, *, account: str | None = None) -> CustomerView:
    """Return a customer, also one that was deleted."""
    return fetch(CustomerView, "customers", identifier, account=account)


def payout(identifier: str, account: str | None = None) -> PayoutView:
    """Return a payout with its balance transactions."""
    expand = ["balance_transaction", "failure_balance_transaction"]
    return fetch(PayoutView, "payouts", identifier, account=account, expand=expand)


def balance_transaction(identifier: str, *, account: str | None = None) -> BalanceView:
    """Return a balance transaction."""
    return fetch(BalanceView, "balance_transactions", identifier, account=account)


def balances(*, account: str | None = None) -> dict[str, int]:
    """Return what an account holds by currency, in units: available, pending and reserved together."""
    api: stripe.StripeClient = client()
    with reading():
        found = plain(api.v1.balance.retrieve({}, options(account=account)))
    held: dict[str, int] = {}
    for part in ("available", "pending", "connect_reserved"):
        for each in found.get(part) or ():
            currency = currency_of(each["currency"])
            held[currency] = held.get(currency, 0) + from_minor(each["amount"], currency=currency)
    return held


def event(identifier: str, account: str | None = None) -> EventView:
    """Return an event, at most 30 days old."""
    return fetch(EventView, "events", identifier, account=account)


def fetch(
    kind: type[_View],
    path: str,
    identifier: str,
    *,
    account: str | None = None,
    expand: list[str] | None = None,
) -> _View:
    """This function will fetch an object and return its view, which is of this kind. `path` is the resource's, as in
    "payment_intents". See the module for what it raises."""
    if not identifier or not identifier.isascii() or "/" in identifier:
        raise Unreadable("That is no id of the processor.")
    given = {"expand": expand} if expand else {}
    api: stripe.StripeClient = client()
    with reading():
        # Objects of the SDK cost twice the CPU of their JSON, which is all that a view is made of.
        found = api.raw_request("get", f"/v1/{path}/{quote(identifier)}", **given, **options(account=account))
    view = view_of(plain(found.data))
    if not isinstance(view, kind):
        raise Unreadable(f"{identifier} is no {kind.__name__}.")
    return view
