"""Invoices and credit notes as PDF: the template beside the app, the fonts inside of the typst package, no system
libraries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
import typst

from billing.queries.invoices import CreditNote, find_invoice, find_note
from billing.queries.terms import credit_note_terms, invoice_terms
from billing.rules.invoices import Invoice
from common.transactions import run_in_transaction
from events.store import Cursor

TEMPLATE: Final = Path(__file__).resolve().parents[1] / "templates" / "billing" / "document.typ"


def invoice_pdf(*, organization: UUID, invoice: UUID) -> tuple[Invoice, bytes]:
    """This function will return an invoice and its PDF; the same invoice gives the same bytes. Raises NotFound."""

    def read(cur: Cursor) -> tuple[Invoice, dict[str, Any]]:
        found = find_invoice(cur, organization=organization, invoice=invoice)
        return found, invoice_terms(cur, organization=organization, invoice=invoice)

    found, terms = run_in_transaction(read)
    return found, rendered(terms, at=int((found.finalized_at or found.created_at).timestamp()))


def credit_note_pdf(*, organization: UUID, note: UUID) -> tuple[CreditNote, bytes]:
    """This function will return a credit note and its PDF; the same note gives the same bytes. Raises NotFound."""

    def read(cur: Cursor) -> tuple[CreditNote, dict[str, Any]]:
        found = find_note(cur, organization=organization, note=note)
        return found, credit_note_terms(cur, found)

    found, terms = run_in_transaction(read)
    return found, rendered(terms, at=int(found.dated_at.timestamp()))


def rendered(terms: Mapping[str, Any], *, at: int) -> bytes:
    """Return the PDF of business terms, dated at a second of the Unix clock."""
    content: bytes = typst.compile(
        str(TEMPLATE),
        root=str(TEMPLATE.parent),
        ignore_system_fonts=True,
        sys_inputs={"terms": msgspec.json.encode(terms).decode()},
        timestamp=at,
    )
    return content
