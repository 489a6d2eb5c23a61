"""Disputes and early fraud warnings. The control API raises and closes them; evidence may be submitted."""

from __future__ import annotations

from sandbox.stripe.listing import Filter, listed
from sandbox.stripe.money import DISPUTE_FEE, move
from sandbox.stripe.parameters import paged
from sandbox.stripe.routes import route
from sandbox.stripe.world import Body, Call, merged_metadata, new_id, refuse

_EVIDENCE_SECONDS = 7 * 86_400
_TEXTS = (
    "access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure",
    "cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name",
    "customer_purchase_ip", "customer_signature", "duplicate_charge_documentation", "duplicate_charge_explanation",
    "duplicate_charge_id", "product_description", "receipt", "refund_policy", "refund_policy_disclosure",
    "refund_refusal_explanation", "service_date", "service_documentation", "shipping_address", "shipping_carrier",
    "shipping_date", "shipping_documentation", "shipping_tracking_number", "uncategorized_file",
    "uncategorized_text",
)  # fmt: skip
_CLOSED = ("won", "lost", "warning_closed", "prevented")


def open_dispute(call: Call, charge: Body, *, amount: int | None = None, reason: str = "fraudulent",
                 is_inquiry: bool = False) -> Body:  # fmt: skip
    """The cardholder disputes the charge: amount and fee leave the balance at once, but not for an inquiry.
    Raises a refusal when the charge has nothing to dispute."""
    if charge["status"] != "succeeded" or charge["disputed"]:
        raise refuse(f"Charge {charge['id']} cannot be disputed.")
    evidence: Body = {**dict.fromkeys(_TEXTS), "enhanced_evidence": {}}
    dispute = {
        "id": new_id("dp"), "object": "dispute", "amount": charge["amount_captured"] if amount is None else amount,
        "balance_transactions": [], "charge": charge["id"], "created": call.now, "currency": charge["currency"],
        "enhanced_eligibility_types": [], "evidence": evidence,
        "evidence_details": {"due_by": call.now + _EVIDENCE_SECONDS, "enhanced_eligibility": {},
                             "has_evidence": False, "past_due": False, "submission_count": 0},
        "is_charge_refundable": is_inquiry, "livemode": False, "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {"card": {"brand": charge["payment_method_details"]["card"]["brand"],
                                            "case_type": "inquiry" if is_inquiry else "chargeback",
                                            "network_reason_code": "10.4"}, "type": "card"},
        "reason": reason, "status": "warning_needs_response" if is_inquiry else "needs_response",
    }  # fmt: skip
    if not is_inquiry:
        dispute["balance_transactions"] = [_withdraw(call, dispute)]
    call.add(dispute, event="charge.dispute.created")
    if not is_inquiry:
        call.emit("charge.dispute.funds_withdrawn", dispute)
    call.save({**charge, "disputed": True, "_is_refundable": is_inquiry}, "charge.updated")
    return dispute


def _withdraw(call: Call, dispute: Body) -> Body:
    return move(call, amount=-dispute["amount"], currency=dispute["currency"], type="adjustment", category="dispute",
                source=dispute["id"], fee=DISPUTE_FEE,
                description=f"Chargeback withdrawal for {dispute['charge']}")  # fmt: skip


def close_dispute(call: Call, dispute: Body, *, is_won: bool, returns_fee: bool = False) -> Body:
    """The bank has decided; won brings the amount back. Raises a refusal when it is closed."""
    if dispute["status"] in _CLOSED:
        raise refuse(f"Dispute {dispute['id']} is closed.")
    if dispute["status"].startswith("warning"):
        return call.save({**dispute, "status": "warning_closed"}, "charge.dispute.closed")
    closed = {**dispute, "status": "won" if is_won else "lost", "is_charge_refundable": False}
    if is_won:
        back = move(call, amount=dispute["amount"], currency=dispute["currency"], type="adjustment",
                    category="dispute_reversal", source=dispute["id"], fee=-DISPUTE_FEE if returns_fee else 0,
                    description=f"Chargeback reversal for {dispute['charge']}")  # fmt: skip
        closed["balance_transactions"] = [*dispute["balance_transactions"], back]
        return call.save(closed, "charge.dispute.funds_reinstated", "charge.dispute.closed")
    return call.save(closed, "charge.dispute.closed")


def warn(call: Call, charge: Body) -> Body:
    """The card's network warns of fraud."""
    return call.add({
        "id": new_id("issfr"), "object": "radar.early_fraud_warning", "actionable": not charge["refunded"],
        "charge": charge["id"], "created": call.now, "fraud_type": "unauthorized_use_of_card", "livemode": False,
        "payment_intent": charge["payment_intent"],
    }, event="radar.early_fraud_warning.created")  # fmt: skip


@route("GET", "/v1/disputes", paged("charge:str payment_intent:str created:range"))
def index(call: Call) -> Body:
    return _listed(call, "dispute", "/v1/disputes")


def _listed(call: Call, kind: str, url: str) -> Body:
    given = call.params
    conditions = Filter().between("created", given.get("created")).equal("charge", given.get("charge"))
    return listed(call, kind, url, conditions.equal("payment_intent", given.get("payment_intent")))


@route("GET", "/v1/disputes/{id}")
def retrieve(call: Call, id: str) -> Body:
    return call.get("dispute", id)


@route(
    "POST",
    "/v1/disputes/{id}",
    f"evidence{{{' '.join(f'{name}:str' for name in _TEXTS)}}} metadata:map submit:bool",
)
def update(call: Call, id: str) -> Body:
    dispute = call.get("dispute", id)
    given = call.params
    if dispute["status"] in _CLOSED:
        raise refuse("This dispute is already closed.", code="dispute_closed")
    if "metadata" in given:
        dispute["metadata"] = merged_metadata(dispute["metadata"], given["metadata"])
    if given.get("evidence"):
        dispute["evidence"] = {**dispute["evidence"], **given["evidence"]}
        dispute["evidence_details"] = {**dispute["evidence_details"], "has_evidence": True}
    if given.get("submit", True) and given.get("evidence"):
        count = dispute["evidence_details"]["submission_count"] + 1
        dispute["evidence_details"] = {**dispute["evidence_details"], "submission_count": count}
        prefix = "warning_" if dispute["status"].startswith("warning") else ""
        dispute["status"] = f"{prefix}under_review"
    return call.save(dispute, "charge.dispute.updated")


@route("POST", "/v1/disputes/{id}/close")
def close(call: Call, id: str) -> Body:
    return close_dispute(call, call.get("dispute", id), is_won=False)


@route("GET", "/v1/radar/early_fraud_warnings", paged("charge:str payment_intent:str created:range"))
def warnings(call: Call) -> Body:
    return _listed(call, "radar.early_fraud_warning", "/v1/radar/early_fraud_warnings")


@route("GET", "/v1/radar/early_fraud_warnings/{id}")
def warning(call: Call, id: str) -> Body:
    return call.get("radar.early_fraud_warning", id)
