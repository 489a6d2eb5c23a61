"""Which operation each kind of object is handed to. Also for events of connected accounts.

A refund, a dispute and a warning come with their payment, which is applied first: money must be here before it can go.
"""

from __future__ import annotations

from typing import Any, Final

from billing import stripe_gateway
from billing.operations.mirroring.applying import apply_invoice, apply_subscription
from billing.operations.payments import applying
from billing.operations.payments.customers import apply_customer
from billing.operations.payments.methods import apply_method, apply_setup, method_of_setup
from billing.queries.mirroring import find_invoice
from billing.rules.mirroring.views import InvoiceView
from billing.rules.payments.applied import APPLIED, FOREIGN, PARKED, UNCHANGED, Applied
from billing.rules.payments.views import (
    AccountView,
    ChargeView,
    DisputeView,
    MethodView,
    PaymentView,
    PayoutView,
    RefundView,
    SetupView,
)
from billing.stripe_gateway import mirrored
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from payouts import stripe_gateway as connect
from payouts.operations.paying import applying as partners
from payouts.queries.payouts import watched_accounts
from webhooks.operations.inbound import catching_up, handlers
from webhooks.operations.inbound.handlers import Apply, Fetch, Handler
from webhooks.queries.reconciling.rows import is_assigned
from webhooks.rules.inbound.judging import CONNECT, PLATFORM

_WORST_FIRST: Final = (PARKED, FOREIGN, APPLIED, UNCHANGED)


def register_all() -> None:
    """This function will register the handlers of what billing and payouts apply, and have the events of partners'
    accounts caught up with."""
    for kind, (fetch, apply) in ROWS.items():
        handlers.register(Handler(PLATFORM, kind, fetch, apply, CALLS.get(kind, 1)))
    for kind, (fetch, apply) in CONNECT_ROWS.items():
        handlers.register(Handler(CONNECT, kind, fetch, apply))
    catching_up.register_accounts(watched_accounts)


def _charge(name: str, account: str | None) -> PaymentView | ChargeView:
    """A charge's payment; the charge where it has none."""
    found = stripe_gateway.charge(name, account=account)
    return found if found.payment is None else stripe_gateway.payment(found.payment, account=account)


def _apply_charge(cur: Cursor, found: PaymentView | ChargeView, author: Author) -> Any:
    if isinstance(found, ChargeView):
        return Applied(FOREIGN, "a charge without a payment")
    return applying.apply_payment(cur, found, author=author)


def _refund(name: str, account: str | None) -> tuple[list[RefundView], PaymentView | None]:
    found = stripe_gateway.refund(name, account=account)
    return [found], _payment_of(found.payment, account)


def _refunds(name: str, account: str | None) -> tuple[list[RefundView], PaymentView | None]:
    """All refunds of a charge: its event does not say which one is new."""
    charge = stripe_gateway.charge(name, account=account)
    if charge.payment is None:
        return [], None
    found = list(stripe_gateway.list_refunds(payment=charge.payment, account=account))
    return found[::-1], _payment_of(charge.payment, account)


def _apply_refunds(cur: Cursor, found: tuple[list[RefundView], PaymentView | None], author: Author) -> Any:
    refunds, payment = found
    done: list[Any] = [applying.apply_refund(cur, each, payment, author=author) for each in refunds]
    if not done:
        return Applied(FOREIGN, "a charge without a payment")
    return min(done, key=lambda each: _WORST_FIRST.index(each.outcome))


def _payment_of(name: str | None, account: str | None) -> PaymentView | None:
    return None if name is None else stripe_gateway.payment(name, account=account)


def _apply_method(cur: Cursor, found: MethodView, author: Author) -> Applied:
    return apply_method(cur, found, attached=found.customer is not None, author=author)


def _setup(name: str, account: str | None) -> tuple[SetupView, MethodView | None]:
    """With its method as it is now: that may be detached again."""
    found = stripe_gateway.setup(name, account=account)
    return found, method_of_setup(found)


def _apply_setup(cur: Cursor, found: tuple[SetupView, MethodView | None], author: Author) -> Applied:
    return apply_setup(cur, *found, author=author)


def _about_a_payment(read: Any) -> Fetch:
    """The object with its payment as it is now."""

    def fetch(name: str, account: str | None) -> Any:
        found = read(name, account=account)
        return found, _payment_of(found.payment, account)

    return fetch


def _after_its_payment(apply: Any) -> Apply:
    """The payment first, so that an object that is told of before its money finds it."""

    def applied(cur: Cursor, found: Any, author: Author) -> Any:
        view, payment = found
        if payment is not None:
            before = applying.apply_payment(cur, payment, author=author)
            if before.outcome in (PARKED, FOREIGN):
                return before
        return apply(cur, view, author=author)

    return applied


def _invoice(name: str, account: str | None) -> tuple[InvoiceView, list[RefundView | DisputeView]]:
    """With what went back of its payments where its credit is to be given yet: who was told of that before the invoice
    was known here could not place it, and it is not told again."""
    found = mirrored.invoice(name, account=account)
    if not found.payments or run_in_transaction(lambda cur: _is_given(cur, name)):
        return found, []
    return found, [gone for intent, _ in found.payments for gone in _gone(intent, account)]


def _gone(intent: str, account: str | None) -> list[RefundView | DisputeView]:
    """Refunds and disputes of a payment, oldest first."""
    charge = stripe_gateway.payment(intent, account=account).charge
    if charge is None:
        return []
    refunds = stripe_gateway.list_refunds(payment=intent, account=account) if charge.refunded else ()
    disputes = stripe_gateway.list_disputes(payment=intent, account=account) if charge.disputed else ()
    return [*list(refunds)[::-1], *list(disputes)[::-1]]


def _apply_invoice(
    cur: Cursor, found: tuple[InvoiceView, list[RefundView | DisputeView]], author: Author
) -> Applied:
    view, gone = found
    done = apply_invoice(cur, view, is_placed=_is_placed(cur, view), author=author)
    if _is_given(cur, view.id):
        for each in gone:
            if isinstance(each, RefundView):
                applying.apply_refund(cur, each, None, author=author)
            else:
                applying.apply_dispute(cur, each, author=author)
    return done


def _is_given(cur: Cursor, name: str) -> bool:
    """Whether an invoice has given its credit: then its payments are known here, and what goes back finds them."""
    known = find_invoice(cur, name)
    return known is not None and known.grant is not None


def _is_placed(cur: Cursor, found: InvoiceView) -> bool:
    """Whether finance has assigned what paid it. Under the platform's lock, which assigning takes, too, so that the one
    who comes second sees the first; of an invoice that has given its credit nothing is left to decide."""
    if found.status != "paid" or _is_given(cur, found.id):
        return False
    lock_organization(cur, PLATFORM_ID)
    return is_assigned(cur, [f"payment_intent:{intent}" for intent, _ in found.payments])


def _account(name: str, account: str | None) -> AccountView | str:
    """A connected account; its id alone where it lets us do nothing any more."""
    try:
        return connect.account(name)
    except (stripe_gateway.NotAtProcessor, stripe_gateway.ProcessorRejected):
        return name


def _apply_account(cur: Cursor, found: AccountView | str, author: Author) -> Applied:
    if isinstance(found, str):
        return partners.account_is_gone(cur, found, author=author)
    return partners.apply_account(cur, found, author=author)


def _partner_payout(name: str, account: str | None) -> tuple[str, PayoutView]:
    return account or "", connect.partner_payout(name, account=account or "")


def _applies(apply: Any) -> Apply:
    return lambda cur, found, author: apply(cur, found, author=author)


def _fetches(read: Any) -> Fetch:
    return lambda name, account: read(name, account=account)


ROWS: Final[dict[str, tuple[Fetch, Apply]]] = {
    "payment": (_fetches(stripe_gateway.payment), _applies(applying.apply_payment)),
    "charge": (_charge, _apply_charge),
    "refund": (_refund, _apply_refunds),
    "charge_refunds": (_refunds, _apply_refunds),
    "dispute": (_about_a_payment(stripe_gateway.dispute), _after_its_payment(applying.apply_dispute)),
    "warning": (_about_a_payment(stripe_gateway.warning), _after_its_payment(applying.apply_warning)),
    "setup": (_setup, _apply_setup),
    "method": (_fetches(stripe_gateway.method), _apply_method),
    "customer": (_fetches(stripe_gateway.customer), _applies(apply_customer)),
    "payout": (_fetches(stripe_gateway.payout), _applies(applying.apply_payout)),
    "transfer": (lambda name, account: connect.transfer(name), _applies(partners.apply_transfer)),
    "subscription": (_fetches(mirrored.subscription), _applies(apply_subscription)),
    "invoice": (_invoice, _apply_invoice),
}
"""By the kind of object of the platform's own events: how it is fetched, and the one operation that it is handed to."""

CALLS: Final = {"charge": 2, "refund": 2, "charge_refunds": 3, "dispute": 2, "warning": 2, "invoice": 6}
"""How many requests a fetch takes where it is more than one; each further page of a list is within their time."""

CONNECT_ROWS: Final[dict[str, tuple[Fetch, Apply]]] = {
    "account": (_account, _apply_account),
    "payout": (_partner_payout, _applies(partners.apply_partner_payout)),
}
"""The same for the events of partners' accounts. What else happens on such an account is no matter of ours."""
