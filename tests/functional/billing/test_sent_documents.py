"""Documents by e-mail: when somebody asks, and by themselves once for who pays by invoice."""

import secrets
from typing import Any

from django.core import mail

from billing.operations.invoices.sending import KIND as DOCUMENTS
from billing.operations.letters import send_due
from tests.builders.billing import Billed, billed, with_invoice
from tests.builders.books import rows
from tests.builders.orgs import caller, make_member, make_organization, platform, write
from tests.functional.billing.test_documents import WHY, drafted, problem


def with_address(**profile: Any) -> tuple[Billed, str]:
    """A customer with an address of its own for documents, and an invoice over 1."""
    made, address = billed(), f"books-{secrets.token_hex(4)}@example.com"
    made.profile(contact={"name": "Ada", "email": address}, **profile)
    made.use("1")
    made.pass_months()
    made.run()
    return made, address


class TestSending:
    def test_mails_the_document_to_whom_it_is_addressed(self) -> None:
        made, address = with_address()
        sent = made.act(made.only()["id"], "send")
        assert sent.status_code == 200 and sent.json()["sent_at"] is not None
        (message,) = [one for one in mail.outbox if one.to == [address]]
        assert made.only()["number"] in message.subject
        ((name, content, kind),) = message.attachments
        assert (name, kind, content[:5]) == (f"{made.only()['number']}.pdf", "application/pdf", b"%PDF-")

    def test_is_done_once_by_itself_for_who_pays_by_invoice(self) -> None:
        made, address = with_address(collection="send_invoice")
        send_due([DOCUMENTS])
        shown = made.only()
        assert shown["sent_at"] is not None
        made.act(shown["id"], "credit-notes", {"reason": "It was wrong.", "amount": "0.4"})
        for _ in range(2):
            send_due([DOCUMENTS])
        messages = [one for one in mail.outbox if one.to == [address]]
        assert [len(one.attachments) for one in messages] == [1, 1]
        assert [shown["number"] in one.body for one in messages] == [True, True]
        assert messages[1].subject.startswith("Credit note ")

    def test_is_not_done_by_itself_for_others_nor_twice_nor_of_what_is_void(self) -> None:
        made, address = with_address()
        send_due([DOCUMENTS])
        assert [one for one in mail.outbox if one.to == [address]] == []
        made.profile(collection="send_invoice")
        for act in ("send", "void"):
            made.use("1")
            made.pass_months()
            made.run()
            newest = made.invoices()[-1]["id"]
            assert made.act(newest, act, WHY if act == "void" else None).status_code == 200
            send_due([DOCUMENTS])
        assert len([one for one in mail.outbox if one.to == [address]]) == 1

    def test_without_a_mail_server_waits_and_is_done_later(self, settings: Any) -> None:
        made, address = with_address(collection="send_invoice")
        settings.EMAIL_BACKEND = "common.mailing.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        send_due([DOCUMENTS])
        found = "SELECT status, attempts FROM document_letters WHERE document = %s"
        assert rows(found, made.only()["id"]) == [("waiting", 0)]
        assert made.only()["sent_at"] is None
        write(
            lambda cur: cur.execute(
                "UPDATE document_letters SET next_try_at = clock_timestamp() WHERE status = 'waiting'"
            )
        )
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        send_due([DOCUMENTS])
        assert rows(found, made.only()["id"]) == [("sent", 1)]
        assert len([one for one in mail.outbox if one.to == [address]]) == 1

    def test_of_a_credit_note_is_asked_for_and_its_document_is_read(self) -> None:
        made, address = with_address()
        note = made.act(made.only()["id"], "credit-notes", WHY).json()
        path = f"/v1/credit-notes/{note['id']}"
        answer = made.reader.get(f"{path}/pdf")
        assert (answer.status_code, answer.headers["Content-Type"], answer.content[:5]) == (
            200,
            "application/pdf",
            b"%PDF-",
        )
        assert answer.content == made.reader.get(f"{path}/pdf").content
        stranger = caller(make_organization(), "billing:read")
        assert problem(stranger.get(f"{path}/pdf")) == (404, "not_found")
        assert problem(made.reader.post(f"{path}/send")) == (403, "forbidden")
        assert platform().post(f"{path}/send").status_code == 200
        (message,) = [one for one in mail.outbox if one.to == [address]]
        assert note["number"] in message.subject

    def test_falls_back_to_a_billing_administrator_and_refuses_without_anybody(self) -> None:
        made, invoice = with_invoice("1")
        with made.still():
            assert problem(made.act(invoice["id"], "send")) == (422, "no_email_address")
        make_member(made.id, "billing_admin")
        made.use("1")
        made.pass_months()
        made.run()
        assert made.act(made.invoices()[-1]["id"], "send").status_code == 200

    def test_is_not_of_a_draft(self) -> None:
        made, draft = drafted()
        with made.still():
            assert problem(made.act(draft["id"], "send")) == (409, "invalid_transition")
