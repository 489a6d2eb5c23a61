"""Transfers to connected accounts and their reversals."""

from __future__ import annotations

from sandbox.stripe.errors import StripeError
from sandbox.stripe.listing import Filter, as_list, listed
from sandbox.stripe.money import available, move
from sandbox.stripe.parameters import paged
from sandbox.stripe.routes import route
from sandbox.stripe.world import PLATFORM, Body, Call, merged_metadata, new_id, refuse


def _destination(call: Call) -> Body:
    account = call.get("account", call.params["destination"], param="destination")
    if account["capabilities"].get("transfers") != "active":
        raise refuse(
            "Your destination account needs to have at least one of the following capabilities enabled: transfers",
            code="insufficient_capabilities_for_transfer", param="destination",
        )  # fmt: skip
    return account


def _check_funds(call: Call, amount: int, currency: str) -> int:
    """When the money becomes available to the destination. Raises balance_insufficient, or a refusal when the
    transfers of a charge would exceed it."""
    source = call.params.get("source_transaction")
    if not source:
        if amount > available(call, currency):
            raise refuse(
                "You have insufficient available funds in your Stripe account.", code="balance_insufficient"
            )
        return call.now
    charge = call.get("charge", source, param="source_transaction")
    if charge["currency"] != currency or charge["status"] != "succeeded":
        raise refuse("The source transaction must be a successful charge in the same currency.",
                     param="source_transaction")  # fmt: skip
    sent = sum(one["amount"] for one in call.world.store.select(
        account=call.account, kind="transfer", where="AND json_extract(body, '$.source_transaction') = ?",
        values=(source,)))  # fmt: skip
    if sent + amount > charge["amount_captured"]:
        raise refuse(
            "Transfers using this transaction as a source must not exceed the source amount.", param="amount"
        )
    moved = call.find(charge["balance_transaction"])
    return max(call.now, moved["available_on"]) if moved else call.now + call.world.settings.available_after


@route(
    "POST",
    "/v1/transfers",
    "amount:int! currency:str! destination:str! description:str metadata:map source_transaction:str "
    "source_type:bank_account|card|fpx transfer_group:str",
)
def create(call: Call) -> Body:
    given, currency = call.params, call.params["currency"].lower()
    if given["amount"] < 1:
        raise refuse(
            "This value must be greater than or equal to 1.", code="parameter_invalid_integer", param="amount"
        )
    account = _destination(call)
    available_on = _check_funds(call, given["amount"], currency)
    id = new_id("tr")
    moved = move(call, amount=-given["amount"], currency=currency, type="transfer", category="transfer", source=id,
                 available_on=available_on, description=given.get("description") or None)  # fmt: skip
    payment = _arrive(call.on(account["id"]), id, given["amount"], currency, available_on)
    transfer = {
        "id": id, "object": "transfer", "amount": given["amount"], "amount_reversed": 0,
        "balance_transaction": moved["id"], "created": call.now, "currency": currency,
        "description": given.get("description") or None, "destination": account["id"],
        "destination_payment": payment["id"], "livemode": False,
        "metadata": merged_metadata({}, given.get("metadata")),
        "reversals": as_list([], url=f"/v1/transfers/{id}/reversals"), "reversed": False,
        "source_transaction": given.get("source_transaction") or None,
        "source_type": given.get("source_type") or "card", "transfer_group": given.get("transfer_group") or None,
    }  # fmt: skip
    return call.add(transfer, event="transfer.created")


def _arrive(there: Call, transfer: str, amount: int, currency: str, available_on: int) -> Body:
    """The payment that the transfer is at the connected account."""
    id = new_id("py")
    moved = move(there, amount=amount, currency=currency, type="payment", category="charge", source=id,
                 available_on=available_on)  # fmt: skip
    address = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    payment = {
        "id": id, "object": "charge", "amount": amount, "amount_captured": amount, "amount_refunded": 0,
        "application": None, "application_fee": None, "application_fee_amount": None,
        "balance_transaction": moved["id"],
        "billing_details": {"address": address, "email": None, "name": None, "phone": None, "tax_id": None},
        "calculated_statement_descriptor": None, "captured": True, "created": there.now, "currency": currency,
        "customer": None, "description": None, "disputed": False, "failure_balance_transaction": None,
        "failure_code": None, "failure_message": None, "fraud_details": {}, "livemode": False, "metadata": {},
        "on_behalf_of": None, "outcome": None, "paid": True, "payment_intent": None, "payment_method": None,
        "payment_method_details": {"type": "stripe_account", "stripe_account": {}}, "receipt_email": None,
        "receipt_number": None, "receipt_url": None, "refunded": False, "review": None, "shipping": None,
        "source_transfer": transfer, "statement_descriptor": None, "statement_descriptor_suffix": None,
        "status": "succeeded", "transfer_data": None, "transfer_group": None, "_card": None,
    }  # fmt: skip
    return there.add(payment, event="payment.created")


@route("GET", "/v1/transfers", paged("created:range destination:str transfer_group:str"))
def index(call: Call) -> Body:
    given = call.params
    conditions = (
        Filter().between("created", given.get("created")).equal("destination", given.get("destination"))
    )
    return listed(
        call, "transfer", "/v1/transfers", conditions.equal("transfer_group", given.get("transfer_group"))
    )


@route("GET", "/v1/transfers/{id}")
def retrieve(call: Call, id: str) -> Body:
    return call.get("transfer", id)


@route("POST", "/v1/transfers/{id}", "description:str metadata:map")
def update(call: Call, id: str) -> Body:
    transfer = call.get("transfer", id)
    if "description" in call.params:
        transfer["description"] = call.params["description"] or None
    if "metadata" in call.params:
        transfer["metadata"] = merged_metadata(transfer["metadata"], call.params["metadata"])
    return call.save(transfer, "transfer.updated")


@route(
    "POST",
    "/v1/transfers/{id}/reversals",
    "amount:int description:str metadata:map refund_application_fee:bool",
)
def reverse(call: Call, id: str) -> Body:
    transfer = call.get("transfer", id)
    left = transfer["amount"] - transfer["amount_reversed"]
    amount = left if call.params.get("amount") is None else call.params["amount"]
    if left == 0:
        raise refuse("The transfer has already been fully reversed.", code="transfer_already_reversed")
    if not 1 <= amount <= left:
        raise refuse(f"The maximum amount that can be reversed is {left}.", param="amount")
    there = call.on(transfer["destination"])
    _check_there(there, amount, transfer["currency"])
    return _reverse(call, there, transfer, amount)


def _check_there(there: Call, amount: int, currency: str) -> None:
    account = there.on(PLATFORM).get("account", there.account, param="destination")
    if account["controller"]["losses"]["payments"] == "application":
        return  # the platform bears it: the account may go below zero
    if amount > available(there, currency):
        raise StripeError(
            "Insufficient funds in the connected account for this reversal.", code="balance_insufficient"
        )


def _reverse(call: Call, there: Call, transfer: Body, amount: int) -> Body:
    id = new_id("trr")
    currency = transfer["currency"]
    moved = move(
        call,
        amount=amount,
        currency=currency,
        type="transfer_refund",
        category="transfer_reversal",
        source=id,
    )
    move(there, amount=-amount, currency=currency, type="payment_refund", category="refund",
         source=transfer["destination_payment"])  # fmt: skip
    payment = there.get("charge", transfer["destination_payment"])
    refunded = payment["amount_refunded"] + amount
    there.save(
        {**payment, "amount_refunded": refunded, "refunded": refunded == payment["amount"]}, "charge.refunded"
    )
    reversal = call.add({
        "id": id, "object": "transfer_reversal", "amount": amount, "balance_transaction": moved["id"],
        "created": call.now, "currency": currency, "destination_payment_refund": None,
        "metadata": merged_metadata({}, call.params.get("metadata")), "source_refund": None,
        "transfer": transfer["id"],
    })  # fmt: skip
    reversed_amount = transfer["amount_reversed"] + amount
    data = [reversal, *transfer["reversals"]["data"]]
    call.save({**transfer, "amount_reversed": reversed_amount, "reversed": reversed_amount == transfer["amount"],
               "reversals": {**transfer["reversals"], "data": data[:10], "has_more": len(data) > 10}},
              "transfer.reversed")  # fmt: skip
    return reversal


@route("GET", "/v1/transfers/{id}/reversals", paged())
def reversals(call: Call, id: str) -> Body:
    call.get("transfer", id)
    return listed(call, "transfer_reversal", f"/v1/transfers/{id}/reversals", Filter().equal("transfer", id))


@route("GET", "/v1/transfers/{id}/reversals/{reversal}")
def reversal(call: Call, id: str, reversal: str) -> Body:
    return call.get("transfer_reversal", reversal)
