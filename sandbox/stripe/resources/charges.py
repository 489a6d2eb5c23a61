"""Charges: made by payment intents; read, listed, annotated."""

from __future__ import annotations

from sandbox.stripe.cards import card_of
from sandbox.stripe.listing import Filter, as_list, listed
from sandbox.stripe.money import fee_of, move
from sandbox.stripe.parameters import paged
from sandbox.stripe.rendering import includable
from sandbox.stripe.routes import route
from sandbox.stripe.world import Body, Call, merged_metadata, new_id

_HIDDEN = ("fingerprint", "checks", "display_brand", "generated_from", "networks", "three_d_secure_usage")


def new_charge(call: Call, intent: Body, method: Body, *, status: str, captured: bool) -> Body:
    """Return a charge of the intent, not yet stored; `status` is succeeded, pending or failed."""
    id = new_id("ch")
    return {
        "id": id, "object": "charge", "amount": intent["amount"],
        "amount_captured": intent["amount"] if captured and status == "succeeded" else 0, "amount_refunded": 0,
        "application": None, "application_fee": None, "application_fee_amount": None, "balance_transaction": None,
        "billing_details": method["billing_details"], "calculated_statement_descriptor": "COUNTERFOIL",
        "captured": captured and status == "succeeded", "created": call.now, "currency": intent["currency"],
        "customer": intent["customer"], "description": intent["description"], "disputed": False,
        "failure_balance_transaction": None, "failure_code": None, "failure_message": None, "fraud_details": {},
        "livemode": False, "metadata": dict(intent["metadata"]), "on_behalf_of": None,
        "outcome": _outcome(status), "paid": status == "succeeded", "payment_intent": intent["id"],
        "payment_method": method["id"], "payment_method_details": _details(intent, method),
        "presentment_details": None, "radar_options": {}, "receipt_email": intent["receipt_email"],
        "receipt_number": None, "receipt_url": None, "refunded": False, "review": None,
        "shipping": intent["shipping"], "source_transfer": None, "statement_descriptor": None,
        "statement_descriptor_suffix": None, "status": status, "transfer_data": None,
        "transfer_group": intent["transfer_group"], "_card": method.get("_number"), "_invoice": intent.get("_invoice"),
    }  # fmt: skip


def _outcome(status: str) -> Body:
    is_good = status != "failed"
    return {
        "advice_code": None, "network_advice_code": None, "network_decline_code": None if is_good else "01",
        "network_status": "approved_by_network" if is_good else "declined_by_network", "reason": None,
        "risk_level": "normal", "risk_score": 20,
        "seller_message": "Payment complete." if is_good else "The bank did not return any further details.",
        "type": "authorized" if is_good else "issuer_declined",
    }  # fmt: skip


def _details(intent: Body, method: Body) -> Body:
    known = method["card"]
    card = {
        "amount_authorized": intent["amount"], "authorization_code": None, "brand": known["brand"],
        "checks": known["checks"], "country": known["country"], "exp_month": known["exp_month"],
        "exp_year": known["exp_year"], "fingerprint": known["fingerprint"], "funding": known["funding"],
        "installments": None, "last4": known["last4"], "mandate": None, "network": known["brand"],
        "network_token": {"used": False}, "network_transaction_id": None, "regulated_status": "unregulated",
        "three_d_secure": None, "wallet": None,
    }  # fmt: skip
    return {"type": "card", "card": card}


def settle_charge(call: Call, charge: Body) -> Body:
    """Give a captured charge its balance transaction: what came, less the fee, available two days later."""
    at_once = card_of({"_number": charge["_card"]}).behaviour == "available_at_once"
    amount = charge["amount_captured"]
    moved = move(
        call, amount=amount, currency=charge["currency"], type="charge", category="charge", source=charge["id"],
        fee=fee_of(call.world, amount),
        available_on=call.now if at_once else call.now + call.world.settings.available_after,
        description=charge["description"],
    )  # fmt: skip
    return {**charge, "balance_transaction": moved["id"]}


@includable("charge", "refunds")
def refunds_of(call: Call, charge: Body) -> Body:
    rows = call.world.store.select(
        account=call.account,
        kind="refund",
        where="AND json_extract(body, '$.charge') = ?",
        values=(charge["id"],),
    )
    return as_list(rows, url=f"/v1/charges/{charge['id']}/refunds")


@route("GET", "/v1/charges", paged("created:range customer:str payment_intent:str transfer_group:str"))
def index(call: Call) -> Body:
    given = call.params
    conditions = Filter().between("created", given.get("created"))
    for name in ("customer", "payment_intent", "transfer_group"):
        conditions.equal(name, given.get(name))
    return listed(call, "charge", "/v1/charges", conditions)


@route("GET", "/v1/charges/{id}")
def retrieve(call: Call, id: str) -> Body:
    return call.get("charge", id)


@route("POST", "/v1/charges/{id}", "description:str metadata:map receipt_email:str transfer_group:str")
def update(call: Call, id: str) -> Body:
    charge = call.get("charge", id)
    for name in ("description", "receipt_email", "transfer_group"):
        if name in call.params:
            charge[name] = call.params[name] or None
    if "metadata" in call.params:
        charge["metadata"] = merged_metadata(charge["metadata"], call.params["metadata"])
    return call.save(charge, "charge.updated")
