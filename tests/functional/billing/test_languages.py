"""Invoices, credit notes and letters in the language of the customer's billing profile."""

import secrets
from typing import Any

import msgspec
import pytest
import typst
from django.core import mail

from billing.operations.dunning.telling import KIND as NOTICES
from billing.operations.invoices.sending import KIND as DOCUMENTS
from billing.operations.letters import send_due
from billing.queries.invoices import find_note
from billing.queries.pdf import TEMPLATE
from billing.queries.terms import credit_note_terms, invoice_terms
from tests.builders.billing import Billed, billed
from tests.builders.dunning import in_arrears
from tests.builders.orgs import caller, write
from tests.functional.billing.test_documents import WHY, problem

PRINTED = ("<facts>", "<lines>", "<totals>", "<foot>")
INVOICE = {
    "en": ("Issued", "Description", "To pay", "Terms: 14 days net."),
    "de": ("Ausgestellt am", "Bezeichnung", "Zu zahlen", "Zahlungsziel: 14 Tage netto."),
    "fr": ("Émis le", "Désignation", "À payer", "Conditions : 14 jours nets."),
    "es": ("Emitida el", "Descripción", "A pagar", "Condiciones: 14 días netos."),
}
NOTE = {
    "en": ("For invoice", "Reason", "Credit of your account"),
    "de": ("Zur Rechnung", "Grund", "Guthaben auf Ihrem Konto"),
    "fr": ("Sur la facture", "Motif", "Crédit de votre compte"),
    "es": ("Rectifica la factura", "Motivo", "Crédito de su cuenta"),
}
LETTERS = {
    "en": ("Invoice ", "are to be paid by", "Credit note ", "not to be paid any more"),
    "de": ("Rechnung ", "zu zahlen", "Rechnungskorrektur ", "nicht mehr zu zahlen"),
    "fr": ("Facture ", "sont à payer", "Avoir ", "plus à payer"),
    "es": ("Factura ", "Deben pagarse", "Factura rectificativa ", "ya no se debe"),
}
OVERDUE = {
    "en": ("Your payment is overdue", "due on"),
    "de": ("Ihre Zahlung ist überfällig", "fällig am"),
    "fr": ("Votre paiement est en retard", "échue le"),
    "es": ("Su pago está vencido", "vencida el"),
}
READ_AS = pytest.mark.parametrize(
    ("language", "written"),
    [("en", "en"), ("de", "de"), ("fr", "fr"), ("es", "es"), ("de-AT", "de"), ("pt-BR", "en")],
    ids=["English", "German", "French", "Spanish", "that of another country", "another in English"],
)


def invoiced(language: str) -> tuple[Billed, dict[str, Any], str]:
    """A customer who reads a language and pays by invoice, one over 1.19, and its address."""
    made = billed(country="DE")
    address = f"books-{secrets.token_hex(4)}@example.com"
    contact = {"name": "Ada", "email": address}
    made.profile(language=language, collection="send_invoice", contact=contact)
    made.use("1")
    made.pass_months()
    made.run()
    return made, made.only(), address


def printed(terms: dict[str, Any]) -> str:
    """What the template makes of the parts of a document that have words."""
    given = {"terms": msgspec.json.encode(terms).decode()}
    root = str(TEMPLATE.parent)
    return "".join(str(typst.query(str(TEMPLATE), part, root=root, sys_inputs=given)) for part in PRINTED)


@READ_AS
def test_documents_and_their_letters_are_in_the_language_of(language: str, written: str) -> None:
    made, invoice, address = invoiced(language)
    profile = made.reader.get("/v1/billing-profile").json()
    assert (profile["language"], profile["document_language"]) == (language, written)
    said = printed(write(lambda cur: invoice_terms(cur, organization=made.id, invoice=invoice["id"])))
    assert [word for word in INVOICE[written] if word not in said] == []
    others = [word for name, words in INVOICE.items() if name != written for word in words]
    assert [word for word in others if word in said] == []

    send_due([DOCUMENTS])
    note = made.act(invoice["id"], "credit-notes", WHY).json()
    send_due([DOCUMENTS])
    terms = write(lambda cur: credit_note_terms(cur, find_note(cur, organization=made.id, note=note["id"])))
    said = printed(terms)
    assert [word for word in NOTE[written] if word not in said] == []

    letters = [one for one in mail.outbox if one.to == [address]]
    titles, bodies = LETTERS[written][::2], LETTERS[written][1::2]
    paths = f"invoices/{invoice['id']}", f"credit-notes/{note['id']}"
    for letter, title, body, path, made_of in zip(
        letters, titles, bodies, paths, (invoice, note), strict=True
    ):
        titled = f"{title}{made_of['number']}"
        assert letter.subject.startswith(titled)
        assert body in letter.body
        pdf = made.reader.get(f"/v1/{path}/pdf")
        assert (pdf.status_code, titled.encode() in pdf.content) == (200, True)


@READ_AS
def test_a_reminder_is_in_the_language_of(language: str, written: str) -> None:
    dunned = in_arrears()
    address = f"books-{secrets.token_hex(4)}@example.com"
    dunned.made.profile(language=language, contact={"name": "Ada", "email": address})
    send_due([NOTICES])
    (letter,) = [one for one in mail.outbox if one.to == [address]]
    subject, body = OVERDUE[written]
    assert (letter.subject, body in letter.body) == (subject, True)


def test_an_invoice_stays_in_the_language_that_it_was_made_in() -> None:
    made, invoice, _ = invoiced("fr")
    before = made.reader.get(f"/v1/invoices/{invoice['id']}/pdf").content
    made.profile(language="es")
    assert made.reader.get(f"/v1/invoices/{invoice['id']}/pdf").content == before


def test_what_documents_are_written_in_is_nobodys_to_set() -> None:
    made = billed()
    billing = caller(made.id, "billing:write", "billing:read")
    with made.still():
        answer = billing.patch("/v1/billing-profile", {"document_language": "de"})
        assert problem(answer) == (400, "unknown_field")
