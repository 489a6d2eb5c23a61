"""Customers: made, changed, deleted, listed, searched by metadata or e-mail."""

from __future__ import annotations

import re

from sandbox.stripe.errors import NotExecuted
from sandbox.stripe.listing import Filter, limit_of, listed
from sandbox.stripe.parameters import paged
from sandbox.stripe.resources.payment_methods import attach, usable_method
from sandbox.stripe.routes import route
from sandbox.stripe.world import Body, Call, merged_metadata, new_id, refuse

_ADDRESS = "{city:str country:str line1:str line2:str postal_code:str state:str}"
_FIELDS = (
    f"address{_ADDRESS} balance:int business_name:str individual_name:str description:str email:str "
    "invoice_prefix:str invoice_settings{default_payment_method:str footer:str custom_fields:any "
    f"rendering_options:any}} metadata:map name:str phone:str preferred_locales:list shipping{{address{_ADDRESS} "
    "name:str! phone:str} tax_exempt:exempt|none|reverse"
)
_PLAIN = ("address", "description", "email", "name", "phone", "shipping", "preferred_locales", "tax_exempt")
_TERM = re.compile(
    r"""\s*(?:metadata\[(["'])(?P<key>[^"']+)\1\]|(?P<field>email|name))\s*:\s*(["'])(?P<value>[^"']*)\4\s*"""
)


def _blank(call: Call, id: str) -> Body:
    return {
        "id": id, "object": "customer", "address": None, "balance": 0, "created": call.now, "currency": None,
        "default_source": None, "delinquent": False, "description": None, "discount": None, "email": None,
        "invoice_prefix": id[-8:].upper(),
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None,
                             "rendering_options": None},
        "livemode": False, "metadata": {}, "name": None, "next_invoice_sequence": 1, "phone": None,
        "preferred_locales": [], "shipping": None, "tax_exempt": "none", "test_clock": None,
    }  # fmt: skip


def _change(call: Call, customer: Body) -> None:
    given = call.params
    for name in _PLAIN:
        if name in given:
            customer[name] = given[name] if given[name] != "" else None
    for name in ("balance", "invoice_prefix"):
        if given.get(name) is not None:
            customer[name] = given[name]
    if customer["email"] and "@" not in customer["email"]:
        raise refuse(f"Invalid email address: {customer['email']}", code="email_invalid", param="email")
    if "metadata" in given:
        customer["metadata"] = merged_metadata(customer["metadata"], given["metadata"])
    _change_invoice_settings(call, customer)


def _change_invoice_settings(call: Call, customer: Body) -> None:
    given = dict(call.params.get("invoice_settings") or {})
    method = given.get("default_payment_method")
    if method:
        attached = usable_method(call, method, param="invoice_settings[default_payment_method]")
        if attached["customer"] != customer["id"]:
            raise refuse(
                f"The customer does not have a payment method with the ID {method}. The payment method must be "
                "attached to the customer.",
                code="resource_missing", param="invoice_settings[default_payment_method]",
            )  # fmt: skip
        given["default_payment_method"] = attached["id"]
    settings = {name: None if value == "" else value for name, value in given.items()}
    customer["invoice_settings"] = {**customer["invoice_settings"], **settings}


def living_customer(call: Call, id: str | None, *, param: str = "customer") -> Body:
    """Return a customer that is not deleted. Raises resource_missing."""
    found = call.get("customer", id, param=param)
    if found.get("_deleted"):
        raise refuse(f"No such customer: '{id}'; it has been deleted.", code="resource_missing", param=param)
    return found


@route("POST", "/v1/customers", f"{_FIELDS} payment_method:str next_invoice_sequence:int")
def create(call: Call) -> Body:
    customer = _blank(call, new_id("cus", 14))
    method = call.params.get("payment_method")
    settings = call.params.pop("invoice_settings", None)
    _change(call, customer)
    call.add(customer, event="customer.created")
    if method:
        method = attach(call, usable_method(call, method, param="payment_method"), customer["id"])["id"]
    if settings:
        if settings.get("default_payment_method") == call.params.get("payment_method"):
            settings["default_payment_method"] = method
        call.params["invoice_settings"] = settings
        _change_invoice_settings(call, customer)
        call.world.store.save(customer)
    return customer


@route("GET", "/v1/customers", paged("created:range email:str"))
def index(call: Call) -> Body:
    living = (
        Filter()
        .sql("json_extract(body, '$._deleted') IS NULL")
        .between("created", call.params.get("created"))
    )
    return listed(call, "customer", "/v1/customers", living.equal("email", call.params.get("email")))


@route("GET", "/v1/customers/search", "query:str! limit:int page:str")
def search(call: Call) -> Body:
    """Terms of metadata, e-mail and name, joined by AND."""
    conditions = Filter().sql("json_extract(body, '$._deleted') IS NULL")
    for term in call.params["query"].split(" AND "):
        match = _TERM.fullmatch(term)
        if not match:
            raise NotExecuted(f"The query could not be understood: {term}", param="query")
        path = f'$.metadata."{match["key"]}"' if match["key"] else f"$.{match['field']}"
        conditions.sql("json_extract(body, ?) = ?", path, match["value"])
    if call.params.get("page"):
        conditions.sql("seq < ?", int(call.params["page"], 36))
    page = listed(call, "customer", "/v1/customers/search", conditions)
    last = page["data"][-1]["id"] if page["data"] else ""
    position = call.world.store.position(account=call.account, kind="customer", id=last) or 0
    return {**page, "object": "search_result", "next_page": _base36(position) if page["has_more"] else None,
            "_limit": limit_of(call)}  # fmt: skip


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"


@route("GET", "/v1/customers/{id}")
def retrieve(call: Call, id: str) -> Body:
    found = call.get("customer", id)
    return {"id": id, "object": "customer", "deleted": True} if found.get("_deleted") else found


@route("POST", "/v1/customers/{id}", f"{_FIELDS} default_source:str next_invoice_sequence:int")
def update(call: Call, id: str) -> Body:
    customer = living_customer(call, id, param="id")
    _change(call, customer)
    return call.save(customer, "customer.updated")


@route("DELETE", "/v1/customers/{id}")
def delete(call: Call, id: str) -> Body:
    customer = living_customer(call, id, param="id")
    call.emit("customer.deleted", customer)
    call.world.store.save({**customer, "_deleted": True})
    for method in call.world.store.select(
        account=call.account,
        kind="payment_method",
        where="AND json_extract(body, '$.customer') = ?",
        values=(id,),
    ):
        call.world.store.save({**method, "customer": None})
    return {"id": id, "object": "customer", "deleted": True}


@route("GET", "/v1/customers/{id}/payment_methods", paged("type:str allow_redisplay:str"))
def methods(call: Call, id: str) -> Body:
    living_customer(call, id, param="id")
    conditions = Filter().equal("customer", id).equal("type", call.params.get("type"))
    return listed(call, "payment_method", f"/v1/customers/{id}/payment_methods", conditions)


@route("GET", "/v1/customers/{id}/payment_methods/{method}")
def method_of(call: Call, id: str, method: str) -> Body:
    found = call.get("payment_method", method)
    if found["customer"] != id:
        raise refuse(f"No such payment method: '{method}'", code="resource_missing", param="payment_method")
    return found
