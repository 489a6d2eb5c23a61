"""Invoices, lines, credit notes and items as answers show them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from billing.operations.invoices.drafting import Drafted
from billing.queries.explaining import Explained
from billing.queries.invoices import CreditNote, LineRow, Payment
from billing.queries.items import Item
from billing.rules.addresses import address_lines
from billing.rules.amounts import exact_text
from billing.rules.invoices import Invoice, line_data
from billing.rules.profiles import Contact
from billing.rules.recounting import CountedAgain, MeterRecount
from common.money import format_amount, format_document_amount


def utc(moment: datetime | None) -> datetime | None:
    """A time of an answer, in UTC."""
    return None if moment is None else moment.astimezone(UTC)


def show_figures(invoice: Invoice) -> dict[str, Any]:
    """What an invoice says about money."""
    currency = invoice.currency

    def shown(units: int) -> str:
        return format_document_amount(units, currency=currency)

    return {
        "currency": currency,
        "subtotal": shown(invoice.subtotal),
        "discount": shown(invoice.discount),
        "net": shown(invoice.net),
        "tax": shown(invoice.tax),
        "total": shown(invoice.total),
        "discounts": [{"coupon": one["coupon"], "amount": shown(one["amount"])} for one in invoice.discounts],
        "taxes": [show_tax(one, currency) for one in invoice.taxes],
        "progressive": show_progressive(invoice),
    }


def show_progressive(invoice: Invoice) -> dict[str, Any] | None:
    """What the last invoice of a period states of those that thresholds made before."""
    stated = invoice.progressive
    if stated is None:
        return None

    def shown(units: int) -> str:
        return format_document_amount(units, currency=invoice.currency)

    return {
        "fees": shown(stated["fees"]),
        "progressive_credit": shown(stated["credit"]),
        "due": shown(stated["fees"] - stated["credit"]),
        "credit_tax": shown(stated["credit_tax"]),
        "count": stated["count"],
        "invoices": [
            {**one, "net": shown(one["net"]), "tax": shown(one["tax"])} for one in stated["invoices"]
        ],
    }


def show_invoice(invoice: Invoice, contact: Contact | None = None) -> dict[str, Any]:
    """An invoice without its lines."""
    amounts = {name: getattr(invoice, name) for name in ("paid", "credited", "written_off", "due")}
    times = ("finalized_at", "sent_at", "paid_at", "voided_at", "uncollectible_at", "created_at", "due_at")
    return {
        "id": invoice.id,
        "organization": invoice.organization,
        "status": invoice.status,
        "cause": invoice.cause,
        "number": invoice.number,
        "seller": show_party(invoice.seller),
        "customer": show_party(invoice.customer, contact),
        "purchase_order": invoice.purchase_order,
        "dated_at": utc(invoice.dated_at),
        "period_start": utc(invoice.period_start),
        "period_end": utc(invoice.period_end),
        "net_days": invoice.net_days,
        "finalize_at": utc(invoice.finalize_at),
        **show_figures(invoice),
        **{name: format_document_amount(units, currency=invoice.currency) for name, units in amounts.items()},
        "entry": invoice.entry,
        "error": invoice.error,
        "version": invoice.version,
        **{name: utc(getattr(invoice, name)) for name in times},
    }


def show_party(data: Mapping[str, Any], contact: Contact | None = None) -> dict[str, Any]:
    """A party as it was when the invoice was made; a person's name and address stand apart from it."""
    vat_ids = data.get("vat_ids") or {}
    address = contact.address if contact is not None else data.get("address") or {}
    lines = address_lines(address)
    if contact is not None and contact.name:
        lines = [contact.name, *lines]
    return {
        "name": data["name"],
        "country": data.get("country"),
        "vat_id": data.get("vat_id") or vat_ids.get(data.get("country")),
        "address": lines,
    }


def show_tax(tax: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """Base and tax of one treatment."""
    return {
        "percent": tax["percent"],
        "category": tax["category"],
        "country": tax["country"],
        "exemption_code": tax["exemption_code"],
        "base": format_document_amount(tax["base"], currency=currency),
        "tax": format_document_amount(tax["tax"], currency=currency),
    }


def show_payment(payment: Payment, currency: str) -> dict[str, Any]:
    """A payment."""
    return {
        "id": payment.id,
        "amount": format_document_amount(payment.amount, currency=currency),
        "applied": format_document_amount(payment.applied, currency=currency),
        "method": payment.method,
        "reference": payment.reference,
        "paid_at": utc(payment.paid_at),
        "entry": payment.entry,
    }


def show_line(line: LineRow, currency: str) -> dict[str, Any]:
    """A line of a stored invoice."""
    data = {name: getattr(line, name) for name in ("kind", "description", "quantity", "charge", "funded")}
    data |= {name: getattr(line, name) for name in ("amount", "discount", "net", "tax", "treatment")}
    times = {"service_start": utc(line.service_start), "service_end": utc(line.service_end)}
    ids = ("subscription", "contract", "charge_key", "plan_version", "item_id")
    return _line(
        {
            **data,
            **times,
            **{name: getattr(line, name) for name in ids},
            "n": line.n,
            "detail": line.detail,
        },
        currency,
    )


def show_upcoming(found: Sequence[Drafted], currency: str) -> dict[str, Any]:
    """The upcoming invoice, or the sum of several and each; without anything owed, one of zero without lines."""
    invoices = [_show_drafted(each, currency) for each in found]
    if len(found) == 1:
        return {**invoices[0], "invoices": invoices}

    def total(name: str) -> str:
        return format_document_amount(sum(getattr(each.invoice, name) for each in found), currency=currency)

    money = {name: total(name) for name in ("subtotal", "discount", "net", "tax", "total")}
    times = ("dated_at", "period_start", "period_end")
    return {
        "currency": currency,
        **money,
        **{name: invoices[0][name] if invoices else None for name in times},
        "tax_is_known": all(each["tax_is_known"] for each in invoices),
        "discounts": [
            {"coupon": coupon, "amount": format_document_amount(amount, currency=currency)}
            for coupon, amount in _all_discounts(found).items()
        ],
        "taxes": [show_tax(tax, currency) for tax in _all_taxes(found)],
        "progressive": next((each["progressive"] for each in invoices if each["progressive"]), None),
        "lines": [line for each in invoices for line in each["lines"]],
        "invoices": invoices,
    }


def _all_discounts(found: Iterable[Drafted]) -> dict[str, int]:
    amounts: Counter[str] = Counter()
    for each in found:
        for one in each.invoice.discounts:
            amounts[one["coupon"]] += one["amount"]
    return dict(amounts)


def _all_taxes(found: Iterable[Drafted]) -> list[dict[str, Any]]:
    """Base and tax of each treatment over all invoices."""
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for each in found:
        for tax in each.invoice.taxes:
            key = tuple(tax[name] for name in ("rate", "category", "country", "exemption_code"))
            whole = merged.setdefault(key, {**tax, "base": 0, "tax": 0})
            whole["base"] += tax["base"]
            whole["tax"] += tax["tax"]
    return list(merged.values())


def _show_drafted(found: Drafted, currency: str) -> dict[str, Any]:
    return {
        **show_figures(found.invoice),
        "dated_at": utc(found.invoice.dated_at),
        "period_start": utc(found.invoice.period_start),
        "period_end": utc(found.invoice.period_end),
        "tax_is_known": not found.document.pending,
        "lines": [_line(line_data(line), currency) for line in found.document.lines],
    }


def show_explained(found: Explained, currency: str) -> dict[str, Any]:
    """Why a line says what it says."""
    line, recount = found.line, found.recount
    steps = [show_step(step) for step in line.detail.get("steps", ())]
    if recount is not None:
        for (version, component, of), (quantity, amount) in sorted(
            recount.steps.items(), key=lambda step: tuple(map(str, step[0]))
        ):
            values = {"quantity": str(quantity), "price_version": version or ""}
            steps.append(
                {
                    "name": component,
                    "words": f"{component} at its price, in {of}",
                    "values": values,
                    "result": _decimal_text(amount),
                }
            )
    return {
        "invoice": line.invoice_id,
        "line": show_line(line, currency),
        "account": line.account,
        "remainder": format_amount(line.remainder),
        "price_versions": line.detail.get("price_versions", []),
        "steps": steps,
        "recount": None
        if recount is None
        else {
            "records": recount.records,
            "charge": format_amount(recount.charge),
            "rated": format_amount(recount.rated),
            "postpaid": format_amount(recount.postpaid),
            "digest": recount.digest,
        },
        "counted": None
        if found.metered is None
        else [_counted(found.metered, one) for one in found.metered.counted],
        "agrees": found.agrees,
    }


def _counted(recount: MeterRecount, one: CountedAgain) -> dict[str, Any]:
    return {
        "group": dict(zip(recount.group_by, one.group, strict=True)),
        "quantity": None if one.quantity is None else exact_text(one.quantity),
        "records": one.records,
        "digest": one.digest,
    }


def show_step(step: Any) -> dict[str, Any]:
    """A step as the writer of an item kept it; one of another form is shown as its JSON."""
    if isinstance(step, dict) and {"name", "words", "values", "result"} <= step.keys():
        values = {str(name): str(value) for name, value in step["values"].items()}
        return {
            "name": step["name"],
            "words": step["words"],
            "values": values,
            "result": str(step["result"]),
        }
    return {"name": "", "words": json.dumps(step, sort_keys=True), "values": {}, "result": ""}


def show_note(note: CreditNote) -> dict[str, Any]:
    """A credit note."""
    currency = note.currency
    amounts = {
        name: format_document_amount(getattr(note, name), currency=currency)
        for name in ("net", "tax", "total", "receivable", "credit")
    }
    return {
        "id": note.id,
        "organization": note.organization,
        "invoice": note.invoice_id,
        "number": note.number,
        "reason": note.reason,
        "currency": currency,
        "dated_at": utc(note.dated_at),
        **amounts,
        "taxes": [show_tax(one, currency) for one in note.taxes],
        "lines": [
            {
                "line": line["line"],
                "net": format_document_amount(line["net"], currency=currency),
                "tax": format_document_amount(line["tax"], currency=currency),
            }
            for line in note.lines
        ],
        "entry": note.entry,
    }


def show_item(item: Item, organization: UUID) -> dict[str, Any]:
    """An item."""
    plain = ("id", "kind", "description", "currency", "quantity", "subscription", "contract", "charge_key")
    more = ("tax_code", "discountable", "recognition", "line")
    times = ("service_start", "service_end", "due_at", "created_at")
    return {
        "organization": organization,
        **{name: getattr(item, name) for name in (*plain, *more)},
        **{name: utc(getattr(item, name)) for name in times},
        "amount": format_document_amount(item.amount, currency=item.currency),
        "invoice": item.invoice_id,
    }


def _line(data: Mapping[str, Any], currency: str) -> dict[str, Any]:
    detail, treatment = data["detail"], data["treatment"]
    group = detail.get("group") or {}
    quantities = {name: detail[name] for name in ("calls", "tokens", "tool_calls") if name in detail}
    plain = ("kind", "description", "quantity", "service_start", "service_end", "subscription", "contract")
    return {
        "number": data["n"],
        **{name: data[name] for name in (*plain, "charge_key", "plan_version")},
        "item": data["item_id"],
        "charge": format_amount(data["charge"]),
        "funded": [
            {"source": source, "amount": format_amount(amount)} for source, amount in data["funded"].items()
        ],
        **{
            name: format_document_amount(data[name], currency=currency)
            for name in ("amount", "discount", "net", "tax")
        },
        "tax_percent": None if treatment is None else treatment["percent"],
        "tax_rate": None if treatment is None else treatment.get("tax_rate"),
        "provider": group.get("provider"),
        "model": group.get("model"),
        "tool": group.get("tool"),
        "late": bool(group.get("late")),
        "quantities": quantities or None,
        "records": detail.get("records"),
        "digest": detail.get("digest"),
    }


def _decimal_text(value: Any) -> str:
    """An exact amount of a price's currency: prices have twelve decimals at most."""
    scaled = value * 10**12
    whole, rest = divmod(abs(scaled.numerator // scaled.denominator), 10**12)
    text = f"{whole}.{rest:012d}".rstrip("0").rstrip(".")
    return f"-{text}" if value < 0 else text
