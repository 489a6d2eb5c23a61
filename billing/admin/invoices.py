"""Invoices, credit notes and billing runs for the staff; finance moves them on by the operations of the API."""

from __future__ import annotations

from functools import partial

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from billing.models import BillingRun, CreditNote, DocumentLetter, Invoice
from billing.operations.invoices.crediting import NewCreditNote, issue_credit_note
from billing.operations.invoices.finalizing import finalize_invoice
from billing.operations.invoices.paying import METHODS, NewPayment, record_payment, write_off
from billing.operations.invoices.sending import send_credit_note, send_invoice
from billing.operations.invoices.taxing import ask_tax_of_invoice
from billing.operations.invoices.voiding import void_invoice
from billing.operations.payments.collecting import collect_invoice
from billing.operations.payments.refunding import refund_credit_note
from billing.operations.runs import resume_customer
from billing.queries.invoices import find_invoice, lines_of
from billing.queries.pdf import credit_note_pdf, invoice_pdf
from billing.rules.telling import signed
from common.money import format_amount, parse_amount
from common.transactions import run_in_transaction
from orgs.admin import ReadOnlyAdmin
from orgs.operations.facts import Author


class InvoiceActionForm(ActionForm):
    """What actions on invoices ask besides."""

    reason = forms.CharField(required=False, max_length=500)
    amount = forms.CharField(required=False, max_length=20, help_text="Of a payment or credit note")
    method = forms.ChoiceField(required=False, choices=[(name, name) for name in METHODS])
    reference = forms.CharField(required=False, max_length=200)


@admin.register(Invoice)
class InvoiceAdmin(ReadOnlyAdmin):
    """Invoices, with their lines to read."""

    action_form = InvoiceActionForm
    list_display = (
        "number", "organization", "status", "cause", "shown_total", "shown_due", "currency", "dated_at", "due_at",
    )  # fmt: skip
    list_filter = ("status", "cause")
    search_fields = ("=id", "=organization", "=number")
    actions = ("pdf", "finalize", "send", "collect", "pay", "credit", "void", "write_off")
    readonly_fields = ("shown_lines", "shown_progressive")

    @admin.display(description="total")
    def shown_total(self, invoice: Invoice) -> str:
        """What it is over."""
        return format_amount(invoice.total)

    @admin.display(description="due")
    def shown_due(self, invoice: Invoice) -> str:
        """What is still to pay."""
        if invoice.status == "void":
            return "0"
        return format_amount(max(0, invoice.total - invoice.paid - invoice.credited - invoice.written_off))

    @admin.display(description="lines")
    def shown_lines(self, invoice: Invoice) -> SafeString:
        """Its lines."""
        lines = run_in_transaction(lambda cur: lines_of(cur, invoice.id, limit=500))
        rows = (
            (line.n, line.description, format_amount(line.amount), format_amount(line.net)) for line in lines
        )
        return format_html_join("", "<p>{}. {}: {} (net {})</p>", rows)

    @admin.display(description="progressive billing")
    def shown_progressive(self, invoice: Invoice) -> str:
        """What the last invoice of a period states of those that thresholds made before."""
        find = partial(find_invoice, organization=invoice.organization, invoice=invoice.id)
        stated = run_in_transaction(find).progressive
        if stated is None:
            return "-"
        fees, credit = stated["fees"], stated["credit"]
        return f"fees {signed(fees)}, progressive credit {signed(credit)}, due {signed(fees - credit)}"

    @admin.action(description="Show the chosen invoice as PDF")
    def pdf(self, request: HttpRequest, rows: QuerySet[Invoice]) -> HttpResponse:
        """The document of the first of them."""
        row = rows[0]
        return _shown(invoice_pdf(organization=row.organization, invoice=row.id)[1])

    @admin.action(description="Finalise the chosen invoices", permissions=["operate"])
    def finalize(self, request: HttpRequest, rows: QuerySet[Invoice]) -> None:
        """Give each its number."""

        def one(row: Invoice, author: Author) -> None:
            answers = ask_tax_of_invoice(organization=row.organization, invoice=row.id)
            run_in_transaction(
                lambda cur: finalize_invoice(
                    cur, organization=row.organization, invoice=row.id, answers=answers, author=author
                )
            )

        self.each(request, rows, one)

    @admin.action(description="Send the chosen invoices by e-mail", permissions=["operate"])
    def send(self, request: HttpRequest, rows: QuerySet[Invoice]) -> None:
        """Send each to whom it is addressed."""
        self.each(
            request,
            rows,
            lambda row, author: send_invoice(organization=row.organization, invoice=row.id, author=author),
        )

    @admin.action(description="Charge what is due to the default payment method", permissions=["operate"])
    def collect(self, request: HttpRequest, rows: QuerySet[Invoice]) -> None:
        """Ask for a payment of each; while one is under way no other begins."""
        self.run(
            request,
            rows,
            lambda row, author, cur: collect_invoice(
                cur, organization=row.organization, invoice=row.id, author=author
            ),
        )

    @admin.action(description="Record a payment (amount, method, reference)", permissions=["operate"])
    def pay(self, request: HttpRequest, rows: QuerySet[Invoice]) -> None:
        """Record the payment of the fields beside on each."""
        method, reference = request.POST.get("method", ""), request.POST.get("reference", "").strip()
        if method not in METHODS or not reference:
            self.message_user(request, "A payment has a method and a reference.", messages.ERROR)
            return

        def one(row: Invoice, author: Author) -> None:
            amount = parse_amount(request.POST.get("amount", ""))
            payment = NewPayment(amount, row.currency, method, reference)
            run_in_transaction(
                lambda cur: record_payment(
                    cur, organization=row.organization, invoice=row.id, payment=payment, author=author
                )
            )

        self.each(request, rows, one)

    @admin.action(description="Issue a credit note (reason; amount, or all)", permissions=["operate"])
    def credit(self, request: HttpRequest, rows: QuerySet[Invoice]) -> None:
        """Take back the amount beside, or whatever is left, of each."""

        def one(row: Invoice, author: Author) -> None:
            text = request.POST.get("amount", "").strip()
            new = NewCreditNote(request.POST.get("reason", ""), parse_amount(text) if text else None)
            run_in_transaction(
                lambda cur: issue_credit_note(
                    cur, organization=row.organization, invoice=row.id, new=new, author=author
                )
            )

        self.each(request, rows, one)

    @admin.action(description="Void the chosen invoices (reason)", permissions=["operate"])
    def void(self, request: HttpRequest, rows: QuerySet[Invoice]) -> None:
        """Take each back whole."""
        reason = request.POST.get("reason", "")
        self.run(
            request,
            rows,
            lambda row, author, cur: void_invoice(
                cur, organization=row.organization, invoice=row.id, reason=reason, author=author
            ),
        )

    @admin.action(description="Write the chosen invoices off (reason)", permissions=["operate"])
    def write_off(self, request: HttpRequest, rows: QuerySet[Invoice]) -> None:
        """Give up what is due on each."""
        reason = request.POST.get("reason", "")
        self.run(
            request,
            rows,
            lambda row, author, cur: write_off(
                cur, organization=row.organization, invoice=row.id, reason=reason, author=author
            ),
        )


@admin.register(CreditNote)
class CreditNoteAdmin(ReadOnlyAdmin):
    """Credit notes."""

    list_display = ("number", "organization", "invoice_id", "shown_total", "currency", "dated_at", "reason")
    search_fields = ("=id", "=organization", "=invoice_id", "=number")
    actions = ("pdf", "send", "refund")

    @admin.action(description="Show the chosen credit note as PDF")
    def pdf(self, request: HttpRequest, rows: QuerySet[CreditNote]) -> HttpResponse:
        """The document of the first of them."""
        row = rows[0]
        return _shown(credit_note_pdf(organization=row.organization, note=row.id)[1])

    @admin.action(description="Send the chosen credit notes by e-mail", permissions=["operate"])
    def send(self, request: HttpRequest, rows: QuerySet[CreditNote]) -> None:
        """Send each to whom its invoice is addressed."""
        self.each(request, rows, lambda row, _: send_credit_note(organization=row.organization, note=row.id))

    @admin.action(description="Refund what the chosen notes gave back as credit", permissions=["operate"])
    def refund(self, request: HttpRequest, rows: QuerySet[CreditNote]) -> None:
        """Give it back by the way it came; the credit goes with the refund. Chosen again, they are the same refunds."""
        self.run(
            request,
            rows,
            lambda row, author, cur: refund_credit_note(
                cur, organization=row.organization, note=row.id, author=author
            ),
        )

    @admin.display(description="total")
    def shown_total(self, note: CreditNote) -> str:
        """What it takes back."""
        return format_amount(note.total)


@admin.register(DocumentLetter)
class DocumentLetterAdmin(ReadOnlyAdmin):
    """Invoices and credit notes that go out by themselves, and what became of each."""

    list_display = (
        "kind",
        "document",
        "organization",
        "status",
        "attempts",
        "made_at",
        "next_try_at",
        "done_at",
    )
    list_filter = ("status", "kind")
    search_fields = ("=organization", "=document")


@admin.register(BillingRun)
class BillingRunAdmin(ReadOnlyAdmin):
    """Customers whose billing is in work or meets trouble."""

    list_display = ("organization", "failures", "failed_at", "parked_at", "last_error")
    search_fields = ("=organization",)
    actions = ("resume",)

    @admin.action(description="Let the chosen customers be billed again", permissions=["operate"])
    def resume(self, request: HttpRequest, rows: QuerySet[BillingRun]) -> None:
        """Forget each one's failures."""
        self.run(request, rows, lambda row, author, cur: resume_customer(cur, organization=row.organization))


def _shown(content: bytes) -> HttpResponse:
    return HttpResponse(content, content_type="application/pdf")
