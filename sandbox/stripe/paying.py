"""What a confirmation, a capture and the passing of time do to a payment: charges, money, events, declines."""

from __future__ import annotations

from sandbox.stripe import decisions
from sandbox.stripe.cards import DECLINES, TestCard, card_of, declined
from sandbox.stripe.errors import StripeError
from sandbox.stripe.resources.charges import new_charge, settle_charge
from sandbox.stripe.resources.disputes import open_dispute, warn
from sandbox.stripe.resources.payment_methods import attach, usable_method
from sandbox.stripe.world import Body, Call, refuse

ASYNCHRONOUS_SECONDS = 60
FEE_LATER_SECONDS = 60


def confirm_intent(call: Call, intent: Body) -> Body:
    """Try to pay. Raises card_declined, authentication_required (off-session); both leave the intent open again."""
    method = _method(call, intent)
    intent = {**intent, "payment_method": method["id"], "last_payment_error": None, "next_action": None}
    if call.params.get("setup_future_usage"):
        intent["setup_future_usage"] = call.params["setup_future_usage"]
    card = card_of(method)
    decision = decisions.next_payment(call, intent["customer"])
    decline = decision.decline or card.decline
    if decline:
        raise fail_intent(call, intent, method, decline)
    if decision.authenticate or card.behaviour == "authenticate":
        return _ask_for_authentication(call, intent, method)
    if decision.asynchronous:
        return _begin(call, intent, method, fails=decision.asynchronous == "fails")
    return pay(call, intent, method, fee_later=decision.fee_later)


def is_off_session(call: Call) -> bool:
    """Say whether the customer is not there to authenticate."""
    return call.params.get("off_session") not in (None, "false")


def _method(call: Call, intent: Body) -> Body:
    name = call.params.get("payment_method") or intent["payment_method"]
    if not name:
        raise refuse(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
        )
    method = usable_method(call, name, param="payment_method")
    if method["customer"] and method["customer"] != intent["customer"]:
        raise refuse(
            f"The PaymentMethod {method['id']} belongs to another customer; supply it as `customer`.",
            param="payment_method",
        )
    return method


def fail_intent(call: Call, intent: Body, method: Body, decline: tuple[str, str]) -> StripeError:
    """Record a failed charge; returns the refusal to raise."""
    code, decline_code = decline
    message = DECLINES.get(decline_code, "Your card was declined.")
    charge = new_charge(call, intent, method, status="failed", captured=False)
    charge |= {"failure_code": code, "failure_message": message}
    charge["outcome"]["reason"] = decline_code
    call.add(charge, event="charge.failed")
    told = {"charge": charge["id"], "code": code, "decline_code": decline_code, "message": message,
            "type": "card_error", "payment_method": _shown(method)}  # fmt: skip
    intent = {**intent, "status": "requires_payment_method", "latest_charge": charge["id"],
              "last_payment_error": told, "payment_method": None, "processing": None}  # fmt: skip
    call.save(intent, "payment_intent.payment_failed")
    return declined(decline, more={"charge": charge["id"], "payment_intent": _shown(intent),
                                   "payment_method": _shown(method)})  # fmt: skip


def _shown(body: Body) -> Body:
    return {name: value for name, value in body.items() if not name.startswith("_")}


def _ask_for_authentication(call: Call, intent: Body, method: Body) -> Body:
    if is_off_session(call) or call.params.get("error_on_requires_action"):
        error = fail_intent(call, intent, method, ("authentication_required", "authentication_required"))
        raise error
    action = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
    return call.save(
        {**intent, "status": "requires_action", "next_action": action}, "payment_intent.requires_action"
    )


def _begin(call: Call, intent: Body, method: Body, *, fails: bool) -> Body:
    """Pay as a bank debit does: pending now, known later."""
    charge = call.add(
        new_charge(call, intent, method, status="pending", captured=True), event="charge.pending"
    )
    call.world.later(call.now + ASYNCHRONOUS_SECONDS, "payment_failed" if fails else "payment_succeeded",
                     account=call.account, subject=intent["id"])  # fmt: skip
    intent = {**intent, "status": "processing", "latest_charge": charge["id"]}
    return call.save(intent, "payment_intent.processing")


def pay(call: Call, intent: Body, method: Body, *, fee_later: bool = False) -> Body:
    """The payment goes through: charge, money, events, and what a test card brings along."""
    is_captured = intent["capture_method"] != "manual"
    charge = new_charge(call, intent, method, status="succeeded", captured=is_captured)
    if is_captured and not fee_later:
        charge = settle_charge(call, charge)
    elif is_captured:
        call.world.later(call.now + FEE_LATER_SECONDS, "fee", account=call.account, subject=charge["id"])
    call.add(charge, event="charge.succeeded")
    if intent["setup_future_usage"] and intent["customer"]:
        attach(call, method, intent["customer"])
    intent = {**intent, "latest_charge": charge["id"]}
    if not is_captured:
        intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
        return call.save(intent, "payment_intent.amount_capturable_updated")
    intent |= {"status": "succeeded", "amount_received": intent["amount"]}
    call.save(intent, "payment_intent.succeeded")
    _bring_along(call, charge, card_of(method))
    return intent


def _bring_along(call: Call, charge: Body, card: TestCard) -> None:
    if card.behaviour in ("dispute", "inquiry"):
        open_dispute(call, charge, is_inquiry=card.behaviour == "inquiry")
    if card.behaviour == "warning":
        warn(call, charge)


def capture_intent(call: Call, intent: Body, amount: int) -> Body:
    """Take an authorized amount, or a part of it; the rest is let go."""
    charge = call.get("charge", intent["latest_charge"])
    charge = settle_charge(call, {**charge, "captured": True, "amount_captured": amount})
    call.save(charge, "charge.captured")
    return call.save(
        {**intent, "status": "succeeded", "amount_capturable": 0, "amount_received": amount},
        "payment_intent.succeeded",
    )


# What falls due


def asynchronous_succeeded(call: Call, id: str) -> None:
    """A debit has gone through."""
    intent = call.get("payment_intent", id)
    if intent["status"] != "processing":
        return
    charge = call.get("charge", intent["latest_charge"])
    paid = {"status": "succeeded", "paid": True, "captured": True, "amount_captured": charge["amount"]}
    call.save(settle_charge(call, {**charge, **paid}), "charge.succeeded")
    call.save(
        {**intent, "status": "succeeded", "amount_received": intent["amount"]}, "payment_intent.succeeded"
    )


def asynchronous_failed(call: Call, id: str) -> None:
    """A debit has come back."""
    intent = call.get("payment_intent", id)
    if intent["status"] != "processing":
        return
    charge, message = call.get("charge", intent["latest_charge"]), DECLINES["insufficient_funds"]
    call.save({**charge, "status": "failed", "failure_code": "card_declined", "failure_message": message},
              "charge.failed")  # fmt: skip
    told = {"charge": charge["id"], "code": "card_declined", "decline_code": "insufficient_funds",
            "message": message, "type": "card_error"}  # fmt: skip
    call.save({**intent, "status": "requires_payment_method", "last_payment_error": told, "payment_method": None},
              "payment_intent.payment_failed")  # fmt: skip


def fee_is_known(call: Call, id: str) -> None:
    """The fee of an asynchronously captured charge is known now."""
    charge = call.get("charge", id)
    if charge["balance_transaction"] is None:
        call.save(settle_charge(call, charge), "charge.updated")
