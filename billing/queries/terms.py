"""The business terms of invoices and credit notes as data: what the PDF prints, and what an e-invoice has to say
(EN 16931).

The seam for e-invoices: a writer of UBL or CII needs `invoice_terms` and nothing else of ours. Keys are the terms of
the standard (BT-…, BG-…); amounts are decimal strings at the currency's precision, dates ISO 8601. Coupons stand at
the lines (BG-27), tax is stated once for each treatment (BG-23), what is due is BT-115. A line is one unit at its
amount: a price per token would have more decimals than an e-invoice takes. The line that rounds the total is no line
there but BT-114, outside of net, tax and BT-112; `total` has it. Words are in the language of the invoice's customer as
it was then.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.queries.invoices import CreditNote, LineRow, find_invoice, lines_of
from billing.queries.parties import addressee_of
from billing.rules.addresses import address_lines
from billing.rules.assembling import ROUNDING
from billing.rules.invoices import Invoice
from billing.rules.wording import REASONS, WORDS, Words, document_language
from common.money import format_amount, format_document_amount
from events.store import Cursor

COMMERCIAL_INVOICE: Final = "380"
CREDIT_NOTE: Final = "381"
ONE: Final = "C62"


def invoice_terms(cur: Cursor, *, organization: UUID, invoice: UUID) -> dict[str, Any]:
    """Return the business terms of an invoice; BT-1 is null while it is a draft. Raises NotFound."""
    found = find_invoice(cur, organization=organization, invoice=invoice)
    contact = addressee_of(cur, invoice)
    lines = lines_of(cur, invoice)
    language = document_language(found.customer.get("language"))
    words = WORDS[language]
    buyer = _party(found.customer)
    if contact is not None:
        buyer["name_of_contact"] = contact.name
        buyer["address"] = address_lines(contact.address)
    return {
        "BT-1": found.number,
        "BT-2": _day(found.finalized_at),
        "BT-3": COMMERCIAL_INVOICE,
        "BT-5": found.currency,
        "BT-9": _day(found.due_at),
        "BT-13": found.purchase_order,
        "BT-20": words["net_days"].format(days=found.net_days),
        "BG-4": _party(found.seller),
        "BG-7": buyer,
        "BG-14": {"BT-73": _day(found.period_start), "BT-74": _day(found.period_end)},
        "BG-22": _totals(found, rounding=sum(line.net for line in lines if line.kind == ROUNDING)),
        "BG-23": [_tax(tax, found.currency, words) for tax in found.taxes],
        "BG-25": [_line(line, found.currency, words) for line in lines if line.kind != ROUNDING],
        "progressive": _progressive(found),
        "status": found.status,
        "dated_at": _day(found.dated_at),
        "language": language,
        "words": dict(words),
    }


def credit_note_terms(cur: Cursor, note: CreditNote) -> dict[str, Any]:
    """Return the business terms of a credit note: what it takes back of the lines of the invoice that it names
    (BG-3), with positive amounts, as the standard has them for its type."""
    terms = invoice_terms(cur, organization=note.organization, invoice=note.invoice_id)
    found = find_invoice(cur, organization=note.organization, invoice=note.invoice_id)
    lines = {line.n: line for line in lines_of(cur, note.invoice_id)}
    parts = [part for part in note.lines if lines[part["line"]].kind != ROUNDING]
    rounding = note.net - sum(part["net"] for part in parts)

    def shown(units: int) -> str:
        return format_document_amount(units, currency=note.currency)

    net, words = shown(note.net - rounding), terms["words"]
    return {
        **terms,
        "BT-1": note.number,
        "BT-2": _day(note.dated_at),
        "BT-3": CREDIT_NOTE,
        "BT-9": None,
        "BT-20": None,
        "BT-22": note.reason,
        "BG-3": {"BT-25": found.number, "BT-26": _day(found.finalized_at)},
        "BG-22": {
            "BT-106": net, "BT-109": net, "BT-110": shown(note.tax), "BT-112": shown(note.total - rounding),
            "BT-113": shown(0), "BT-114": shown(rounding) if rounding else None, "BT-115": shown(note.credit),
            "total": shown(note.total),
        },
        "BG-23": [_tax(tax, note.currency, words) for tax in note.taxes],
        "BG-25": [_taken_back(lines[part["line"]], part["net"], note.currency, words) for part in parts],
        "progressive": None,
        "status": "issued",
        "dated_at": None,
    }  # fmt: skip


def _taken_back(line: LineRow, net: int, currency: str, words: Words) -> dict[str, Any]:
    amount = format_document_amount(net, currency=currency)
    return {
        **_line(line, currency, words), "BT-131": amount, "BT-146": amount, "BG-27": [], "quantity": None, "notes": [],
    }  # fmt: skip


def _party(data: Mapping[str, Any]) -> dict[str, Any]:
    vat_ids: Mapping[str, str] = data.get("vat_ids") or {}
    return {
        "name": data["name"],
        "vat_id": data.get("vat_id") or vat_ids.get(data.get("country") or ""),
        "country": data.get("country"),
        "address": address_lines(data.get("address") or {}),
    }


def _totals(found: Invoice, *, rounding: int) -> dict[str, str | None]:
    figures = {
        "BT-106": found.net - rounding,
        "BT-109": found.net - rounding,
        "BT-110": found.tax,
        "BT-112": found.total - rounding,
        "BT-113": found.paid + found.credited,
        "BT-114": rounding or None,
        "BT-115": found.due,
        "subtotal": found.subtotal - rounding,
        "discount": found.discount,
        "total": found.total,
    }
    return {
        name: None if units is None else format_document_amount(units, currency=found.currency)
        for name, units in figures.items()
    }


def _progressive(found: Invoice) -> dict[str, Any] | None:
    """What the whole period came to, and the invoices before (BG-3) that are credited; without tax."""
    stated = found.progressive
    if stated is None:
        return None

    def shown(units: int) -> str:
        return format_document_amount(units, currency=found.currency)

    return {
        "fees": shown(stated["fees"]),
        "credit": shown(-stated["credit"]),
        "count": stated["count"],
        "BG-3": [
            {"BT-25": one["number"], "BT-26": (one["issued_at"] or "")[:10], "net": shown(one["net"])}
            for one in stated["invoices"]
        ],
    }


def _tax(tax: Mapping[str, Any], currency: str, words: Words) -> dict[str, Any]:
    code = tax["exemption_code"]
    return {
        "BT-116": format_document_amount(tax["base"], currency=currency),
        "BT-117": format_document_amount(tax["tax"], currency=currency),
        "BT-118": tax["category"],
        "BT-119": tax["percent"],
        "BT-120": words[code] if code in REASONS else code,
    }


def _line(line: LineRow, currency: str, words: Words) -> dict[str, Any]:
    treatment = line.treatment or {"category": None, "percent": None}

    def shown(units: int) -> str:
        return format_document_amount(units, currency=currency)

    return {
        "BT-126": str(line.n),
        "BT-129": "1",
        "BT-130": ONE,
        "BT-131": shown(line.net),
        "BT-146": shown(line.amount),
        "BG-27": [{"BT-136": shown(line.discount), "BT-139": words["coupon"]}] if line.discount else [],
        "BG-26": {"BT-134": _day(line.service_start), "BT-135": _day(line.service_end)},
        "BT-151": treatment["category"],
        "BT-152": treatment["percent"],
        "BT-153": line.description,
        "quantity": line.quantity,
        "notes": _notes(line, currency, words),
    }


def _notes(line: LineRow, currency: str, words: Words) -> list[str]:
    """What a reader of a line over use asks next: tokens by kind, and who paid for the rest."""

    def shown(word: str, units: int, **named: str) -> str:
        return words[word].format(amount=format_amount(units), currency=currency, **named)

    counts = line.detail.get("tokens", {}).items()
    tokens = [
        f"{count:,} ".replace(",", words["thousands"]) + name.replace("_", " ") for name, count in counts
    ]
    sources = {source: words.get(f"source_{source}", source) for source in line.funded}
    funded = [shown("paid_by", amount, source=sources[source]) for source, amount in line.funded.items()]
    charge = [shown("used", line.charge), *funded] if funded else []
    return [", ".join(part) for part in (tokens, charge) if part]


def _day(moment: datetime | None) -> str | None:
    return None if moment is None else moment.date().isoformat()
