"""Older shapes of three objects. What is stored is the current shape (endive); basil and later do not differ in what
is here, acacia does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Body = dict[str, Any]
LINES = ("acacia", "basil", "clover", "dahlia", "endive")
KNOWN = ("2024-12-18", "2025-01-27", "2025-02-24", "2025-03-31", "2025-09-30", "2026-03-25", "2026-05-27",
         "2026-08-26", "2026-09-30", "2026-10-28")  # fmt: skip


def is_known(version: str) -> bool:
    """Say whether this simulator can answer in that version."""
    date, _, line = version.partition(".")
    return line in LINES and date in KNOWN


def in_version(body: Body, version: str) -> Body:
    """Return the object in the shape of that version."""
    older = _ACACIA.get(body.get("object", ""))
    return older(body) if older and version.endswith(".acacia") else body


def _charge(body: Body) -> Body:
    return {**body, "invoice": body.get("_invoice")}


def _invoice(body: Body) -> Body:
    parent = (body.get("parent") or {}).get("subscription_details") or {}
    is_paid = body["status"] == "paid"
    dropped = {"parent", "total_taxes", "amount_overpaid", "confirmation_secret"}
    kept = {name: value for name, value in body.items() if name not in dropped}
    return kept | {
        "subscription": parent.get("subscription"),
        "subscription_details": {"metadata": parent.get("metadata")},
        "payment_intent": body.get("_payment_intent"),
        "charge": body.get("_charge"),
        "paid": is_paid,
        "paid_out_of_band": bool(body.get("_paid_out_of_band")),
        "quote": None,
        "tax": sum(tax["amount"] for tax in body.get("total_taxes") or []) or None,
        "total_tax_amounts": [],
        "discount": None,
        "application_fee_amount": None,
        "transfer_data": None,
    }


def _line(body: Body) -> Body:
    details = (
        body["parent"].get("subscription_item_details") or body["parent"].get("invoice_item_details") or {}
    )
    price = (body.get("pricing") or {}).get("price_details") or {}
    kept = {name: value for name, value in body.items() if name not in ("parent", "pricing", "taxes")}
    return kept | {
        "type": "subscription" if body["parent"]["type"] == "subscription_item_details" else "invoiceitem",
        "proration": bool(details.get("proration")),
        "subscription": details.get("subscription"),
        "subscription_item": details.get("subscription_item"),
        "price": body.get("_price")
        or {"id": price.get("price"), "object": "price", "product": price.get("product")},
        "tax_amounts": [],
    }


def _subscription(body: Body) -> Body:
    items = body["items"]["data"]
    periods = {
        "current_period_start": items[0]["current_period_start"],
        "current_period_end": items[0]["current_period_end"],
    }
    kept = {name: value for name, value in body.items() if name not in ("billing_mode", "status_details")}
    return kept | periods | {"discount": None}


def _subscription_item(body: Body) -> Body:
    gone = ("current_period_start", "current_period_end")
    return {name: value for name, value in body.items() if name not in gone}


_ACACIA: dict[str, Callable[[Body], Body]] = {
    "charge": _charge, "payment_intent": _charge, "invoice": _invoice, "line_item": _line,
    "subscription": _subscription, "subscription_item": _subscription_item,
}  # fmt: skip
