"""What the control API may decide: what customers, banks and Stripe itself do in the real world."""

from __future__ import annotations

from sandbox.stripe import decisions, paying
from sandbox.stripe.errors import StripeError
from sandbox.stripe.resources import (
    accounts,
    disputes,
    invoices,
    payouts,
    refunds,
    setup_intents,
    subscriptions,
)
from sandbox.stripe.resources.payment_methods import usable_method
from sandbox.stripe.world import Body, Call


def decide(call: Call, given: Body) -> Body:
    """Do one thing, named by its subject; a decline is its answer. Raises KeyError, ValueError for what is not
    understood, and Stripe's refusals."""
    call = call.on(given.get("on") or "")
    for subject, decider in _DECIDERS.items():
        if subject in given:
            try:
                return decider(call, given)
            except StripeError as error:
                if error.keeps_effects:
                    return error.envelope()
                raise
    raise ValueError(f"name one of {', '.join(_DECIDERS)}")


def _customer(call: Call, given: Body) -> Body:
    """{"customer": "cus_..." or "*", "payment": outcome, "times": n}: how the next payments go."""
    if given["payment"] not in decisions.OUTCOMES:
        raise ValueError(f"payment must be one of {', '.join(decisions.OUTCOMES)}")
    decisions.decide_payments(call, given["customer"], given)
    return {}


def _payment_intent(call: Call, given: Body) -> Body:
    """{"payment_intent": id, "to": "succeeded" | "failed"}: an authentication or a debit comes to its end."""
    intent = call.get("payment_intent", given["payment_intent"])
    succeeds = {"succeeded": True, "failed": False}[given["to"]]
    if intent["status"] == "processing":
        (invoices.debit_succeeded if succeeds else invoices.debit_failed)(call, intent["id"])
    elif intent["status"] == "requires_action":
        method = call.get("payment_method", intent["payment_method"])
        if succeeds:
            paying.pay(call, {**intent, "next_action": None}, method)
        else:
            code = "payment_intent_authentication_failure"
            paying.fail_intent(call, {**intent, "next_action": None}, method, (code, code))
    else:
        raise ValueError(f"{intent['id']} is {intent['status']}")
    return call.get("payment_intent", intent["id"])


def _setup_intent(call: Call, given: Body) -> Body:
    """{"setup_intent": id, "method": "pm_card_visa"}: the customer fills in the form, or authenticates."""
    intent = call.get("setup_intent", given["setup_intent"])
    if given.get("method"):
        method = usable_method(call, given["method"])
        intent = {**intent, "payment_method": method["id"]}
        return setup_intents.confirm_setup(call, intent)
    return setup_intents.succeed_setup(call, intent)


def _charge(call: Call, given: Body) -> Body:
    """{"charge": id, "dispute": {...} | "warning": true | "refund": amount}: bank, network, dashboard."""
    charge = call.get("charge", given["charge"])
    if "dispute" in given:
        told = given["dispute"] or {}
        return disputes.open_dispute(call, charge, amount=told.get("amount"), is_inquiry=bool(told.get("inquiry")),
                                     reason=told.get("reason", "fraudulent"))  # fmt: skip
    if given.get("warning"):
        return disputes.warn(call, charge)
    return refunds.make_refund(call, charge, refunds.checked_amount(charge, given["refund"]))


def _dispute(call: Call, given: Body) -> Body:
    """{"dispute": id, "to": "won" | "lost"}: the bank has decided."""
    is_won = {"won": True, "lost": False}[given["to"]]
    return disputes.close_dispute(call, call.get("dispute", given["dispute"]), is_won=is_won,
                                  returns_fee=bool(given.get("returns_fee")))  # fmt: skip


def _payout(call: Call, given: Body) -> Body:
    """{"payout": id, "to": "paid" | "failed" | "canceled", "code": ...}: failed also after paid."""
    payout = call.get("payout", given["payout"])
    if given["to"] == "failed":
        return payouts.fail_payout(call, payout, given.get("code", "could_not_process"))
    if given["to"] == "canceled":
        return payouts.cancel_payout(call, payout)
    payouts.payout_arrives(call, payout["id"])
    return call.get("payout", payout["id"])


def _account(call: Call, given: Body) -> Body:
    """{"account": id, "to": "onboarded" | "restricted" | "deauthorized"} or {"account", "capability", "status"}."""
    account = call.get("account", given["account"])
    if "capability" in given:
        return accounts.set_capability(call, account, given["capability"], given["status"])
    if given["to"] == "onboarded":
        return accounts.onboard(call, account)
    if given["to"] == "deauthorized":
        return accounts.deauthorize(call, account)
    if given["to"] != "restricted":
        raise ValueError("to must be onboarded, restricted or deauthorized")
    return accounts.restrict(call, account, reason=given.get("reason", "requirements.past_due"),
                             due=list(given.get("due", ["individual.verification.document"])))  # fmt: skip


def _subscription(call: Call, given: Body) -> Body:
    """{"subscription": id, "to": state} or {"subscription": id, "renew": true}: its next period and invoice, paid."""
    subscription = call.get("subscription", given["subscription"])
    if not given.get("renew"):
        return subscriptions.set_status(call, subscription, given["to"])
    subscription = subscriptions.next_period(call, subscription)
    item = subscription["items"]["data"][0]
    invoice = invoices.seed_invoice(call, customer=subscription["customer"], subscription=subscription,
                                    amount=item["price"]["unit_amount"] * item["quantity"],
                                    currency=subscription["currency"])  # fmt: skip
    latest = call.get("subscription", subscription["id"])
    call.save({**latest, "latest_invoice": invoice["id"]}, "customer.subscription.updated")
    return _tried(call, invoice)


def _tried(call: Call, invoice: Body) -> Body:
    """Try to collect; a decline stays with the invoice."""
    try:
        return invoices.pay_invoice(call, invoice)
    except StripeError as error:
        if not error.keeps_effects:
            raise
        return call.get("invoice", invoice["id"])


def _invoice(call: Call, given: Body) -> Body:
    """{"invoice": id, "to": "paid" | "void" | "uncollectible"}: Stripe's own attempt, or staff in the dashboard."""
    invoice = call.get("invoice", given["invoice"])
    return (
        _tried(call, invoice) if given["to"] == "paid" else invoices.close_invoice(call, invoice, given["to"])
    )


def seed(call: Call, given: Body) -> Body:
    """{"subscription": {...}} or {"invoice": {...}}: objects that billing at Stripe would have made."""
    if "subscription" in given:
        return subscriptions.seed_subscription(call, **given["subscription"])
    told = dict(given["invoice"])
    subscription = call.get("subscription", told.pop("subscription")) if told.get("subscription") else None
    return invoices.seed_invoice(call, subscription=subscription, **told)


def _sweep(call: Call, given: Body) -> Body:
    """{"sweep": "usd"}: the automatic payout of everything available."""
    return payouts.sweep(call, given["sweep"]) or {}


_DECIDERS = {
    "customer": _customer, "payment_intent": _payment_intent, "setup_intent": _setup_intent, "charge": _charge,
    "dispute": _dispute, "payout": _payout, "account": _account, "sweep": _sweep,
    "subscription": _subscription, "invoice": _invoice,
}  # fmt: skip
