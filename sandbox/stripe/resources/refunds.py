"""Refunds of charges: whole, partial, several; some that wait and some that fail."""

from __future__ import annotations

from sandbox.stripe.cards import card_of
from sandbox.stripe.listing import Filter, listed
from sandbox.stripe.money import move
from sandbox.stripe.parameters import paged
from sandbox.stripe.routes import route
from sandbox.stripe.world import Body, Call, merged_metadata, new_id, refuse

SETTLE_SECONDS = 60


def _charge(call: Call) -> Body:
    given = call.params
    if given.get("charge"):
        return call.get("charge", given["charge"], param="charge")
    if not given.get("payment_intent"):
        raise refuse("One of the following params should be provided for this request: payment_intent or charge.",
                     code="parameter_missing", param="payment_intent")  # fmt: skip
    intent = call.get("payment_intent", given["payment_intent"], param="payment_intent")
    if intent["status"] != "succeeded":
        raise refuse(f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
                     code="payment_intent_unexpected_state")  # fmt: skip
    return call.get("charge", intent["latest_charge"], param="payment_intent")


def checked_amount(charge: Body, amount: int | None) -> int:
    """Return the amount to refund; None is what is left. Raises charge_not_refundable, charge_already_refunded."""
    if charge["status"] != "succeeded" or not charge["captured"]:
        raise refuse(
            f"Charge {charge['id']} has not been captured or did not succeed.", code="charge_not_refundable"
        )
    left = charge["amount_captured"] - charge["amount_refunded"]
    if charge["disputed"] and not charge.get("_is_refundable"):
        raise refuse(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    if left <= 0:
        raise refuse(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if amount is not None and not 1 <= amount <= left:
        raise refuse(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", param="amount"
        )
    return left if amount is None else amount


@route(
    "POST",
    "/v1/refunds",
    "charge:str payment_intent:str amount:int metadata:map reason:duplicate|fraudulent|requested_by_customer "
    "instructions_email:str",
)
def create(call: Call) -> Body:
    charge = _charge(call)
    return make_refund(call, charge, checked_amount(charge, call.params.get("amount")))


def make_refund(call: Call, charge: Body, amount: int) -> Body:
    """Give an amount back; also what the dashboard does."""
    card = card_of({"_number": charge["_card"]})
    is_pending = card.behaviour == "refund_pending"
    refund = {
        "id": new_id("re"), "object": "refund", "amount": amount, "balance_transaction": None, "charge": charge["id"],
        "created": call.now, "currency": charge["currency"],
        "destination_details": {"type": "card", "card": {"reference_status": "pending", "reference_type":
                                "acquirer_reference_number", "type": "refund"}},
        "metadata": merged_metadata({}, call.params.get("metadata")), "payment_intent": charge["payment_intent"],
        "reason": call.params.get("reason"), "receipt_number": None, "source_transfer_reversal": None,
        "status": "pending" if is_pending else "succeeded", "transfer_reversal": None,
    }  # fmt: skip
    moved = move(call, amount=-amount, currency=charge["currency"], type="refund", category="refund",
                 source=refund["id"], description="REFUND FOR CHARGE")  # fmt: skip
    refund["balance_transaction"] = moved["id"]
    call.add(refund, event="refund.created")
    refunded = charge["amount_refunded"] + amount
    is_whole = refunded == charge["amount_captured"]
    call.save({**charge, "amount_refunded": refunded, "refunded": is_whole}, "charge.refunded")
    if card.behaviour in ("refund_pending", "refund_fails"):
        what = "refund_succeeded" if is_pending else "refund_failed"
        call.world.later(call.now + SETTLE_SECONDS, what, account=call.account, subject=refund["id"])
    return refund


def refund_succeeded(call: Call, id: str) -> None:
    """A pending refund has gone through."""
    refund = call.get("refund", id)
    if refund["status"] == "pending":
        call.save({**refund, "status": "succeeded"}, "refund.updated", "charge.refund.updated")


def refund_failed(call: Call, id: str) -> None:
    """The bank has not taken the refund: the money comes back, the charge is not refunded any more."""
    refund = call.get("refund", id)
    if refund["status"] not in ("pending", "succeeded"):
        return
    moved = move(call, amount=refund["amount"], currency=refund["currency"], type="refund_failure",
                 category="refund_failure", source=refund["id"], description="REFUND FAILURE")  # fmt: skip
    failed = {"status": "failed", "failure_reason": "expired_or_canceled_card",
              "failure_balance_transaction": moved["id"]}  # fmt: skip
    call.save({**refund, **failed}, "refund.updated", "refund.failed", "charge.refund.updated")
    charge = call.get("charge", refund["charge"])
    left = charge["amount_refunded"] - refund["amount"]
    call.save({**charge, "amount_refunded": left, "refunded": False}, "charge.updated")


@route("GET", "/v1/refunds", paged("charge:str payment_intent:str created:range"))
def index(call: Call) -> Body:
    given = call.params
    conditions = Filter().between("created", given.get("created")).equal("charge", given.get("charge"))
    return listed(
        call, "refund", "/v1/refunds", conditions.equal("payment_intent", given.get("payment_intent"))
    )


@route("GET", "/v1/refunds/{id}")
def retrieve(call: Call, id: str) -> Body:
    return call.get("refund", id)


@route("POST", "/v1/refunds/{id}", "metadata:map")
def update(call: Call, id: str) -> Body:
    refund = call.get("refund", id)
    metadata = merged_metadata(refund["metadata"], call.params.get("metadata"))
    return call.save({**refund, "metadata": metadata}, "refund.updated", "charge.refund.updated")


@route("POST", "/v1/refunds/{id}/cancel")
def cancel(call: Call, id: str) -> Body:
    raise refuse("Only refunds that require action can be canceled; this one does not.")
