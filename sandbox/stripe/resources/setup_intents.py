"""Setup intents: how a customer leaves a payment method for later."""

from __future__ import annotations

from sandbox.stripe.cards import card_of, declined
from sandbox.stripe.listing import Filter, listed
from sandbox.stripe.parameters import paged
from sandbox.stripe.resources.customers import living_customer
from sandbox.stripe.resources.payment_methods import attach, usable_method
from sandbox.stripe.routes import route
from sandbox.stripe.world import Body, Call, merged_metadata, new_id, refuse, secretly

_FIELDS = "customer:str description:str metadata:map payment_method:str payment_method_types:list"
_CONFIRM = "return_url:str mandate_data:any payment_method_options:any use_stripe_sdk:bool"


def _change(call: Call, intent: Body) -> None:
    given = call.params
    for name in ("description", "payment_method_types"):
        if name in given:
            intent[name] = given[name] or None
    if "metadata" in given:
        intent["metadata"] = merged_metadata(intent["metadata"], given["metadata"])
    if given.get("customer"):
        intent["customer"] = living_customer(call, given["customer"])["id"]
    if given.get("payment_method"):
        intent["payment_method"] = usable_method(call, given["payment_method"], param="payment_method")["id"]
        intent["status"] = "requires_confirmation"


@route(
    "POST",
    "/v1/setup_intents",
    f"{_FIELDS} {_CONFIRM} confirm:bool usage:off_session|on_session "
    "automatic_payment_methods{enabled:bool! allow_redirects:always|never}",
)
def create(call: Call) -> Body:
    id = new_id("seti")
    intent = {
        "id": id, "object": "setup_intent", "application": None, "automatic_payment_methods": None,
        "cancellation_reason": None, "client_secret": f"{id}_secret_{new_id('s')[2:]}", "created": call.now,
        "customer": None, "description": None, "flow_directions": None, "last_setup_error": None,
        "latest_attempt": None, "livemode": False, "mandate": None, "metadata": {}, "next_action": None,
        "on_behalf_of": None, "payment_method": None, "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"mandate_options": None, "network": None,
                                            "request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"], "single_use_mandate": None, "status": "requires_payment_method",
        "usage": call.params.get("usage") or "off_session",
    }  # fmt: skip
    _change(call, intent)
    methods = call.params.get("automatic_payment_methods")
    if methods:
        intent["automatic_payment_methods"] = {"allow_redirects": "always", **methods}
    call.add(intent, event="setup_intent.created")
    return confirm_setup(call, intent) if call.params.get("confirm") else intent


@route("GET", "/v1/setup_intents", paged("created:range customer:str payment_method:str"))
def index(call: Call) -> Body:
    given = call.params
    conditions = Filter().between("created", given.get("created")).equal("customer", given.get("customer"))
    return listed(call, "setup_intent", "/v1/setup_intents",
                  conditions.equal("payment_method", given.get("payment_method")))  # fmt: skip


@route("GET", "/v1/setup_intents/{id}", "client_secret:str")
def retrieve(call: Call, id: str) -> Body:
    return secretly(call, call.get("setup_intent", id))


@route("POST", "/v1/setup_intents/{id}", _FIELDS)
def update(call: Call, id: str) -> Body:
    intent = call.get("setup_intent", id)
    _change(call, intent)
    return call.save(intent)


@route("POST", "/v1/setup_intents/{id}/confirm", f"payment_method:str client_secret:str {_CONFIRM}")
def confirm(call: Call, id: str) -> Body:
    intent = secretly(call, call.get("setup_intent", id))
    if intent["status"] in ("succeeded", "canceled"):
        raise refuse(
            f"This SetupIntent has a status of {intent['status']}.", code="setup_intent_unexpected_state"
        )
    _change(call, intent)
    return confirm_setup(call, intent)


def confirm_setup(call: Call, intent: Body) -> Body:
    """Attach the method to the customer, or ask for authentication. Raises card_declined."""
    if not intent["payment_method"]:
        raise refuse("You cannot confirm this SetupIntent because it's missing a payment method.",
                     code="setup_intent_unexpected_state")  # fmt: skip
    method = call.get("payment_method", intent["payment_method"])
    card = card_of(method)
    if card.behaviour == "authenticate":
        action = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
        return call.save({**intent, "status": "requires_action", "next_action": action},
                         "setup_intent.requires_action")  # fmt: skip
    if card.decline and not card.attaches:
        error = declined(card.decline)
        told = {
            "code": error.code,
            "decline_code": error.decline_code,
            "message": str(error),
            "type": "card_error",
        }
        intent = {
            **intent,
            "status": "requires_payment_method",
            "payment_method": None,
            "last_setup_error": told,
        }
        call.save(intent, "setup_intent.setup_failed")
        raise error
    return succeed_setup(call, intent)


def succeed_setup(call: Call, intent: Body) -> Body:
    """The customer has left the method."""
    method = call.get("payment_method", intent["payment_method"])
    if intent["customer"]:
        attach(call, method, intent["customer"])
    done = {"status": "succeeded", "next_action": None, "last_setup_error": None}
    return call.save({**intent, **done}, "setup_intent.succeeded")


@route(
    "POST",
    "/v1/setup_intents/{id}/cancel",
    "cancellation_reason:abandoned|duplicate|requested_by_customer",
)
def cancel(call: Call, id: str) -> Body:
    intent = call.get("setup_intent", id)
    if intent["status"] in ("succeeded", "canceled"):
        raise refuse(
            f"This SetupIntent has a status of {intent['status']}.", code="setup_intent_unexpected_state"
        )
    reason = call.params.get("cancellation_reason")
    return call.save({**intent, "status": "canceled", "cancellation_reason": reason}, "setup_intent.canceled")
