"""Payment methods: made from public test values, kept at a customer, let go again."""

from __future__ import annotations

from hashlib import sha256

from sandbox.stripe.cards import TestCard, card_of, declined, named_card, number_card
from sandbox.stripe.listing import Filter, listed
from sandbox.stripe.parameters import paged
from sandbox.stripe.routes import route
from sandbox.stripe.world import Body, Call, merged_metadata, new_id, refuse

_BILLING = "billing_details{address:any email:str name:str phone:str tax_id:str}"


def _card(card: TestCard, *, month: int, year: int) -> Body:
    return {
        "brand": card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US", "display_brand": card.brand, "exp_month": month, "exp_year": year,
        "fingerprint": sha256(card.number.encode()).hexdigest()[:16], "funding": "credit", "generated_from": None,
        "last4": card.number[-4:], "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated", "three_d_secure_usage": {"supported": True}, "wallet": None,
    }  # fmt: skip


def new_method(call: Call, card: TestCard, *, month: int = 12, year: int = 2034) -> Body:
    """Store a method that is attached to nobody."""
    address = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    return call.add({
        "id": new_id("pm"), "object": "payment_method", "allow_redisplay": "unspecified",
        "billing_details": {"address": address, "email": None, "name": None, "phone": None, "tax_id": None},
        "card": _card(card, month=month, year=year), "created": call.now, "customer": None, "livemode": False,
        "metadata": {}, "type": "card", "_number": card.number,
    })  # fmt: skip


def usable_method(call: Call, name: str, *, param: str = "id") -> Body:
    """Return a method by id, or a new one for a public test value. Raises resource_missing."""
    found = call.find(name)
    if found is not None and found["object"] == "payment_method":
        return found
    card = named_card(name)
    return new_method(call, card) if card else call.get("payment_method", name, param=param)


def attach(call: Call, method: Body, customer: str) -> Body:
    """Keep the method at the customer. Raises card_declined for cards that cannot be kept."""
    if method["customer"] not in (None, customer):
        raise refuse(
            "The payment method you provided has already been attached to a customer.", param="customer"
        )
    card = card_of(method)
    if card.decline and not card.attaches:
        raise declined(card.decline, more={"payment_method": method["id"]})
    if method["customer"] == customer:
        return method
    return call.save({**method, "customer": customer}, "payment_method.attached")


@route(
    "POST",
    "/v1/payment_methods",
    f"type:card card{{number:str exp_month:int exp_year:int cvc:str token:str networks:any}} {_BILLING} metadata:map "
    "allow_redisplay:always|limited|unspecified",
)
def create(call: Call) -> Body:
    given = call.params.get("card") or {}
    card = named_card(given["token"]) if given.get("token") else number_card(given.get("number") or "")
    if card is None:
        raise refuse("Your card number is incorrect.", code="incorrect_number", param="card[number]")
    method = new_method(call, card, month=given.get("exp_month") or 12, year=given.get("exp_year") or 2034)
    _change(call, method)
    call.world.store.save(method)
    return method


def _change(call: Call, method: Body) -> None:
    given = call.params
    if "metadata" in given:
        method["metadata"] = merged_metadata(method["metadata"], given["metadata"])
    details = {name: value or None for name, value in (given.get("billing_details") or {}).items()}
    method["billing_details"] = {**method["billing_details"], **details}
    if given.get("allow_redisplay"):
        method["allow_redisplay"] = given["allow_redisplay"]


@route("GET", "/v1/payment_methods", paged("customer:str type:str allow_redisplay:str"))
def index(call: Call) -> Body:
    conditions = (
        Filter().equal("customer", call.params.get("customer")).equal("type", call.params.get("type"))
    )
    return listed(call, "payment_method", "/v1/payment_methods", conditions)


@route("GET", "/v1/payment_methods/{id}")
def retrieve(call: Call, id: str) -> Body:
    return usable_method(call, id)


@route(
    "POST",
    "/v1/payment_methods/{id}",
    f"{_BILLING} card{{exp_month:int exp_year:int}} metadata:map allow_redisplay:always|limited|unspecified",
)
def update(call: Call, id: str) -> Body:
    method = call.get("payment_method", id)
    if method["customer"] is None:
        raise refuse("You must save this PaymentMethod to a customer before you can update it.")
    _change(call, method)
    method["card"] = {**method["card"], **(call.params.get("card") or {})}
    return call.save(method, "payment_method.updated")


@route("POST", "/v1/payment_methods/{id}/attach", "customer:str!")
def attach_call(call: Call, id: str) -> Body:
    customer = call.get("customer", call.params["customer"], param="customer")
    return attach(call, usable_method(call, id), customer["id"])


@route("POST", "/v1/payment_methods/{id}/detach")
def detach(call: Call, id: str) -> Body:
    method = call.get("payment_method", id)
    if method["customer"] is None:
        raise refuse(
            "The payment method you provided is not attached to a customer so detachment is impossible."
        )
    _forget_default(call, method)
    return call.save({**method, "customer": None}, "payment_method.detached")


def _forget_default(call: Call, method: Body) -> None:
    customer = call.find(method["customer"])
    if customer and customer["invoice_settings"]["default_payment_method"] == method["id"]:
        settings = {**customer["invoice_settings"], "default_payment_method": None}
        call.save({**customer, "invoice_settings": settings}, "customer.updated")
