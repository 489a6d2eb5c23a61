"""Payment intents: made, confirmed, captured, canceled. `paying` holds what a confirmation does."""

from __future__ import annotations

from sandbox.stripe.listing import Filter, listed
from sandbox.stripe.parameters import paged
from sandbox.stripe.paying import capture_intent, confirm_intent, is_off_session
from sandbox.stripe.resources.customers import living_customer
from sandbox.stripe.resources.payment_methods import usable_method
from sandbox.stripe.routes import route
from sandbox.stripe.world import Body, Call, merged_metadata, new_id, refuse, secretly

_SMALLEST, _LARGEST = 50, 99_999_999
_OPTIONS = "payment_method_options:any mandate:str mandate_data:any return_url:str use_stripe_sdk:bool"
_CONFIRM = (
    f"{_OPTIONS} off_session:true|false|one_off|recurring error_on_requires_action:bool payment_method:str "
    "setup_future_usage:any"
)
_FIELDS = (
    "customer:str description:str metadata:map receipt_email:str shipping:any transfer_group:str "
    "payment_method_types:list statement_descriptor:str statement_descriptor_suffix:str "
    "capture_method:automatic|automatic_async|manual setup_future_usage:off_session|on_session"
)
_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


def blank_intent(call: Call, *, amount: int, currency: str) -> Body:
    """Return an intent that nobody has asked anything of yet."""
    id = new_id("pi")
    return {
        "id": id, "object": "payment_intent", "amount": amount, "amount_capturable": 0,
        "amount_details": {"tip": {}}, "amount_received": 0, "application": None, "application_fee_amount": None,
        "automatic_payment_methods": None, "canceled_at": None, "cancellation_reason": None,
        "capture_method": "automatic_async", "client_secret": f"{id}_secret_{new_id('s')[2:]}",
        "confirmation_method": "automatic", "created": call.now, "currency": currency, "customer": None,
        "description": None, "last_payment_error": None, "latest_charge": None, "livemode": False, "metadata": {},
        "next_action": None, "on_behalf_of": None, "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"installments": None, "mandate_options": None, "network": None,
                                            "request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"], "processing": None, "receipt_email": None, "review": None,
        "setup_future_usage": None, "shipping": None, "statement_descriptor": None,
        "statement_descriptor_suffix": None, "status": "requires_payment_method", "transfer_data": None,
        "transfer_group": None,
    }  # fmt: skip


def _change(call: Call, intent: Body) -> None:
    given = call.params
    for name in ("description", "receipt_email", "shipping", "transfer_group", "capture_method",
                 "setup_future_usage", "statement_descriptor", "statement_descriptor_suffix",
                 "payment_method_types"):  # fmt: skip
        if name in given:
            intent[name] = given[name] or None
    if "metadata" in given:
        intent["metadata"] = merged_metadata(intent["metadata"], given["metadata"])
    if given.get("customer"):
        intent["customer"] = living_customer(call, given["customer"])["id"]
    if given.get("payment_method"):
        intent["payment_method"] = usable_method(call, given["payment_method"], param="payment_method")["id"]
        intent["status"] = "requires_confirmation"


def _check_amount(amount: int) -> None:
    if amount < 1:
        raise refuse(
            "This value must be greater than or equal to 1.", code="parameter_invalid_integer", param="amount"
        )
    if amount < _SMALLEST:
        raise refuse("Amount must be at least 50 cents", code="amount_too_small", param="amount")
    if amount > _LARGEST:
        raise refuse("Amount must be no more than $999,999.99", code="amount_too_large", param="amount")


def _check_currency(currency: str) -> str:
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        raise refuse(f"Invalid currency: {currency}.", code="parameter_invalid", param="currency")
    return currency.lower()


@route(
    "POST",
    "/v1/payment_intents",
    f"amount:int! currency:str! {_FIELDS} {_CONFIRM} confirm:bool confirmation_method:automatic|manual "
    "automatic_payment_methods{enabled:bool! allow_redirects:always|never}",
)
def create(call: Call) -> Body:
    given = call.params
    _check_amount(given["amount"])
    intent = blank_intent(call, amount=given["amount"], currency=_check_currency(given["currency"]))
    if is_off_session(call) and not given.get("confirm"):
        raise refuse("You cannot set `off_session` without `confirm=true`.", param="off_session")
    _change(call, intent)
    methods = given.get("automatic_payment_methods")
    if methods:
        intent["automatic_payment_methods"] = {"allow_redirects": "always", **methods}
    call.add(intent, event="payment_intent.created")
    return confirm_intent(call, intent) if given.get("confirm") else intent


@route("GET", "/v1/payment_intents", paged("created:range customer:str"))
def index(call: Call) -> Body:
    conditions = (
        Filter().between("created", call.params.get("created")).equal("customer", call.params.get("customer"))
    )
    return listed(call, "payment_intent", "/v1/payment_intents", conditions)


@route("GET", "/v1/payment_intents/{id}", "client_secret:str")
def retrieve(call: Call, id: str) -> Body:
    return secretly(call, call.get("payment_intent", id))


@route("POST", "/v1/payment_intents/{id}", f"amount:int currency:str {_FIELDS} payment_method:str")
def update(call: Call, id: str) -> Body:
    intent = call.get("payment_intent", id)
    if intent["status"] not in _OPEN and set(call.params) - {"metadata", "description", "expand"}:
        raise _unexpected(intent, "updated")
    if call.params.get("amount") is not None:
        _check_amount(call.params["amount"])
        intent["amount"] = call.params["amount"]
    _change(call, intent)
    return call.save(intent)


@route("POST", "/v1/payment_intents/{id}/confirm", f"{_CONFIRM} receipt_email:str client_secret:str")
def confirm(call: Call, id: str) -> Body:
    intent = secretly(call, call.get("payment_intent", id))
    if intent["status"] not in _OPEN:
        raise _unexpected(intent, "confirmed")
    return confirm_intent(call, intent)


@route("POST", "/v1/payment_intents/{id}/capture", "amount_to_capture:int metadata:map final_capture:bool")
def capture(call: Call, id: str) -> Body:
    intent = call.get("payment_intent", id)
    if intent["status"] != "requires_capture":
        raise _unexpected(intent, "captured")
    amount = call.params.get("amount_to_capture")
    amount = intent["amount_capturable"] if amount is None else amount
    if not 1 <= amount <= intent["amount_capturable"]:
        raise refuse(
            "The amount to capture must be positive and at most the amount that can be captured.",
            code="amount_too_large", param="amount_to_capture",
        )  # fmt: skip
    return capture_intent(call, intent, amount)


@route(
    "POST",
    "/v1/payment_intents/{id}/cancel",
    "cancellation_reason:duplicate|fraudulent|requested_by_customer|abandoned",
)
def cancel(call: Call, id: str) -> Body:
    intent = call.get("payment_intent", id)
    if intent["status"] not in (*_OPEN, "requires_capture"):
        raise _unexpected(intent, "canceled")
    charge = call.find(intent["latest_charge"])
    if intent["status"] == "requires_capture" and charge:
        call.save({**charge, "amount_refunded": charge["amount"], "refunded": True}, "charge.refunded")
    return call.save(
        {**intent, "status": "canceled", "canceled_at": call.now, "amount_capturable": 0, "next_action": None,
         "cancellation_reason": call.params.get("cancellation_reason")},
        "payment_intent.canceled",
    )  # fmt: skip


def _unexpected(intent: Body, done: str) -> Exception:
    error = refuse(
        f"This PaymentIntent could not be {done} because it has a status of {intent['status']}.",
        code="payment_intent_unexpected_state",
    )
    error.more = {"payment_intent": {name: value for name, value in intent.items() if name[0] != "_"}}
    return error
