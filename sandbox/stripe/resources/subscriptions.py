"""Subscriptions as seeded objects: they are read and listed; the control API makes, renews and ends them."""

from __future__ import annotations

from sandbox.stripe.listing import Filter, as_list, listed
from sandbox.stripe.parameters import paged
from sandbox.stripe.routes import route
from sandbox.stripe.world import Body, Call, new_id

PERIOD_SECONDS = 30 * 86_400
_ALIVE = ("incomplete", "trialing", "active", "past_due", "unpaid", "paused")


def _price(call: Call, *, amount: int, currency: str) -> Body:
    return {
        "id": new_id("price"), "object": "price", "active": True, "billing_scheme": "per_unit", "created": call.now,
        "currency": currency, "custom_unit_amount": None, "livemode": False, "lookup_key": None, "metadata": {},
        "nickname": None, "product": new_id("prod", 14),
        "recurring": {"interval": "month", "interval_count": 1, "meter": None, "usage_type": "licensed"},
        "tax_behavior": "unspecified", "tiers_mode": None, "transform_quantity": None, "type": "recurring",
        "unit_amount": amount, "unit_amount_decimal": str(amount),
    }  # fmt: skip


def seed_subscription(
    call: Call, *, customer: str, amount: int, currency: str = "usd", quantity: int = 1, status: str = "active",
    collection_method: str = "charge_automatically", metadata: Body | None = None,
) -> Body:  # fmt: skip
    """Make a monthly subscription (periods of 30 days) of one item."""
    id = new_id("sub")
    item: Body = {
        "id": new_id("si", 14), "object": "subscription_item", "billing_thresholds": None, "created": call.now,
        "current_period_end": call.now + PERIOD_SECONDS, "current_period_start": call.now, "discounts": [],
        "metadata": {}, "price": _price(call, amount=amount, currency=currency), "quantity": quantity,
        "subscription": id, "tax_rates": [],
    }  # fmt: skip
    subscription: Body = {
        "id": id, "object": "subscription", "application": None, "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": call.now, "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
        "billing_schedules": [], "billing_thresholds": None, "cancel_at": None, "cancel_at_period_end": False,
        "canceled_at": None, "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": collection_method, "created": call.now, "currency": currency, "customer": customer,
        "days_until_due": None, "default_payment_method": None, "default_source": None, "default_tax_rates": [],
        "description": None, "discounts": [], "ended_at": None,
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": as_list([item], url=f"/v1/subscription_items?subscription={id}"), "latest_invoice": None,
        "livemode": False, "metadata": metadata or {}, "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None, "pause_collection": None,
        "payment_settings": {"payment_method_options": None, "payment_method_types": None,
                             "save_default_payment_method": "off"},
        "pending_invoice_item_interval": None, "pending_setup_intent": None, "pending_update": None,
        "schedule": None, "start_date": call.now, "status": status, "test_clock": None, "transfer_data": None,
        "trial_end": None, "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": None,
    }  # fmt: skip
    return call.add(subscription, event="customer.subscription.created")


def set_status(call: Call, subscription: Body, status: str) -> Body:
    """Move the subscription to a state of Stripe's; canceled ends it."""
    changed = {**subscription, "status": status}
    if status == "canceled":
        changed |= {"canceled_at": call.now, "ended_at": call.now}
        return call.save(changed, "customer.subscription.deleted")
    return call.save(changed, "customer.subscription.updated")


def next_period(call: Call, subscription: Body) -> Body:
    """Move every item to its next period."""
    items = [
        {**item, "current_period_start": item["current_period_end"],
         "current_period_end": item["current_period_end"] + PERIOD_SECONDS}
        for item in subscription["items"]["data"]
    ]  # fmt: skip
    changed = {**subscription, "items": {**subscription["items"], "data": items}}
    return call.save(changed, "customer.subscription.updated")


@route("GET", "/v1/subscriptions",
       paged("customer:str status:str created:range collection_method:charge_automatically|send_invoice"))  # fmt: skip
def index(call: Call) -> Body:
    given = call.params
    conditions = Filter().between("created", given.get("created")).equal("customer", given.get("customer"))
    conditions.equal("collection_method", given.get("collection_method"))
    status = given.get("status")
    if status is None:
        conditions.sql("json_extract(body, '$.status') <> 'canceled'")
    elif status != "all":
        conditions.equal("status", status)
    return listed(call, "subscription", "/v1/subscriptions", conditions)


@route("GET", "/v1/subscriptions/{id}")
def retrieve(call: Call, id: str) -> Body:
    return call.get("subscription", id)
