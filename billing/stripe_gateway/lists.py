"""What the processor has, page by page. Newest first, unless a function says otherwise; an iterator calls the processor
while it is iterated, so no transaction is open then. Raises as `reads` does, while it is iterated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, TypeVar

from billing.rules.payments.events import EventView
from billing.rules.payments.views import (
    BalanceView,
    ChargeView,
    CustomerView,
    DisputeView,
    MethodView,
    PaymentView,
    PayoutView,
    RefundView,
)
from billing.stripe_gateway.client import client, options, require_no_transaction
from billing.stripe_gateway.errors import reading
from billing.stripe_gateway.mapping import plain, view_of

_View = TypeVar("_View")

PAGE: Final = 100
MOST_TYPES: Final = 20


def list_events(
    *,
    after: str | None = None,
    created_from: datetime | None = None,
    types: Sequence[str] = (),
    account: str | None = None,
) -> Iterator[EventView]:
    """This function will give the events after one of them, oldest first; without `after`, newest first.

    At most 20 types. An `after` that the processor has forgotten raises NotAtProcessor.
    """
    if len(types) > MOST_TYPES:
        raise ValueError("at most 20 types at once")
    params = {**_created(created_from, None), "ending_before": after, "types": list(types) or None}
    return _each(lambda api: api.events.list, params, account)


def list_payments(
    *,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    account: str | None = None,
    customer: str | None = None,
) -> Iterator[PaymentView]:
    """This function will give the payments made in [created_from, created_to)."""
    params = {**_created(created_from, created_to), "customer": customer}
    params["expand"] = ["data.latest_charge.balance_transaction"]
    return _each(lambda api: api.payment_intents.list, params, account)


def list_charges(
    *,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    account: str | None = None,
    payment: str | None = None,
) -> Iterator[ChargeView]:
    """This function will give the charges made in [created_from, created_to)."""
    params = {**_created(created_from, created_to), "payment_intent": payment}
    params["expand"] = ["data.balance_transaction"]
    return _each(lambda api: api.charges.list, params, account)


def list_refunds(
    *,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    account: str | None = None,
    payment: str | None = None,
) -> Iterator[RefundView]:
    """This function will give the refunds made in [created_from, created_to)."""
    params = {**_created(created_from, created_to), "payment_intent": payment}
    params["expand"] = ["data.balance_transaction"]
    return _each(lambda api: api.refunds.list, params, account)


def list_disputes(
    *,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    account: str | None = None,
    payment: str | None = None,
) -> Iterator[DisputeView]:
    """This function will give the disputes opened in [created_from, created_to)."""
    params = {**_created(created_from, created_to), "payment_intent": payment}
    return _each(lambda api: api.disputes.list, params, account)


def list_payouts(
    *, created_from: datetime | None = None, created_to: datetime | None = None, account: str | None = None
) -> Iterator[PayoutView]:
    """This function will give the payouts made in [created_from, created_to)."""
    params = _created(created_from, created_to)
    params["expand"] = ["data.balance_transaction", "data.failure_balance_transaction"]
    return _each(lambda api: api.payouts.list, params, account)


def list_balance_transactions(
    *,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    account: str | None = None,
    payout: str | None = None,
) -> Iterator[BalanceView]:
    """This function will give the balance transactions made in [created_from, created_to); `payout`: those that an
    automatic payout consists of."""
    params = {**_created(created_from, created_to), "payout": payout}
    return _each(lambda api: api.balance_transactions.list, params, account)


def list_customers(
    *, created_from: datetime | None = None, created_to: datetime | None = None, account: str | None = None
) -> Iterator[CustomerView]:
    """This function will give the customers made in [created_from, created_to)."""
    return _each(lambda api: api.customers.list, _created(created_from, created_to), account)


def list_methods(customer: str) -> Iterator[MethodView]:
    """This function will give the payment methods that are attached to a customer."""
    return _each(lambda api: api.payment_methods.list, {"customer": customer}, None)


def list_raw(
    call: Callable[[Any], Any], params: dict[str, Any], account: str | None
) -> Iterator[dict[str, Any]]:
    """This function will give the objects of a list as JSON values."""
    given = {name: value for name, value in params.items() if value is not None} | {"limit": PAGE}
    api = client().v1
    with reading():
        pages = iter(call(api)(given, options(account=account)).auto_paging_iter())
    while True:
        require_no_transaction()
        with reading():
            found = next(pages, None)
        if found is None:
            return
        yield plain(found)


def pages(found: Iterable[_View]) -> Iterator[list[_View]]:
    """This function will give a list in parts of a page's size, so that none of it is held in memory whole."""
    rest = iter(found)
    while page := list(islice(rest, PAGE)):
        yield page


def _each(call: Callable[[Any], Any], params: dict[str, Any], account: str | None) -> Iterator[Any]:
    for values in list_raw(call, params, account):
        yield view_of(values)


def _created(start: datetime | None, end: datetime | None) -> dict[str, Any]:
    """The filter of when it was made: their clock counts whole seconds, so a fraction widens the window."""
    window: dict[str, int] = {}
    if start is not None:
        window["gte"] = int(start.timestamp())
    if end is not None:
        window["lt"] = -int(-end.timestamp() // 1)
    return {"created": window} if window else {}
