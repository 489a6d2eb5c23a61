"""What the control API may decide: what customers, banks and Stripe itself do in the real world."""

from __future__ import annotations

from sandbox.stripe import decisions, paying
from sandbox.stripe.resources import accounts, disputes, payouts, refunds, setup_intents
from sandbox.stripe.world import Body, Call


def decide(call: Call, given: Body) -> Body:
    """Do one thing, named by its subject. Raises KeyError, ValueError for what is not understood."""
    call = call.on(given.get("on") or "")
    for subject, decider in _DECIDERS.items():
        if subject in given:
            return decider(call, given)
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
        (paying.asynchronous_succeeded if succeeds else paying.asynchronous_failed)(call, intent["id"])
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
        method = setup_intents.usable_method(call, given["method"])
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


def _sweep(call: Call, given: Body) -> Body:
    """{"sweep": "usd"}: the automatic payout of everything available."""
    return payouts.sweep(call, given["sweep"]) or {}


_DECIDERS = {
    "customer": _customer, "payment_intent": _payment_intent, "setup_intent": _setup_intent, "charge": _charge,
    "dispute": _dispute, "payout": _payout, "account": _account, "sweep": _sweep,
}  # fmt: skip
