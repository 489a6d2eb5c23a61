"""The kinds of objects that are compared: how the processor lists them, and how one is judged, fetched and applied.

Repair is by the handler of the inbox (`webhooks.operations.inbound.handlers`): the same operation as an event's.
payouts adds its kinds (transfers, reversals, payments of connected accounts) by `register_kind`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing import stripe_gateway
from billing.queries.customers import customer_named, customer_of
from billing.queries.mirroring import find_invoice, find_subscription, linked_customer
from billing.queries.payments import payment_named
from billing.rules.mirroring.views import InvoiceView, SubscriptionView
from billing.rules.payments.facts import told
from billing.rules.payments.row import Payment
from billing.rules.payments.views import CustomerView, DisputeView, PaymentView, PayoutView, RefundView
from billing.stripe_gateway import mirrored
from common.fields import is_id
from events.store import Cursor
from webhooks.queries.reconciling.ours import Ours, expected, find_ours, find_payout, is_organization
from webhooks.rules.reconciling import comparing
from webhooks.rules.reconciling.differences import Difference


class Foreign:
    """An object that is none of ours. What it did to the balance is compared with the balance."""


FOREIGN: Final = Foreign()
Judged = Difference | Foreign | None


@dataclass(frozen=True, slots=True)
class Kind:
    """How objects of a kind are compared. `prefix` names one in a subject, `handler` is the inbox's kind.

    `listing(since, until)` and `fetch(id)` ask the processor, outside transactions; `judge`, `expected` and `find` read
    ours. `worth(view)` is (currency, units) for the report, None where it moves no money.
    """

    name: str
    prefix: str
    handler: str
    listing: Callable[[datetime, datetime], Iterator[Any]]
    fetch: Callable[[str], Any]
    judge: Callable[[Cursor, Any], Judged]
    expected: Callable[[Cursor, datetime, datetime], Sequence[Ours]]
    find: Callable[[Cursor, str], Ours | None]
    worth: Callable[[Any], tuple[str, int] | None] = lambda view: None
    source: str = "platform"
    account: str | None = None


_kinds: Final[dict[str, Kind]] = {}


def register_kind(kind: Kind) -> None:
    """This function will have objects of another kind compared, too; its step has the kind's name."""
    _kinds[kind.name] = kind


def kinds() -> dict[str, Kind]:
    """Return all kinds by their names, in the order in which they are compared."""
    return dict(_kinds)


def kind_of_subject(subject: str) -> tuple[Kind, str] | None:
    """Return the kind and the processor's id of what a difference is about; None: it is no such object."""
    prefix, _, name = subject.partition(":")
    for kind in _kinds.values():
        if kind.prefix == prefix:
            return kind, name
    return None


def _judge_payment(cur: Cursor, view: PaymentView) -> Judged:
    named = view.metadata.get("payment")
    ours = UUID(named) if named is not None and is_id(named) else None
    row = payment_named(cur, payment=ours, intent=view.id)
    if row is None:
        return FOREIGN
    customer = customer_of(cur, row.organization).customer
    return comparing.payment_difference(row, view, customer=customer)


def _judge_refund(cur: Cursor, view: RefundView) -> Judged:
    row = _payment_of(cur, view.metadata.get("payment"), view.payment, view.charge)
    return FOREIGN if row is None else comparing.refund_difference(row, view)


def _judge_dispute(cur: Cursor, view: DisputeView) -> Judged:
    row = _payment_of(cur, None, view.payment, view.charge)
    return FOREIGN if row is None else comparing.dispute_difference(row, view)


def _payment_of(cur: Cursor, named: str | None, intent: str | None, charge: str | None) -> Payment | None:
    """Its payment, where that is the one of the row: a second payment for the same is not, nor one that only its
    metadata names."""
    ours = UUID(named) if named is not None and is_id(named) else None
    row = payment_named(cur, payment=ours, intent=intent, charge=charge)
    if row is None or intent not in (None, row.intent):
        return None
    return None if intent is None and charge not in (None, row.charge) else row


def _judge_customer(cur: Cursor, view: CustomerView) -> Judged:
    row = customer_named(cur, view.id)
    named = view.metadata.get("organization")
    if row is None and linked_customer(cur, view.id) is not None:
        return None
    if row is None and (
        named is None
        or "command" not in view.metadata
        or not is_id(named)
        or not is_organization(cur, UUID(named))
    ):
        return FOREIGN
    whose = None if row is not None or named is None else customer_of(cur, UUID(named))
    return comparing.customer_difference(row, whose, view)


def _judge_payout(cur: Cursor, view: PayoutView) -> Judged:
    return comparing.payout_difference(find_payout(cur, view.id), view)


def _judge_subscription(cur: Cursor, view: SubscriptionView) -> Judged:
    linked = linked_customer(cur, view.customer)
    if linked is None:
        return FOREIGN
    return comparing.subscription_difference(linked[0], find_subscription(cur, view.id), view)


def _judge_invoice(cur: Cursor, view: InvoiceView) -> Judged:
    linked = linked_customer(cur, view.customer)
    if linked is None:
        return FOREIGN
    return comparing.invoice_difference(linked[0], find_invoice(cur, view.id), view)


def _until(listed: Callable[..., Iterator[Any]]) -> Callable[[datetime, datetime], Iterator[Any]]:
    """A list that takes no end of its window."""

    def listing(since: datetime, until: datetime) -> Iterator[Any]:
        return (view for view in listed(created_from=since) if view.created < until)

    return listing


def _window(listed: Callable[..., Iterator[Any]]) -> Callable[[datetime, datetime], Iterator[Any]]:
    return lambda since, until: listed(created_from=since, created_to=until)


def _row(
    name: str,
    prefix: str,
    listing: Callable[[datetime, datetime], Iterator[Any]],
    fetch: Callable[[str], Any],
    judge: Callable[[Cursor, Any], Judged],
    worth: Callable[[Any], tuple[str, int] | None] = lambda view: None,
) -> Kind:
    return Kind(
        name=name,
        prefix=prefix,
        handler=name,
        listing=listing,
        fetch=fetch,
        judge=judge,
        expected=lambda cur, since, until: expected(cur, name, since=since, until=until),
        find=lambda cur, identifier: find_ours(cur, name, identifier),
        worth=worth,
    )


def register_all() -> None:
    """This function will register the kinds that billing applies."""
    for kind in (
        _row(
            "customer", "customer", _window(stripe_gateway.list_customers), stripe_gateway.customer,
            _judge_customer,
        ),
        _row(
            "payment", "payment_intent", _window(stripe_gateway.list_payments), stripe_gateway.payment,
            _judge_payment, lambda view: (view.currency, told(view)),
        ),
        _row(
            "refund", "refund", _window(stripe_gateway.list_refunds), stripe_gateway.refund, _judge_refund,
            lambda view: (view.currency, view.amount),
        ),
        _row(
            "dispute", "dispute", _window(stripe_gateway.list_disputes), stripe_gateway.dispute,
            _judge_dispute, lambda view: (view.currency, view.amount),
        ),
        _row(
            "payout", "payout", _window(stripe_gateway.list_payouts), stripe_gateway.payout,
            _judge_payout,
            lambda view: (view.currency, view.amount),
        ),
        _row(
            "subscription", "subscription", _until(mirrored.list_subscriptions), mirrored.subscription,
            _judge_subscription,
        ),
        _row(
            "invoice", "invoice", _until(mirrored.list_invoices), mirrored.invoice, _judge_invoice,
            lambda view: (view.currency, view.paid),
        ),
    ):  # fmt: skip
        register_kind(kind)
