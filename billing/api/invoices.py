"""/v1/invoices: reading them, their lines, and why a line says what it says (S74, S80)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, Final
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.invoice_representations import (
    show_explained,
    show_invoice,
    show_line,
    show_payment,
    show_upcoming,
)
from billing.api.invoice_serializers import (
    InvoiceDetailSerializer,
    InvoiceLineSerializer,
    InvoiceSerializer,
    LineExplanationSerializer,
    UpcomingInvoiceSerializer,
)
from billing.api.metered_csv import csv_cell, metered_csv
from billing.operations.invoices.previewing import upcoming_invoices
from billing.queries.explaining import explain_line, metered_records, usage_range
from billing.queries.invoices import (
    find_invoice,
    lines_of,
    list_invoices,
    organization_of_invoice,
    payments_of,
)
from billing.queries.parties import addressee_of
from billing.queries.pdf import invoice_pdf
from billing.queries.standing import Range
from billing.queries.usage import FIRST, Record, records_after
from billing.rules.invoices import STATES
from billing.rules.usagelines import Group
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.errors import NotFound
from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView
from orgs.queries.organizations import find_organization
from orgs.rules.facts import time_text
from orgs.rules.scopes import BILLING_READ

RECORD_COLUMNS: Final = (
    "id", "occurred_at", "recorded_at", "agent", "run", "outcome", "charge", "currency", "input_tokens",
    "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens", "reasoning_output_tokens", "tool_calls",
    "price_version", "funding",
)  # fmt: skip
RECORDS_AT_ONCE: Final = 2_000


class InvoiceView(OrgsView):
    """A view of invoices, for whoever may read the organization's billing."""

    required_scope: ClassVar[Any] = BILLING_READ

    def found(self, name: str) -> tuple[UUID, UUID]:
        """The organization and the id of the invoice in the path. Raises NotFound."""
        invoice = path_id(name)
        return self.for_object(name, organization_of_invoice), invoice

    def answer(self, read: Any) -> HttpResponse:
        """What one reading transaction found."""
        return json_response(run_in_transaction(read))


@extend_schema_view(
    get=extend_schema(
        parameters=[OpenApiParameter("status", str, enum=STATES), OpenApiParameter("number", str)],
        responses=InvoiceSerializer(many=True),
        tags=["invoices"],
    )
)
class InvoiceListView(InvoiceView):
    """GET /v1/invoices."""

    query_parameters = ("status", "number")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's invoices, newest first."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        status = self.query.choice("status", options=STATES)
        number = self.query.text("number", max_length=40)

        def read(cur: Cursor) -> dict[str, Any]:
            rows = list_invoices(
                cur,
                organization=organization,
                status=status,
                number=number,
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_invoice)

        return self.answer(read)


@extend_schema_view(get=extend_schema(responses=UpcomingInvoiceSerializer, tags=["invoices"]))
class UpcomingInvoiceView(InvoiceView):
    """GET /v1/invoices/upcoming."""

    def get(self, request: Request) -> HttpResponse:
        """The next invoice as it would be if nothing were used any more, from the code that will make it: that of the
        next boundary which makes one, at the latest the end of the cycle. Where the
        customer has one for each subscription, `invoices` has each of them, and the figures above are their sums."""
        organization = self.for_list()
        currency = run_in_transaction(lambda cur: find_organization(cur, organization=organization).currency)
        return json_response(show_upcoming(upcoming_invoices(organization=organization), currency))


@extend_schema_view(get=extend_schema(responses=InvoiceDetailSerializer, tags=["invoices"]))
class InvoiceDetailView(InvoiceView):
    """GET /v1/invoices/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One invoice with what was paid on it."""
        organization, invoice = self.found(name)
        return self.answer(partial(shown_invoice, organization=organization, invoice=invoice))


@extend_schema_view(get=extend_schema(responses=InvoiceLineSerializer(many=True), tags=["invoices"]))
class InvoiceLinesView(InvoiceView):
    """GET /v1/invoices/{id}/lines."""

    paged = True

    def get(self, request: Request, name: str) -> HttpResponse:
        """The lines of an invoice in their order."""
        organization, invoice = self.found(name)
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            found = find_invoice(cur, organization=organization, invoice=invoice)
            after = page.position[0] if page.position else 0
            rows = lines_of(cur, found.id, after=after, limit=page.fetch)
            return envelope(
                rows,
                page=page,
                position=lambda row: (row.n,),
                show=lambda row: show_line(row, found.currency),
            )

        return self.answer(read)


@extend_schema_view(get=extend_schema(responses=LineExplanationSerializer, tags=["invoices"]))
class LineExplanationView(InvoiceView):
    """GET /v1/invoices/{id}/lines/{line}/explain."""

    def get(self, request: Request, name: str, line: str) -> HttpResponse:
        """Why a line says what it says: quantities, prices, steps, and its records added up again by other code. Of
        more than 100,000 records `recount` is null: `records.csv` has them all."""
        organization, invoice = self.found(name)
        number = line_number(line)

        def read(cur: Cursor) -> dict[str, Any]:
            found = explain_line(cur, organization=organization, invoice=invoice, number=number)
            currency = find_invoice(cur, organization=organization, invoice=invoice).currency
            return show_explained(found, currency)

        return self.answer(read)


@extend_schema_view(
    get=extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR}, tags=["invoices"]),
)
class LineRecordsView(InvoiceView):
    """GET /v1/invoices/{id}/lines/{line}/records.csv."""

    def get(self, request: Request, name: str, line: str) -> StreamingHttpResponse:
        """All records of a line over use or over a meter, in the order of their ids, as CSV."""
        organization, invoice = self.found(name)
        number = line_number(line)
        metered = run_in_transaction(
            lambda cur: metered_records(cur, organization=organization, invoice=invoice, number=number)
        )
        if metered is not None:
            rows = metered_csv(organization, metered)
        else:
            group, chosen = run_in_transaction(
                lambda cur: usage_range(cur, organization=organization, invoice=invoice, number=number)
            )
            rows = _csv(organization, group, chosen)
        response = StreamingHttpResponse(rows, content_type="text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = f'attachment; filename="{invoice}-{number}.csv"'
        return response


@extend_schema_view(
    get=extend_schema(responses={(200, "application/pdf"): OpenApiTypes.BINARY}, tags=["invoices"]),
)
class InvoicePdfView(InvoiceView):
    """GET /v1/invoices/{id}/pdf."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """The document as PDF; one without a number says that it is a draft."""
        organization, invoice = self.found(name)
        found, content = invoice_pdf(organization=organization, invoice=invoice)
        return pdf_response(found.number or str(found.id), content)


def pdf_response(name: str, content: bytes) -> HttpResponse:
    """Return a document as the answer, under its name."""
    response = HttpResponse(content, content_type="application/pdf")
    response.headers["Content-Disposition"] = f'inline; filename="{name}.pdf"'
    return response


def shown_invoice(cur: Cursor, *, organization: UUID, invoice: UUID) -> dict[str, Any]:
    """Return an invoice with what was paid on it, as answers show it. Raises NotFound."""
    found = find_invoice(cur, organization=organization, invoice=invoice)
    payments = [show_payment(payment, found.currency) for payment in payments_of(cur, invoice)]
    return {**show_invoice(found, addressee_of(cur, invoice)), "payments": payments}


def line_number(text: str) -> int:
    """The number of a line in a path. Raises NotFound."""
    if not (text.isascii() and text.isdigit() and len(text) <= 6) or text.startswith("0"):
        raise NotFound("The invoice has no such line.")
    return int(text)


def _csv(organization: UUID, group: Group, chosen: Range) -> Iterator[bytes]:
    """The rows, each piece in a transaction of its own: nobody waits for a slow reader."""
    yield (",".join(RECORD_COLUMNS) + "\r\n").encode()
    after = FIRST
    while True:
        rows = run_in_transaction(
            partial(
                records_after,
                organization=organization,
                chosen=chosen,
                group=group,
                after=after,
                limit=RECORDS_AT_ONCE,
            )
        )
        if rows:
            yield _csv_rows(rows)
            after = rows[-1].id
        if len(rows) < RECORDS_AT_ONCE:
            return


def _csv_rows(rows: list[Record]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    for record in rows:
        values = {name: getattr(record, name) for name in RECORD_COLUMNS}
        values["charge"] = format_amount(record.charge)
        values["occurred_at"], values["recorded_at"] = (
            time_text(record.occurred_at),
            time_text(record.recorded_at),
        )
        writer.writerow([csv_cell(values[name]) for name in RECORD_COLUMNS])
    return text.getvalue().encode()
