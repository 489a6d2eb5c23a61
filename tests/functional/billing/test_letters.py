"""Letters and a mail server that is away, refuses, is slow or falls silent: who is told once, and what staff see."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from billing.jobs import LETTERS
from billing.operations import letters
from billing.operations.invoices.sending import KIND as DOCUMENTS
from billing.operations.letters import Letter, send_due
from common import mailing
from config.metrics import scrape
from events.database import own_session
from events.store import Cursor
from tests.builders.billing import Billed, billed
from tests.builders.books import rows
from tests.builders.mailserver import BODY, GREETING, HANGS_UP, SILENCE, MailServer, mail_server
from tests.builders.orgs import caller, platform, unique, write
from tests.builders.payments import findings
from tests.functional.billing.test_documents import WHY, problem

QUIET = (
    "UPDATE {} SET status = 'superseded', next_try_at = NULL WHERE status IN ('waiting', 'sending')",
    "document_letters",
    "dunning_notices",
    "auto_top_up_letters",
)
OF = "SELECT status, attempts FROM document_letters WHERE organization = %s ORDER BY next_try_at, id"
AGAIN = "UPDATE document_letters SET next_try_at = clock_timestamp() WHERE status = 'waiting'"


@pytest.fixture
def server(settings: Any) -> Iterator[MailServer]:
    """A mail server that is ours, while nobody else's letter waits."""
    for table in QUIET[1:]:
        write(lambda cur, table=table: cur.execute(QUIET[0].format(table)))  # type: ignore[misc]
    with mail_server() as found:
        settings.EMAIL_BACKEND = "common.mailing.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", found.port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        yield found


@dataclass
class Written:
    """A customer that pays by invoice, with an invoice and credit notes that wait to be mailed."""

    made: Billed
    address: str
    invoice: str
    notes: list[str]

    @property
    def id(self) -> UUID:
        return self.made.id

    @property
    def letters(self) -> list[tuple[str, int]]:
        """What became of each, and at which try."""
        return rows(OF, self.id)

    @property
    def told(self) -> list[tuple[str, str]]:
        """What open findings say of its documents."""
        found = [each for each in findings(self.id) if each.kind == "document_not_sent"]
        return [(each.subject, each.detail["became"]) for each in found]


def written(notes: int = 0, address: str | None = None) -> Written:
    address = f"books-{secrets.token_hex(4)}@example.com" if address is None else address
    made = billed()
    made.profile(contact={"name": "Ada", "email": address}, collection="send_invoice")
    made.use("1")
    made.pass_months()
    made.run()
    invoice = made.only()["id"]
    made_notes = []
    for _ in range(notes):
        made_notes.append(made.act(invoice, "credit-notes", {**WHY, "amount": "0.1"}).json()["id"])
    return Written(made, address, invoice, made_notes)


def try_again() -> int:
    """Send what waits, as if its pause were over."""
    write(lambda cur: cur.execute(AGAIN))
    return send_due(LETTERS)


def change(statement: str, *values: Any) -> None:
    write(lambda cur: cur.execute(statement, values))


class TestARound:
    def test_takes_one_connection_for_all_its_letters(self, server: MailServer) -> None:
        one = written(notes=2)
        assert send_due(LETTERS) == 3
        assert (server.connections, server.addresses) == (1, [one.address] * 3)
        assert one.letters == [("sent", 1)] * 3
        assert one.made.only()["sent_at"] is not None

    def test_is_one_processs_at_a_time(self, server: MailServer) -> None:
        one = written()
        with own_session() as other:
            other.execute("SELECT pg_advisory_lock(hashtext('counterfoil letters'))")
            assert send_due(LETTERS) == 0
            assert (server.connections, one.letters) == (0, [("waiting", 0)])
        assert send_due(LETTERS) == 1

    def test_ends_after_its_time_and_the_next_one_goes_on(
        self, server: MailServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = written(notes=2)
        monkeypatch.setattr(letters, "ROUND_SECONDS", 0.2)
        server.is_late(BODY, 0.3)
        assert send_due(LETTERS) == 1
        assert sorted(one.letters) == [("sent", 1), ("waiting", 0), ("waiting", 0)]
        assert [send_due(LETTERS), send_due(LETTERS)] == [1, 1]


class TestAServerThatIsAway:
    @pytest.mark.parametrize("reply", ["421 not now", HANGS_UP, SILENCE], ids=("busy", "gone", "silent"))
    def test_puts_all_letters_off_once_and_uses_up_no_try(
        self, server: MailServer, settings: Any, reply: str | None
    ) -> None:
        settings.EMAIL_TIMEOUT = 0.3
        one = written(notes=2)
        server.answers(GREETING, reply)
        assert [send_due(LETTERS), send_due(LETTERS)] == [0, 0]
        assert (server.connections, one.letters) == (1, [("waiting", 0)] * 3)
        server.answers("", None)
        assert try_again() == 3
        assert one.letters == [("sent", 1)] * 3
        assert one.told == []

    def test_is_seen_by_how_long_letters_wait(self, server: MailServer) -> None:
        one = written()
        change(
            "UPDATE document_letters SET made_at = made_at - interval '1 hour' WHERE document = %s",
            one.invoice,
        )
        (found,) = [
            line
            for line in scrape().decode().splitlines()
            if line.startswith("counterfoil_letter_age_seconds ")
        ]
        assert 3_600 <= float(found.split()[1]) < 3_700


class TestAServerThatHasTheLetter:
    @pytest.mark.parametrize("reply", [SILENCE, HANGS_UP, "299 perhaps"], ids=("silent", "gone", "strange"))
    def test_and_says_nothing_of_it_is_not_given_it_again(
        self, server: MailServer, monkeypatch: pytest.MonkeyPatch, reply: str | None
    ) -> None:
        monkeypatch.setattr(mailing, "REPLY_SECONDS", 0.3)
        one = written(notes=1)
        server.answers(BODY, reply)
        assert send_due(LETTERS) == 0
        assert sorted(one.letters) == [("unknown", 1), ("waiting", 0)]
        assert one.told == [(f"invoice:{one.invoice}", "unknown")]
        server.answers("", None)
        assert [try_again(), try_again()] == [1, 0]
        assert (len(server.got), server.connections) == (2, 2)
        assert one.made.only()["sent_at"] is None

    def test_may_look_through_it_for_longer_than_it_may_take_to_answer_else(
        self, server: MailServer, settings: Any
    ) -> None:
        settings.EMAIL_TIMEOUT = 0.3
        one = written()
        server.is_late(BODY, 0.6)
        assert send_due(LETTERS) == 1
        assert (one.letters, len(server.got)) == ([("sent", 1)], 1)
        assert mailing.REPLY_SECONDS >= 60


class TestALetter:
    def test_that_is_refused_is_tried_again_and_stops_no_other(self, server: MailServer) -> None:
        bad, good = written(), written()
        server.answers("RCPT", "550 nobody here", to=bad.address)
        assert send_due(LETTERS) == 1
        assert (bad.letters, good.letters) == ([("waiting", 1)], [("sent", 1)])
        server.answers(BODY, "554 spam", to=bad.address)
        assert try_again() == 0
        assert (bad.letters, bad.told) == ([("waiting", 2)], [])
        change("UPDATE document_letters SET attempts = 7 WHERE document = %s", bad.invoice)
        assert try_again() == 0
        assert (bad.letters, server.addresses) == ([("failed", 8)], [good.address])
        assert bad.told == [(f"invoice:{bad.invoice}", "failed")]

    def test_at_which_the_server_hangs_up_before_it_has_it_is_tried_again(self, server: MailServer) -> None:
        bad, good = written(), written()
        server.answers("RCPT", HANGS_UP, to=bad.address)
        assert send_due(LETTERS) == 0
        assert (bad.letters, good.letters) == ([("waiting", 1)], [("waiting", 0)])
        change(
            "UPDATE document_letters SET next_try_at = clock_timestamp() WHERE document = %s", good.invoice
        )
        assert send_due(LETTERS) == 1
        assert (bad.letters, good.letters) == ([("waiting", 1)], [("sent", 1)])

    @pytest.mark.parametrize(
        "address", ["a@example.com\nBcc: b@example.com", "a@b@example.com"], ids=("two", "none")
    )
    def test_that_cannot_be_made_is_put_off_and_stops_no_other(
        self, server: MailServer, address: str
    ) -> None:
        bad, good = written(), written()
        change("UPDATE invoice_addressees SET email = %s WHERE invoice_id = %s", address, bad.invoice)
        assert send_due(LETTERS) == 1
        assert (bad.letters, good.letters) == ([("waiting", 1)], [("sent", 1)])
        assert (server.connections, server.addresses) == (1, [good.address])

    def test_of_a_customer_who_is_busy_is_put_off_without_a_try_and_stops_no_other(
        self, server: MailServer
    ) -> None:
        busy, good = written(), written()
        write(lambda cur: cur.execute("SET lock_timeout = '100ms'"))
        try:
            with connections["owner"].cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute("SELECT 1 FROM organizations WHERE id = %s FOR UPDATE", (busy.id,))
                assert send_due(LETTERS) == 1
                cursor.execute("ROLLBACK")
        finally:
            write(lambda cur: cur.execute("RESET lock_timeout"))
        assert (busy.letters, good.letters) == ([("waiting", 0)], [("sent", 1)])
        assert send_due(LETTERS) == 0

    def test_of_what_changes_while_it_is_made_is_made_anew(self, server: MailServer) -> None:
        one = written()

        def paid(file: Callable[[], tuple[str, bytes]]) -> tuple[str, bytes]:
            assert one.made.pay(one.invoice, "1").status_code == 200
            return file()

        def read(cur: Cursor, organization: UUID, letter: UUID) -> Letter | None:
            found = DOCUMENTS.read(cur, organization, letter)
            assert found is not None and found.attach is not None
            return replace(found, attach=partial(paid, found.attach))

        assert send_due([replace(DOCUMENTS, read=read)]) == 0
        assert (one.letters, server.got) == ([("waiting", 0)], [])
        assert send_due(LETTERS) == 1
        assert "Nothing is left to pay." in server.got[0].as_string()

    def test_whose_sender_died_is_unknown(self, server: MailServer) -> None:
        one = written()
        change(
            "UPDATE document_letters SET status = 'sending', attempts = 1, next_try_at = clock_timestamp()"
            " WHERE document = %s",
            one.invoice,
        )
        assert [send_due(LETTERS), try_again()] == [0, 0]
        assert (one.letters, server.got) == ([("unknown", 1)], [])
        assert one.told == [(f"invoice:{one.invoice}", "unknown")]


class TestADocumentThatDidNotArrive:
    def test_is_a_finding_until_somebody_sends_it(self, server: MailServer) -> None:
        one = written(notes=1)
        change("UPDATE document_letters SET attempts = 7 WHERE organization = %s", one.id)
        server.answers("RCPT", "550 nobody here")
        send_due(LETTERS)
        (note,) = one.notes
        assert sorted(one.told) == [(f"credit_note:{note}", "failed"), (f"invoice:{one.invoice}", "failed")]
        paths = {
            each.subject.split(":")[0]: each.proposed["do"] for each in findings(one.id) if each.proposed
        }
        stranger = caller(one.id, "billing:read")
        for kind, path in ((f"invoice:{one.invoice}", "invoices"), (f"credit_note:{note}", "credit-notes")):
            name, document = kind.split(":")
            address = f"/v1/{path}/{document}/send"
            assert paths[name] == f"POST {address}"
            with one.made.still():
                assert problem(platform().post(address, key=unique())) == (503, "mail_failed")
                assert problem(stranger.post(address, key=unique())) == (403, "forbidden")
        assert len(one.told) == 2
        server.answers("", None)
        for path, document in (("invoices", one.invoice), ("credit-notes", note)):
            assert platform().post(f"/v1/{path}/{document}/send", key=unique()).status_code == 200
        assert one.told == []
        assert server.addresses == [one.address] * 2
        one.made.assert_sound()

    def test_for_want_of_an_address_is_one_until_it_is_void(self, server: MailServer) -> None:
        one = written(address="")
        assert (send_due(LETTERS), one.letters) == (0, [("no_address", 0)])
        assert one.told == [(f"invoice:{one.invoice}", "no_address")]
        assert one.made.act(one.invoice, "void", WHY).status_code == 200
        assert one.told == []

    def test_and_is_asked_for_by_hand_is_not_said_to_be_sent_when_nobody_knows(
        self, server: MailServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mailing, "REPLY_SECONDS", 0.3)
        one = written()
        server.answers(BODY, SILENCE)
        with one.made.still():
            answer = one.made.act(one.invoice, "send")
        assert problem(answer) == (502, "mail_unanswered")
        assert answer.json()["retryable"] is False
        assert len(server.got) == 1
