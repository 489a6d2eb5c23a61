"""Reading the subscriptions and invoices that live at the processor. They are never written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from billing.rules.mirroring.views import InvoiceLineView, InvoiceView, SubscriptionItem, SubscriptionView
from billing.rules.payments.minor import currency_of, from_minor
from billing.stripe_gateway.lists import list_raw
from billing.stripe_gateway.mapping import Unreadable, moment, register_view
from billing.stripe_gateway.reads import fetch

Values = Mapping[str, Any]
PAGE_OF_LINES: Final = 10
"""So many lines come with an invoice itself."""


def subscription(identifier: str, *, account: str | None = None) -> SubscriptionView:
    """Return a subscription, also one that has ended. Raises as `reads` does."""
    found: SubscriptionView = fetch(SubscriptionView, "subscriptions", identifier, account=account)
    return found


def invoice(identifier: str, *, account: str | None = None) -> InvoiceView:
    """Return an invoice with all its lines, what paid it, and whether a payment of it is on its way. Raises as `reads`
    does."""
    found: InvoiceView = fetch(InvoiceView, "invoices", identifier, account=account)
    if found.failed and _is_under_way(identifier, account):
        found = replace(found, failed=False, attempts=max(0, found.attempts - 1))
    if found.paid:
        params = {"invoice": identifier, "status": "paid"}
        rows = list_raw(lambda api: api.invoice_payments.list, params, account)
        found = replace(found, payments=tuple(_payments(rows, found.currency)))
    if len(found.lines) < PAGE_OF_LINES:
        return found
    lines = list_raw(lambda api: partial(api.invoices.line_items.list, identifier), {}, account)
    return replace(found, lines=tuple(_line(values, found.currency) for values in lines))


def _is_under_way(invoice: str, account: str | None) -> bool:
    """Whether a payment of an open invoice is on its way, as a bank debit is for days: it is tried, and not failed."""
    params = {"invoice": invoice, "status": "open", "expand": ["data.payment.payment_intent"]}
    rows = list_raw(lambda api: api.invoice_payments.list, params, account)
    intents = [(values.get("payment") or {}).get("payment_intent") for values in rows]
    return any(isinstance(one, Mapping) and one["status"] == "processing" for one in intents)


def invoice_of_payment(payment: str) -> str | None:
    """Return the id of the invoice that lives at the processor and that a PaymentIntent paid; None: none."""
    params = {"payment": {"type": "payment_intent", "payment_intent": payment}}
    for values in list_raw(lambda api: api.invoice_payments.list, params, None):
        return _named(values["invoice"])
    return None


def list_subscriptions(
    *, created_from: datetime | None = None, account: str | None = None
) -> Iterator[SubscriptionView]:
    """This function will give the subscriptions made since then, also those that have ended."""
    params = {"status": "all", **_since(created_from)}
    for values in list_raw(lambda api: api.subscriptions.list, params, account):
        yield subscription_view(values)


def list_invoices(
    *, created_from: datetime | None = None, account: str | None = None
) -> Iterator[InvoiceView]:
    """This function will give the invoices made since then, with the first of their lines."""
    for values in list_raw(lambda api: api.invoices.list, _since(created_from), account):
        yield invoice_view(values)


def subscription_view(values: Values) -> SubscriptionView:
    """Return a subscription; its period stood on itself before basil, and stands on its items since."""
    items = values["items"]["data"]
    spans = [values, *items]
    starts = [each["current_period_start"] for each in spans if each.get("current_period_start")]
    ends = [each["current_period_end"] for each in spans if each.get("current_period_end")]
    return SubscriptionView(
        id=values["id"],
        customer=_named(values["customer"]),
        status=values["status"],
        livemode=bool(values["livemode"]),
        created=moment(values["created"]),
        period_start=_moment(min(starts, default=None)),
        period_end=_moment(max(ends, default=None)),
        cancel_at=_moment(values.get("cancel_at")),
        canceled_at=_moment(values.get("canceled_at")),
        ended_at=_moment(values.get("ended_at")),
        items=tuple(
            SubscriptionItem(_named(each["price"]), _quantity(each.get("quantity"))) for each in items
        ),
        metadata=dict(values.get("metadata") or {}),
    )


def invoice_view(values: Values) -> InvoiceView:
    """Return an invoice; its subscription stood on itself before basil, and stands in `parent` since."""
    currency = currency_of(values["currency"])
    transitions = values.get("status_transitions") or {}
    status = values["status"]
    return InvoiceView(
        id=values["id"],
        customer=_named(values["customer"]),
        subscription=_subscription_of(values),
        number=values.get("number"),
        status=status,
        livemode=bool(values["livemode"]),
        currency=currency,
        total=from_minor(values["total"], currency=currency),
        paid=from_minor(values["amount_paid"], currency=currency),
        remaining=from_minor(values["amount_remaining"], currency=currency),
        failed=status == "open" and bool(values.get("attempted")),
        created=moment(values["created"]),
        due_at=_moment(values.get("due_date") or transitions.get("finalized_at")),
        paid_at=_moment(transitions.get("paid_at")),
        attempts=int(values.get("attempt_count") or 0),
        next_attempt_at=_moment(values.get("next_payment_attempt")),
        lines=tuple(_line(each, currency) for each in (values.get("lines") or {}).get("data", ())),
    )


def _payments(rows: Iterator[Values], currency: str) -> Iterator[tuple[str, int]]:
    """The PaymentIntents of an invoice; what was paid in another way is none of the processor's balance."""
    for values in rows:
        intent = (values.get("payment") or {}).get("payment_intent")
        if intent is not None and values.get("amount_paid"):
            yield _named(intent), from_minor(values["amount_paid"], currency=currency)


def _line(values: Values, currency: str) -> InvoiceLineView:
    details = (values.get("pricing") or {}).get("price_details") or {}
    price = details.get("price") or values.get("price")
    parent = values.get("parent") or {}
    inner = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    return InvoiceLineView(
        price=None if price is None else _named(price),
        quantity=_quantity(values.get("quantity")),
        amount=from_minor(values["amount"], currency=currency),
        proration=bool(inner.get("proration") or values.get("proration")),
    )


def _subscription_of(values: Values) -> str | None:
    parent = values.get("parent") or {}
    found = (parent.get("subscription_details") or {}).get("subscription") or values.get("subscription")
    return None if found is None else _named(found)


def _named(value: Any) -> str:
    found = value.get("id") if isinstance(value, Mapping) else value
    if not isinstance(found, str) or not found:
        raise Unreadable("An id is missing.")
    return found


def _quantity(value: Any) -> int:
    if value is None:
        return 1
    if type(value) is not int or value < 0:
        raise Unreadable("A quantity is no whole number.")
    return value


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else moment(seconds)


def _since(created_from: datetime | None) -> dict[str, Any]:
    return {} if created_from is None else {"created": {"gte": int(created_from.timestamp())}}


register_view("subscription", subscription_view)
register_view("invoice", invoice_view)
