"""From the processor's objects to plain values. They are read from JSON of our own parsing, so that no object of the
SDK, nor its Decimals, leaves this package.

Readers take the shapes of acacia, of basil and of what came later: what they read of payments, charges, refunds and
disputes stayed where it was (only an invoice's link moved, and our invoices are no objects there). An id may come
expanded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from billing.rules.payments.events import EventView
from billing.rules.payments.minor import currency_of, from_minor
from billing.rules.payments.views import (
    BalanceView,
    ChargeView,
    CustomerView,
    DisputeView,
    Failure,
    MethodView,
    PaymentView,
    PayoutView,
    RefundView,
    SetupView,
    WarningView,
)
from common.errors import ProblemError

Values = Mapping[str, Any]


class Unreadable(ValueError):
    """An object of the processor has not the shape that we know."""


def plain(found: Any) -> dict[str, Any]:
    """Return an object of the SDK as JSON values; a mapping as it is."""
    values = dict(found) if isinstance(found, Mapping) else json.loads(str(found))
    if not isinstance(values, dict):
        raise Unreadable("The processor's answer is no object.")
    return values


def view_of(values: Values) -> Any:
    """Return the view of an object, by what it says it is; None for a kind that has none. Raises Unreadable."""
    reader = _READERS.get(str(values.get("object")))
    if reader is None:
        return None
    try:
        return reader(values)
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError, ProblemError) as error:
        name = f"{values.get('object')} {values.get('id')}"
        raise Unreadable(f"{name}: {type(error).__name__}: {error}") from error


def register_view(kind: str, reader: Callable[[Values], Any]) -> None:
    """Add the reader of a kind of object ("transfer", "account"); payouts does it."""
    _READERS[kind] = reader


def moment(seconds: int) -> datetime:
    """Return a time of the processor."""
    return datetime.fromtimestamp(seconds, UTC)


def balance_view(values: Values) -> BalanceView:
    """Return a balance transaction."""
    currency = currency_of(values["currency"])
    rate = values.get("exchange_rate")
    return BalanceView(
        id=values["id"],
        amount=from_minor(values["amount"], currency=currency),
        fee=from_minor(values["fee"], currency=currency),
        net=from_minor(values["net"], currency=currency),
        currency=currency,
        type=values["type"],
        reporting_category=values["reporting_category"],
        status=values["status"],
        source=_id(values.get("source")),
        created=moment(values["created"]),
        available_on=moment(values["available_on"]),
        exchange_rate=None if rate is None else str(rate),
    )


def charge_view(values: Values) -> ChargeView:
    """Return a charge."""
    currency = currency_of(values["currency"])
    return ChargeView(
        id=values["id"],
        payment=_id(values.get("payment_intent")),
        customer=_id(values.get("customer")),
        amount=from_minor(values["amount"], currency=currency),
        captured=from_minor(values.get("amount_captured", 0), currency=currency),
        refunded=from_minor(values.get("amount_refunded", 0), currency=currency),
        currency=currency,
        status=values["status"],
        disputed=bool(values.get("disputed", False)),
        created=moment(values["created"]),
        balance=_balance(values.get("balance_transaction")),
        failure=_charge_failure(values),
        method=_id(values.get("payment_method")),
        metadata=_metadata(values),
    )


def payment_view(values: Values) -> PaymentView:
    """Return a PaymentIntent with its latest charge, where that came with it."""
    currency = currency_of(values["currency"])
    charge = values.get("latest_charge")
    return PaymentView(
        id=values["id"],
        customer=_id(values.get("customer")),
        amount=from_minor(values["amount"], currency=currency),
        received=from_minor(values.get("amount_received", 0), currency=currency),
        currency=currency,
        status=values["status"],
        livemode=bool(values["livemode"]),
        created=moment(values["created"]),
        method=_id(values.get("payment_method")),
        charge=charge_view(charge) if isinstance(charge, Mapping) else None,
        failure=_failure(values.get("last_payment_error")),
        metadata=_metadata(values),
    )


def refund_view(values: Values) -> RefundView:
    """Return a refund."""
    currency = currency_of(values["currency"])
    return RefundView(
        id=values["id"],
        payment=_id(values.get("payment_intent")),
        charge=_id(values.get("charge")),
        amount=from_minor(values["amount"], currency=currency),
        currency=currency,
        status=values.get("status") or "pending",
        created=moment(values["created"]),
        reason=values.get("reason"),
        failure_reason=values.get("failure_reason"),
        balance=_balance(values.get("balance_transaction")),
        metadata=_metadata(values),
    )


def dispute_view(values: Values) -> DisputeView:
    """Return a dispute with its balance transactions."""
    currency = currency_of(values["currency"])
    due = (values.get("evidence_details") or {}).get("due_by")
    return DisputeView(
        id=values["id"],
        charge=_known_id(values["charge"]),
        payment=_id(values.get("payment_intent")),
        amount=from_minor(values["amount"], currency=currency),
        currency=currency,
        status=values["status"],
        reason=values["reason"],
        created=moment(values["created"]),
        evidence_due_by=None if due is None else moment(due),
        balance=tuple(balance_view(one) for one in values.get("balance_transactions") or ()),
    )


def warning_view(values: Values) -> WarningView:
    """Return an early fraud warning."""
    return WarningView(
        id=values["id"],
        charge=_known_id(values["charge"]),
        payment=_id(values.get("payment_intent")),
        fraud_type=values["fraud_type"],
        actionable=bool(values["actionable"]),
        created=moment(values["created"]),
    )


def method_view(values: Values) -> MethodView:
    """Return a payment method. Of what is no card only the last four digits and who issued it are read."""
    kind = values["type"]
    details = values.get(kind) or {}
    return MethodView(
        id=values["id"],
        customer=_id(values.get("customer")),
        kind=kind,
        brand=details.get("brand") or details.get("bank_name"),
        last4=details.get("last4"),
        exp_month=details.get("exp_month"),
        exp_year=details.get("exp_year"),
        fingerprint=details.get("fingerprint"),
    )


def customer_view(values: Values) -> CustomerView:
    """Return a customer; one that was deleted has nothing but its id."""
    settings = values.get("invoice_settings") or {}
    return CustomerView(
        id=values["id"],
        deleted=bool(values.get("deleted", False)),
        livemode=bool(values.get("livemode", False)),
        default_method=_id(settings.get("default_payment_method")),
        metadata=_metadata(values),
    )


def setup_view(values: Values) -> SetupView:
    """Return a SetupIntent."""
    return SetupView(
        id=values["id"],
        customer=_id(values.get("customer")),
        status=values["status"],
        method=_id(values.get("payment_method")),
        failure=_failure(values.get("last_setup_error")),
        metadata=_metadata(values),
    )


def payout_view(values: Values) -> PayoutView:
    """Return a payout."""
    currency = currency_of(values["currency"])
    code = values.get("failure_code")
    return PayoutView(
        id=values["id"],
        amount=from_minor(values["amount"], currency=currency),
        currency=currency,
        status=values["status"],
        created=moment(values["created"]),
        arrival=moment(values["arrival_date"]),
        automatic=bool(values["automatic"]),
        reconciliation=values.get("reconciliation_status") or "not_applicable",
        destination=_id(values.get("destination")),
        failure=Failure(code, None, values.get("failure_message") or "") if code else None,
        balance=_balance(values.get("balance_transaction")),
        failure_balance=_balance(values.get("failure_balance_transaction")),
        metadata=_metadata(values),
    )


def event_view(values: Values) -> EventView:
    """Return an event: a snapshot with its object, or a thin one that names it."""
    if values["object"] == "v2.core.event":
        return _thin_event(values)
    about = values["data"]["object"]
    request = values.get("request")
    request = {"id": request} if isinstance(request, str) else request or {}
    return EventView(
        id=values["id"],
        type=values["type"],
        created=moment(values["created"]),
        api_version=values.get("api_version"),
        livemode=bool(values["livemode"]),
        object_id=about.get("id"),
        object_type=about.get("object"),
        account=values.get("account"),
        data=about,
        previous=values["data"].get("previous_attributes") or {},
        request_id=request.get("id"),
        idempotency_key=request.get("idempotency_key"),
        pending_webhooks=values.get("pending_webhooks") or 0,
    )


def _thin_event(values: Values) -> EventView:
    about = values.get("related_object") or {}
    return EventView(
        id=values["id"],
        type=values["type"],
        created=datetime.fromisoformat(values["created"]),
        api_version=None,
        livemode=values.get("livemode"),
        object_id=about.get("id"),
        object_type=about.get("type"),
        account=values.get("context"),
        thin=True,
    )


def _id(value: Any) -> str | None:
    """The id of what may be an id, the object itself, or nothing."""
    found: str | None = value["id"] if isinstance(value, Mapping) else value
    return found


def _known_id(value: Any) -> str:
    found = _id(value)
    if found is None:
        raise ValueError("an id is missing")
    return found


def _balance(value: Any) -> BalanceView | None:
    """None also for one that came as its id alone: then nothing is known of it."""
    return balance_view(value) if isinstance(value, Mapping) else None


def _failure(value: Values | None) -> Failure | None:
    if not value:
        return None
    code = value.get("code") or value.get("type") or "unknown"
    return Failure(code, value.get("decline_code"), value.get("message") or "")


def _charge_failure(values: Values) -> Failure | None:
    code = values.get("failure_code")
    if not code:
        return None
    outcome = values.get("outcome") or {}
    return Failure(code, outcome.get("reason"), values.get("failure_message") or "")


def _metadata(values: Values) -> dict[str, str]:
    return {str(key): str(value) for key, value in (values.get("metadata") or {}).items()}


_READERS: Final[dict[str, Callable[[Values], Any]]] = {
    "balance_transaction": balance_view,
    "charge": charge_view,
    "customer": customer_view,
    "dispute": dispute_view,
    "event": event_view,
    "payment_intent": payment_view,
    "payment_method": method_view,
    "payout": payout_view,
    "radar.early_fraud_warning": warning_view,
    "refund": refund_view,
    "setup_intent": setup_view,
    "v2.core.event": event_view,
}
