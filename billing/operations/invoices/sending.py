"""Sending a finalised invoice by e-mail."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from billing.queries.invoices import find_invoice
from billing.queries.parties import addressee_of
from billing.queries.pdf import invoice_pdf
from billing.rules.invoices import Invoice, fact
from common.errors import InvalidTransition, ProblemError
from common.money import format_document_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization


class NoAddress(ProblemError):
    """Nobody's e-mail address is known for this invoice."""

    code = "no_email_address"
    status = 422
    title = "No e-mail address"


class MailFailed(ProblemError):
    """The mail server did not take the message; send it again later."""

    code = "mail_failed"
    status = 503
    retryable = True


def send_invoice(*, organization: UUID, invoice: UUID, author: Author) -> Invoice:
    """This function will send an invoice as PDF to whom it is addressed, note that, and return it.

    No transaction is open while the mail server is asked. A crash between the mail and the note sends it again: twice
    is better than never. Raises NotFound, InvalidTransition (no number yet, or void), NoAddress and MailFailed.
    """

    def read(cur: Cursor) -> str:
        found = find_invoice(cur, organization=organization, invoice=invoice)
        if not found.is_finalized or found.status == "void":
            raise InvalidTransition("Only an invoice with a number that is not void is sent.")
        contact = addressee_of(cur, invoice)
        if contact is None or not contact.email:
            raise NoAddress
        return contact.email

    address = run_in_transaction(read)
    found, content = invoice_pdf(organization=organization, invoice=invoice)
    message = _message(found, address)
    message.attach(f"{found.number}.pdf", content, "application/pdf")
    try:
        message.send()
    except OSError as error:
        raise MailFailed(retry_after=60) from error
    return run_in_transaction(lambda cur: _note(cur, organization, invoice, author))


def _message(found: Invoice, address: str) -> EmailMessage:
    text = render_to_string(
        "billing/invoice_mail.txt",
        {
            "invoice": found,
            "seller": found.seller["name"],
            "customer": found.customer["name"],
            "total": format_document_amount(found.total, currency=found.currency),
            "due": format_document_amount(found.due, currency=found.currency),
            "due_at": found.due_at,
        },
    )
    subject, _, body = text.partition("\n\n")
    return EmailMessage(" ".join(subject.split()), body, to=[address])


def _note(cur: Cursor, organization: UUID, invoice: UUID, author: Author) -> Invoice:
    locked = lock_organization(cur, organization)
    found = find_invoice(cur, organization=organization, invoice=invoice)
    sent = replace(found, sent_at=locked.now, version=found.version + 1)
    record(cur, [fact(sent, "sent", at=locked.now)], author=author)
    return sent
