"""Documents by e-mail: by themselves once for customers who pay by invoice, and whenever somebody asks.

A letter goes out as `billing/operations/letters.py` says. One that did not arrive, or of which nobody knows, is a
finding until the document is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final
from uuid import UUID

from billing.operations import letters
from billing.operations.findings import open_finding, resolve_open
from billing.queries.invoices import CreditNote, find_invoice, find_note
from billing.queries.parties import addressee_of
from billing.queries.pdf import credit_note_pdf, invoice_pdf
from billing.rules.findings import DOCUMENT_NOT_SENT
from billing.rules.invoices import Invoice, fact
from common.errors import InvalidTransition, ProblemError
from common.ids import new_id
from common.mailing import Mailbox, MessageRefused, NoMailServer, OutcomeUnknown
from common.money import format_document_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.rows import LockedOrganization

TABLE: Final = "document_letters"
INVOICE, CREDIT_NOTE, NO_ADDRESS = "invoice", "credit_note", "no_address"
AUTHOR: Final = Author("system:billing")
_PATHS: Final = {INVOICE: "invoices", CREDIT_NOTE: "credit-notes"}
_WAITS: Final = """
INSERT INTO document_letters (id, organization, document, kind, made_at, status, attempts, next_try_at)
SELECT %s, organization, %s, %s, %s, 'waiting', 0, clock_timestamp() FROM billing_profiles
WHERE organization = %s AND collection = 'send_invoice' ON CONFLICT (document) DO NOTHING
"""
_READ: Final = """
SELECT document, kind FROM document_letters
WHERE id = %s AND organization = %s AND status = 'waiting' AND next_try_at <= clock_timestamp() FOR NO KEY UPDATE
"""
_OF: Final = "SELECT document, kind FROM document_letters WHERE id = %s"


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


class MailUnanswered(ProblemError):
    """The mail server was given the message and fell silent; ask whom it goes to before you send it again."""

    code = "mail_unanswered"
    status = 502


def send_by_itself(cur: Cursor, organization: LockedOrganization, *, document: UUID, kind: str) -> None:
    """This function will have a document mailed, in the transaction that gives it its number, to a customer whose
    profile says `send_invoice`."""
    cur.execute(_WAITS, (new_id(), document, kind, organization.now, organization.id))


def send_invoice(*, organization: UUID, invoice: UUID, author: Author) -> Invoice:
    """This function will send an invoice as PDF to whom it is addressed, note that, and return it.

    No transaction is open while the mail server is asked. A crash between the mail and the note sends it again: twice
    is better than never. Raises NotFound, InvalidTransition (no number yet, or void), NoAddress, MailFailed and
    MailUnanswered.
    """

    def read(cur: Cursor) -> letters.Letter:
        found = find_invoice(cur, organization=organization, invoice=invoice)
        if not found.is_finalized or found.status == "void":
            raise InvalidTransition("Only an invoice with a number that is not void is sent.")
        return _invoice_letter(found, _address(cur, invoice), author)

    _send(run_in_transaction(read))
    return run_in_transaction(lambda cur: _note(cur, organization, invoice, author))


def send_credit_note(*, organization: UUID, note: UUID) -> CreditNote:
    """This function will send a credit note as PDF to whom its invoice is addressed, and return it.

    Raises NotFound, NoAddress, MailFailed and MailUnanswered.
    """

    def read(cur: Cursor) -> tuple[CreditNote, letters.Letter]:
        found = find_note(cur, organization=organization, note=note)
        return found, _note_letter(cur, found, _address(cur, found.invoice_id))

    found, letter = run_in_transaction(read)
    _send(letter)
    run_in_transaction(lambda cur: _settle(cur, organization, CREDIT_NOTE, note))
    return found


def _send(letter: letters.Letter) -> None:
    message = letters.message_of(letter)
    try:
        with Mailbox() as mailbox:
            mailbox.send(message)
    except (NoMailServer, MessageRefused) as error:
        raise MailFailed(retry_after=60) from error
    except OutcomeUnknown as error:
        raise MailUnanswered from error


def _address(cur: Cursor, invoice: UUID) -> str:
    contact = addressee_of(cur, invoice)
    if contact is None or not contact.email:
        raise NoAddress
    return contact.email


def _read(cur: Cursor, organization: UUID, letter: UUID) -> letters.Letter | None:
    lock_organization(cur, organization)
    row = cur.execute(_READ, (letter, organization)).fetchone()
    if row is None:
        return None
    try:
        made = _letter(cur, organization, *row)
    except NoAddress:
        letters.mark(cur, table=TABLE, letter=letter, status=NO_ADDRESS)
        _lose(cur, organization, letter, NO_ADDRESS)
        return None
    if made is None:
        letters.mark(cur, table=TABLE, letter=letter, status="superseded")
    return made


def _lose(cur: Cursor, organization: UUID, letter: UUID, became: str) -> None:
    row = cur.execute(_OF, (letter,)).fetchone()
    assert row is not None
    document, kind = row
    if kind == INVOICE and _is_over(find_invoice(cur, organization=organization, invoice=document)):
        return
    if became == NO_ADDRESS:
        step = "give it to the customer some other way, and resolve this"
    else:
        step = f"POST /v1/{_PATHS[kind]}/{document}/send"
    open_finding(
        cur,
        organization=organization,
        kind=DOCUMENT_NOT_SENT,
        subject=f"{kind}:{document}",
        detail={"letter": str(letter), "became": became},
        proposed={"do": step},
        author=AUTHOR,
    )


def _settle(cur: Cursor, organization: UUID, kind: str, document: UUID) -> None:
    resolve_open(
        cur,
        organization=organization,
        kind=DOCUMENT_NOT_SENT,
        subject=f"{kind}:{document}",
        reason="It was sent.",
        author=AUTHOR,
    )


KIND: Final = letters.Kind(TABLE, _read, _lose)
"""Documents that wait to be mailed."""


def _letter(cur: Cursor, organization: UUID, document: UUID, kind: str) -> letters.Letter | None:
    """None: an invoice that is void, or that somebody has sent meanwhile."""
    if kind == CREDIT_NOTE:
        note = find_note(cur, organization=organization, note=document)
        return _note_letter(cur, note, _address(cur, note.invoice_id))
    found = find_invoice(cur, organization=organization, invoice=document)
    if _is_over(found):
        return None
    return _invoice_letter(found, _address(cur, document), AUTHOR)


def _is_over(found: Invoice) -> bool:
    return found.status == "void" or found.sent_at is not None


def _invoice_letter(found: Invoice, address: str, author: Author) -> letters.Letter:
    context = {
        "invoice": found,
        "seller": found.seller["name"],
        "customer": found.customer["name"],
        "total": format_document_amount(found.total, currency=found.currency),
        "due": format_document_amount(found.due, currency=found.currency),
        "due_at": found.due_at,
    }
    content = partial(invoice_pdf, organization=found.organization, invoice=found.id)
    note = partial(_note, organization=found.organization, invoice=found.id, author=author)
    return letters.Letter(
        address, _template("invoice", found), context, attach=partial(_file, found.number, content), sent=note
    )


def _note_letter(cur: Cursor, found: CreditNote, address: str) -> letters.Letter:
    invoice = find_invoice(cur, organization=found.organization, invoice=found.invoice_id)
    context = {
        "note": found,
        "invoice": invoice,
        "seller": invoice.seller["name"],
        "customer": invoice.customer["name"],
        "total": format_document_amount(found.total, currency=found.currency),
        "credit": format_document_amount(found.credit, currency=found.currency) if found.credit else "",
    }
    content = partial(credit_note_pdf, organization=found.organization, note=found.id)
    return letters.Letter(
        address, _template("credit_note", invoice), context, attach=partial(_file, found.number, content)
    )


def _template(name: str, invoice: Invoice) -> str:
    """A document and its letter are in the same language."""
    return letters.template_of(name, language=invoice.customer.get("language"))


def _file(number: str | None, content: Callable[[], tuple[Any, bytes]]) -> tuple[str, bytes]:
    return f"{number}.pdf", content()[1]


def _note(cur: Cursor, organization: UUID, invoice: UUID, author: Author) -> Invoice:
    locked = lock_organization(cur, organization)
    found = find_invoice(cur, organization=organization, invoice=invoice)
    sent = replace(found, sent_at=locked.now, version=found.version + 1)
    record(cur, [fact(sent, "sent", at=locked.now)], author=author)
    _settle(cur, organization, INVOICE, invoice)
    return sent
