"""/v1/invoices/{id}/…: finalising, voiding, paying, crediting, sending; /v1/credit-notes and /v1/invoice-items.

Finance does it: with a key of the platform here, by the buttons of the admin there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.invoice_representations import show_invoice, show_item, show_note
from billing.api.invoice_serializers import (
    CreditNoteSerializer,
    InvoiceDetailSerializer,
    InvoiceItemSerializer,
    InvoiceReasonSerializer,
    InvoiceSerializer,
    NewCreditNoteSerializer,
    PayInvoiceSerializer,
    ShownInvoiceItemSerializer,
)
from billing.api.invoices import InvoiceView, pdf_response, shown_invoice
from billing.operations.invoices.adding import AddedItem, add_item
from billing.operations.invoices.crediting import NewCreditNote, issue_credit_note
from billing.operations.invoices.finalizing import finalize_invoice
from billing.operations.invoices.paying import NewPayment, record_payment, write_off
from billing.operations.invoices.sending import send_credit_note, send_invoice
from billing.operations.invoices.taxing import ask_tax_of_invoice
from billing.operations.invoices.voiding import void_invoice
from billing.queries.invoices import find_invoice, find_note, lines_of, list_notes, organization_of_note
from billing.queries.items import find_item, list_items, organization_of_item
from billing.queries.pdf import credit_note_pdf
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.errors import InvalidField
from events.store import Cursor
from orgs.api.acting import checked, refuse_fields
from orgs.rules.scopes import BILLING_READ, PLATFORM


class InvoiceActionView(InvoiceView):
    """A view that moves an invoice on."""

    required_scope: ClassVar[Any] = PLATFORM
    money_moves = True

    def act(self, request: Request, name: str, act: Callable[[Cursor, UUID, UUID], Any]) -> HttpResponse:
        """Run an operation on the invoice and answer with what became of it."""
        organization, invoice = self.found(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            act(cur, organization, invoice)
            return shown_invoice(cur, organization=organization, invoice=invoice)

        return self.idempotent(request, operation, status=200)


@extend_schema_view(
    post=extend_schema(request=None, responses={200: InvoiceDetailSerializer}, tags=["invoices"])
)
class InvoiceFinalizeView(InvoiceActionView):
    """POST /v1/invoices/{id}/finalize."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Give a draft its number before its grace period ends, or one that failed once more."""
        refuse_fields(request)
        owner, chosen = self.found(name)
        answers = ask_tax_of_invoice(organization=owner, invoice=chosen)
        return self.act(
            request,
            name,
            lambda cur, organization, invoice: finalize_invoice(
                cur, organization=organization, invoice=invoice, answers=answers, author=self.author
            ),
        )


@extend_schema_view(
    post=extend_schema(
        request=InvoiceReasonSerializer, responses={200: InvoiceDetailSerializer}, tags=["invoices"]
    )
)
class InvoiceVoidView(InvoiceActionView):
    """POST /v1/invoices/{id}/void."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Take back a draft, or an open invoice on which nothing was paid. What it took is due again at the next
        boundary; its number stays used."""
        reason = checked(InvoiceReasonSerializer, request)["reason"]
        return self.act(
            request,
            name,
            lambda cur, organization, invoice: void_invoice(
                cur, organization=organization, invoice=invoice, reason=reason, author=self.author
            ),
        )


@extend_schema_view(
    post=extend_schema(
        request=InvoiceReasonSerializer, responses={200: InvoiceDetailSerializer}, tags=["invoices"]
    )
)
class InvoiceWriteOffView(InvoiceActionView):
    """POST /v1/invoices/{id}/write-off."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Give up what is due: the invoice is uncollectible, and a payment that comes after all takes the loss back."""
        reason = checked(InvoiceReasonSerializer, request)["reason"]
        return self.act(
            request,
            name,
            lambda cur, organization, invoice: write_off(
                cur, organization=organization, invoice=invoice, reason=reason, author=self.author
            ),
        )


@extend_schema_view(
    post=extend_schema(
        request=PayInvoiceSerializer, responses={200: InvoiceDetailSerializer}, tags=["invoices"]
    )
)
class InvoicePayView(InvoiceActionView):
    """POST /v1/invoices/{id}/pay."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Record a payment. A part lowers what is due; what is over becomes credit."""
        values = checked(PayInvoiceSerializer, request)
        payment = NewPayment(
            values["amount"],
            values["currency"],
            values["method"],
            values["reference"],
            values.get("paid_at"),
        )
        return self.act(
            request,
            name,
            lambda cur, organization, invoice: record_payment(
                cur, organization=organization, invoice=invoice, payment=payment, author=self.author
            ),
        )


@extend_schema_view(post=extend_schema(request=None, responses={200: InvoiceSerializer}, tags=["invoices"]))
class InvoiceSendView(InvoiceView):
    """POST /v1/invoices/{id}/send."""

    required_scope: ClassVar[Any] = PLATFORM
    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Send a finalised invoice by e-mail, as PDF, to whom it is addressed. Each call sends it; after 502
        `mail_unanswered` nobody knows whether it did."""
        refuse_fields(request)
        organization, invoice = self.found(name)
        sent = send_invoice(organization=organization, invoice=invoice, author=self.author)
        return json_response(show_invoice(sent))


@extend_schema_view(
    get=extend_schema(responses=CreditNoteSerializer(many=True), tags=["invoices"]),
    post=extend_schema(
        request=NewCreditNoteSerializer, responses={201: CreditNoteSerializer}, tags=["invoices"]
    ),
)
class InvoiceCreditNotesView(InvoiceView):
    """GET and POST /v1/invoices/{id}/credit-notes."""

    required_scope: ClassVar[Any] = {"GET": BILLING_READ, "POST": PLATFORM}
    paged = True
    money_moves = True

    def get(self, request: Request, name: str) -> HttpResponse:
        """The credit notes of an invoice, newest first."""
        organization, invoice = self.found(name)
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            found = find_invoice(cur, organization=organization, invoice=invoice)
            rows = list_notes(
                cur,
                organization=organization,
                invoice=found.id,
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_note)

        return self.answer(read)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Take back an amount, lines, or whatever is left of an invoice. What was paid of it becomes credit."""
        values = checked(NewCreditNoteSerializer, request)
        if "amount" in values and "lines" in values:
            raise InvalidField("A credit note is over an amount or over lines.", pointer="/lines")
        organization, invoice = self.found(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            lines = _wanted(cur, organization, invoice, values["lines"]) if "lines" in values else None
            new = NewCreditNote(values["reason"], values.get("amount"), lines)
            note = issue_credit_note(
                cur, organization=organization, invoice=invoice, new=new, author=self.author
            )
            return show_note(note)

        return self.idempotent(request, operation)


@extend_schema_view(get=extend_schema(responses=CreditNoteSerializer(many=True), tags=["invoices"]))
class CreditNoteListView(InvoiceView):
    """GET /v1/credit-notes."""

    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's credit notes, newest first."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            rows = list_notes(
                cur,
                organization=organization,
                invoice=None,
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_note)

        return self.answer(read)


@extend_schema_view(get=extend_schema(responses=CreditNoteSerializer, tags=["invoices"]))
class CreditNoteDetailView(InvoiceView):
    """GET /v1/credit-notes/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One credit note."""
        note = path_id(name)
        organization = self.for_object(name, organization_of_note)
        return self.answer(lambda cur: show_note(find_note(cur, organization=organization, note=note)))


@extend_schema_view(
    get=extend_schema(responses={(200, "application/pdf"): OpenApiTypes.BINARY}, tags=["invoices"]),
)
class CreditNotePdfView(InvoiceView):
    """GET /v1/credit-notes/{id}/pdf."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """The document as PDF."""
        note = path_id(name)
        organization = self.for_object(name, organization_of_note)
        found, content = credit_note_pdf(organization=organization, note=note)
        return pdf_response(found.number, content)


@extend_schema_view(
    post=extend_schema(request=None, responses={200: CreditNoteSerializer}, tags=["invoices"])
)
class CreditNoteSendView(InvoiceView):
    """POST /v1/credit-notes/{id}/send."""

    required_scope: ClassVar[Any] = PLATFORM
    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Send a credit note by e-mail, as PDF, to whom its invoice is addressed. Each call sends it; after 502
        `mail_unanswered` nobody knows whether it did."""
        refuse_fields(request)
        note = path_id(name)
        organization = self.for_object(name, organization_of_note)
        return json_response(show_note(send_credit_note(organization=organization, note=note)))


@extend_schema_view(
    get=extend_schema(
        parameters=[OpenApiParameter("open", bool)],
        responses=ShownInvoiceItemSerializer(many=True),
        tags=["invoices"],
    ),
    post=extend_schema(
        request=InvoiceItemSerializer, responses={201: ShownInvoiceItemSerializer}, tags=["invoices"]
    ),
)
class InvoiceItemListView(InvoiceView):
    """GET and POST /v1/invoice-items."""

    required_scope: ClassVar[Any] = {"GET": BILLING_READ, "POST": PLATFORM}
    query_parameters = ("open",)
    paged = True
    money_moves = True

    def get(self, request: Request) -> HttpResponse:
        """What the organization owes besides use, newest first: `open=true` what waits for an invoice."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        is_open = self.query.flag("open")

        def read(cur: Cursor) -> dict[str, Any]:
            rows = list_items(
                cur,
                organization=organization,
                is_open=is_open,
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            return envelope(
                rows,
                page=page,
                position=lambda row: (str(row.id),),
                show=lambda row: show_item(row, organization),
            )

        return self.answer(read)

    def post(self, request: Request) -> HttpResponse:
        """Add a charge, or an amount that is owed back, to the customer's next invoice."""
        values = checked(InvoiceItemSerializer, request)
        organization = self.for_new(values)
        sign = -1 if values.get("direction") == "credit" else 1
        new = AddedItem(
            values["description"],
            sign * values["amount"],
            values["currency"],
            values.get("due_at"),
            values.get("tax_code", "standard"),
            values.get("discountable", True),
        )

        def operation(cur: Cursor) -> dict[str, Any]:
            item = add_item(cur, organization=organization, new=new, author=self.author)
            return show_item(find_item(cur, organization=organization, item=item), organization)

        return self.idempotent(request, operation)


@extend_schema_view(get=extend_schema(responses=ShownInvoiceItemSerializer, tags=["invoices"]))
class InvoiceItemDetailView(InvoiceView):
    """GET /v1/invoice-items/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One item."""
        item = path_id(name)
        organization = self.for_object(name, organization_of_item)
        return self.answer(
            lambda cur: show_item(find_item(cur, organization=organization, item=item), organization)
        )


def _wanted(cur: Cursor, organization: UUID, invoice: UUID, lines: list[dict[str, Any]]) -> dict[int, int]:
    """Net amounts by line, each with the sign of its line. Raises NotFound and InvalidField (a line twice)."""
    found = find_invoice(cur, organization=organization, invoice=invoice)
    negative = {row.n for row in lines_of(cur, found.id) if row.net < 0}
    numbers = [line["line"] for line in lines]
    if not numbers or len(set(numbers)) != len(numbers):
        raise InvalidField("Each line is named once, at least one.", pointer="/lines")
    return {line["line"]: -line["net"] if line["line"] in negative else line["net"] for line in lines}
