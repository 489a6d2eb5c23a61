"""Invoices as seeded objects: they are read, listed and paid; the control API makes, voids and writes them off."""

from __future__ import annotations

from sandbox.stripe import paying
from sandbox.stripe.errors import StripeError
from sandbox.stripe.listing import Filter, as_list, listed
from sandbox.stripe.parameters import paged
from sandbox.stripe.rendering import includable
from sandbox.stripe.resources.payment_intents import blank_intent
from sandbox.stripe.resources.subscriptions import set_status
from sandbox.stripe.routes import route
from sandbox.stripe.world import Body, Call, new_id, refuse


def seed_invoice(call: Call, *, customer: str, amount: int, currency: str = "usd", subscription: Body | None = None,
                 status: str = "open", metadata: Body | None = None) -> Body:  # fmt: skip
    """Make an invoice of one line, as a draft or finalized."""
    id = new_id("in")
    line = _line(call, id, amount=amount, currency=currency, subscription=subscription)
    person = call.get("customer", customer, param="customer")
    invoice = _blank(call, id, person, amount=amount, currency=currency)
    invoice["lines"] = as_list([line], url=f"/v1/invoices/{id}/lines")
    invoice["metadata"] = metadata or {}
    if subscription:
        details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
        invoice |= {"billing_reason": "subscription_cycle", "period_start": line["period"]["start"],
                    "period_end": line["period"]["end"], "collection_method": subscription["collection_method"],
                    "parent": {"quote_details": None, "subscription_details": details,
                               "type": "subscription_details"}}  # fmt: skip
    call.add(invoice, event="invoice.created")
    return finalize(call, invoice) if status == "open" else invoice


def _blank(call: Call, id: str, person: Body, *, amount: int, currency: str) -> Body:
    return {
        "id": id, "object": "invoice", "account_country": "US", "account_name": "Counterfoil",
        "account_tax_ids": None, "amount_due": amount, "amount_overpaid": 0, "amount_paid": 0,
        "amount_paid_off_stripe": 0, "amount_remaining": amount, "amount_shipping": 0, "application": None,
        "attempt_count": 0, "attempted": False, "auto_advance": False,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None, "provider": None,
                          "status": None},
        "automatically_finalizes_at": None, "billing_reason": "manual", "collection_method": "charge_automatically",
        "created": call.now, "currency": currency, "custom_fields": None, "customer": person["id"],
        "customer_address": person["address"], "customer_email": person["email"], "customer_name": person["name"],
        "customer_phone": person["phone"], "customer_shipping": person["shipping"], "customer_tax_exempt": "none",
        "customer_tax_ids": [], "default_payment_method": None, "default_source": None, "default_tax_rates": [],
        "description": None, "discounts": [], "due_date": None, "effective_at": None, "ending_balance": None,
        "footer": None, "from_invoice": None, "hosted_invoice_url": None, "invoice_pdf": None,
        "issuer": {"type": "self"}, "last_finalization_error": None, "latest_revision": None, "livemode": False,
        "next_payment_attempt": None, "number": None, "on_behalf_of": None, "parent": None,
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_end": call.now, "period_start": call.now, "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0, "receipt_number": None, "rendering": None, "shipping_cost": None,
        "shipping_details": None, "starting_balance": 0, "statement_descriptor": None, "status": "draft",
        "status_transitions": {"finalized_at": None, "marked_uncollectible_at": None, "paid_at": None,
                               "voided_at": None},
        "subtotal": amount, "subtotal_excluding_tax": amount, "test_clock": None, "total": amount,
        "total_discount_amounts": [], "total_excluding_tax": amount, "total_pretax_credit_amounts": [],
        "total_taxes": [], "webhooks_delivered_at": None, "_payment_intent": None, "_charge": None,
    }  # fmt: skip


def _line(call: Call, invoice: str, *, amount: int, currency: str, subscription: Body | None) -> Body:
    item = subscription["items"]["data"][0] if subscription else None
    shared = {"proration": False, "proration_details": {"credited_items": None}}
    if item and subscription:
        parent = {
            "invoice_item_details": None,
            "type": "subscription_item_details",
            "subscription_item_details": {
                "invoice_item": None,
                "subscription": subscription["id"],
                "subscription_item": item["id"],
                **shared,
            },
        }
    else:
        parent = {"subscription_item_details": None, "type": "invoice_item_details", "invoice_item_details": {
            "invoice_item": new_id("ii"), "subscription": None, **shared}}  # fmt: skip
    price = item["price"] if item else None
    start = item["current_period_start"] if item else call.now
    pricing = {"type": "price_details", "unit_amount_decimal": str(amount), "price_details": {
        "price": price["id"] if price else new_id("price"),
        "product": price["product"] if price else new_id("prod", 14),
    }}  # fmt: skip
    return {
        "id": new_id("il"), "object": "line_item", "amount": amount, "currency": currency, "description": None,
        "discount_amounts": [], "discountable": True, "discounts": [], "invoice": invoice, "livemode": False,
        "metadata": {}, "parent": parent,
        "period": {"start": start, "end": item["current_period_end"] if item else call.now},
        "pretax_credit_amounts": [], "pricing": pricing, "quantity": 1,
        "subtotal": amount, "taxes": [], "_price": price,
    }  # fmt: skip


def finalize(call: Call, invoice: Body) -> Body:
    """The draft becomes a document: number, no more edits."""
    count = call.world.store.value("invoices", 0) + 1
    call.world.store.keep("invoices", count)
    moments = {**invoice["status_transitions"], "finalized_at": call.now}
    final = {**invoice, "status": "open", "number": f"SIM-{count:04}", "effective_at": call.now,
             "ending_balance": 0, "status_transitions": moments}  # fmt: skip
    return call.save(final, "invoice.finalized")


@route("GET", "/v1/invoices", paged(
    "customer:str status:draft|open|paid|uncollectible|void subscription:str created:range due_date:range "
    "collection_method:charge_automatically|send_invoice"))  # fmt: skip
def index(call: Call) -> Body:
    given = call.params
    conditions = Filter().between("created", given.get("created")).between("due_date", given.get("due_date"))
    for name in ("customer", "status", "collection_method"):
        conditions.equal(name, given.get(name))
    conditions.equal("parent.subscription_details.subscription", given.get("subscription"))
    return listed(call, "invoice", "/v1/invoices", conditions)


@route("GET", "/v1/invoices/{id}")
def retrieve(call: Call, id: str) -> Body:
    return call.get("invoice", id)


@route("GET", "/v1/invoices/{id}/lines", paged())
def lines(call: Call, id: str) -> Body:
    return dict(call.get("invoice", id)["lines"])


@route(
    "POST", "/v1/invoices/{id}/pay", "payment_method:str off_session:bool paid_out_of_band:bool forgive:bool"
)
def pay(call: Call, id: str) -> Body:
    invoice = call.get("invoice", id)
    if invoice["status"] == "draft":
        invoice = finalize(call, invoice)
    if invoice["status"] != "open":
        word = "already paid" if invoice["status"] == "paid" else invoice["status"]
        raise refuse(f"Invoice is {word}", code="invoice_already_paid" if word == "already paid" else None)
    if call.params.get("paid_out_of_band"):
        return _settle(
            call, {**invoice, "_paid_out_of_band": True, "amount_paid_off_stripe": invoice["amount_due"]}
        )
    return pay_invoice(call, invoice)


def pay_invoice(call: Call, invoice: Body) -> Body:
    """Charge the customer for it. Raises card_declined; a subscription is past due then."""
    person = call.get("customer", invoice["customer"], param="customer")
    method = call.params.get("payment_method") or person["invoice_settings"]["default_payment_method"]
    if not method:
        raise refuse("There is no `default_payment_method` set on this Customer or Invoice.")
    intent = blank_intent(call, amount=invoice["amount_remaining"], currency=invoice["currency"])
    intent |= {"customer": person["id"], "payment_method": method, "_invoice": invoice["id"]}
    call.add(intent, event="payment_intent.created")
    tried = {
        "attempt_count": invoice["attempt_count"] + 1,
        "attempted": True,
        "_payment_intent": intent["id"],
    }
    invoice = {**invoice, **tried}
    attempt = Call(call.world, call.account, call.version, call.request, call.key,
                   {"payment_method": method, "off_session": "true"})  # fmt: skip
    payment = _payment(call, invoice, intent)
    try:
        intent = paying.confirm_intent(attempt, intent)
    except StripeError:
        call.save(invoice, "invoice.payment_failed", "invoice.updated")
        _note(call, invoice, "past_due")
        raise
    if intent["status"] == "processing":  # it stays open, and is tried already
        return call.save(invoice, "invoice.updated")
    return _came(call, invoice, payment, intent)


def debit_succeeded(call: Call, id: str) -> None:
    """A debit has gone through, and with it the invoice that it was for."""
    paying.asynchronous_succeeded(call, id)
    intent = call.get("payment_intent", id)
    invoice = call.find(intent.get("_invoice"))
    if intent["status"] == "succeeded" and invoice and invoice["status"] == "open":
        _came(call, invoice, _payment_by(call, intent), intent)


def debit_failed(call: Call, id: str) -> None:
    """A debit has come back, and the invoice that it was for is not paid."""
    paying.asynchronous_failed(call, id)
    intent = call.get("payment_intent", id)
    invoice = call.find(intent.get("_invoice"))
    if intent["status"] == "requires_payment_method" and invoice and invoice["status"] == "open":
        call.emit("invoice.payment_failed", invoice)
        _note(call, invoice, "past_due")


def _came(call: Call, invoice: Body, payment: Body, intent: Body) -> Body:
    paid = {"status": "paid", "amount_paid": invoice["amount_remaining"],
            "status_transitions": {"canceled_at": None, "paid_at": call.now}}  # fmt: skip
    call.save({**payment, **paid}, "invoice_payment.paid")
    return _settle(call, {**invoice, "_charge": intent["latest_charge"]})


def _payment_by(call: Call, intent: Body) -> Body:
    (found,) = call.world.store.select(
        account=call.account, kind="invoice_payment",
        where="AND json_extract(body, '$.payment.payment_intent') = ?", values=(intent["id"],),
    )  # fmt: skip
    return dict(found)


def _payment(call: Call, invoice: Body, intent: Body) -> Body:
    return call.add({
        "id": new_id("inpay"), "object": "invoice_payment", "amount_paid": None,
        "amount_requested": invoice["amount_remaining"], "created": call.now, "currency": invoice["currency"],
        "invoice": invoice["id"], "is_default": True, "livemode": False,
        "payment": {"payment_intent": intent["id"], "type": "payment_intent"}, "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    })  # fmt: skip


def _settle(call: Call, invoice: Body) -> Body:
    moments = {**invoice["status_transitions"], "paid_at": call.now}
    paid = {**invoice, "status": "paid", "amount_paid": invoice["amount_due"], "amount_remaining": 0,
            "status_transitions": moments}  # fmt: skip
    call.save(paid, "invoice.updated", "invoice.paid", "invoice.payment_succeeded")
    _note(call, paid, "active")
    return paid


def _note(call: Call, invoice: Body, status: str) -> None:
    """What its payment means for the subscription."""
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    subscription = call.find(details.get("subscription"))
    if subscription and subscription["status"] != status and subscription["status"] != "canceled":
        set_status(call, subscription, status)


def close_invoice(call: Call, invoice: Body, status: str) -> Body:
    """Void or write off an open invoice. Raises a refusal for a paid one."""
    moment = {"void": "voided_at", "uncollectible": "marked_uncollectible_at"}[status]
    if invoice["status"] not in ("open", "uncollectible"):
        raise refuse(f"You can only pass in open invoices. This invoice isn't open: {invoice['status']}.")
    event = "invoice.voided" if status == "void" else "invoice.marked_uncollectible"
    moments = {**invoice["status_transitions"], moment: call.now}
    return call.save({**invoice, "status": status, "status_transitions": moments}, "invoice.updated", event)


@includable("invoice", "payments")
def payments_of(call: Call, invoice: Body) -> Body:
    rows = call.world.store.select(
        account=call.account, kind="invoice_payment", where="AND json_extract(body, '$.invoice') = ?",
        values=(invoice["id"],),
    )  # fmt: skip
    return as_list(rows, url=f"/v1/invoice_payments?invoice={invoice['id']}")


@route("GET", "/v1/invoice_payments", paged(
    "invoice:str status:canceled|open|paid created:range "
    "payment{type:payment_intent! payment_intent:str}"))  # fmt: skip
def payments(call: Call) -> Body:
    given = call.params
    conditions = Filter().between("created", given.get("created"))
    conditions.equal("invoice", given.get("invoice")).equal("status", given.get("status"))
    conditions.equal("payment.payment_intent", (given.get("payment") or {}).get("payment_intent"))
    return listed(call, "invoice_payment", "/v1/invoice_payments", conditions)


@route("GET", "/v1/invoice_payments/{id}")
def payment(call: Call, id: str) -> Body:
    return call.get("invoice_payment", id)
