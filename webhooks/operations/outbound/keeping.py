"""What is kept for how long, and letters about endpoints that were switched off."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from billing.operations.invoices.sending import MailFailed
from common.mailing import Mailbox, MessageRefused, NoMailServer, OutcomeUnknown
from common.transactions import run_in_transaction
from events.store import Cursor
from webhooks.queries.outbound.endpoints import find_endpoint
from webhooks.rules.outbound.endpoints import Endpoint

KEPT: Final = timedelta(days=30)
CHUNK: Final = 2_000
_FORGET: Final = """
DELETE FROM webhook_messages WHERE id IN
    (SELECT id FROM webhook_messages WHERE created_at < clock_timestamp() - %s ORDER BY created_at LIMIT %s)
"""
_FORGET_DENIALS: Final = (
    "DELETE FROM webhook_denials WHERE window_start < clock_timestamp() - interval '2 days'"
)
_FORGET_SECRETS: Final = "DELETE FROM webhook_secrets WHERE expires_at < clock_timestamp()"
_NOTICES: Final = (
    "SELECT organization, endpoint FROM webhook_standings WHERE notice_due ORDER BY endpoint LIMIT 100"
)
_OWNERS: Final = """
SELECT DISTINCT p.email FROM members m JOIN member_profiles p ON p.member_id = m.id
WHERE m.organization = %s AND m.role = 'owner' AND m.archived_at IS NULL AND p.email <> '' ORDER BY 1
"""
_WRITTEN: Final = "UPDATE webhook_standings SET notice_due = false WHERE endpoint = %s"


def forget_old() -> int:
    """This function will delete messages of more than 30 days with their deliveries, and ended secrets; returns how
    many messages that were."""
    total = 0
    while gone := run_in_transaction(lambda cur: cur.execute(_FORGET, (KEPT, CHUNK)).rowcount):
        total += gone
    run_in_transaction(lambda cur: (cur.execute(_FORGET_DENIALS), cur.execute(_FORGET_SECRETS)))
    return total


def write_notices() -> int:
    """This function will write to the owners of endpoints that were switched off, and return how many that were.

    No transaction is open while the mail server is asked. A crash between the letter and its note writes twice: better
    than never. One letter that is refused stops no other. Raises MailFailed at the end.
    """
    due = run_in_transaction(lambda cur: cur.execute(_NOTICES).fetchall())
    failed: Exception | None = None
    with Mailbox() as mailbox:
        for organization, endpoint in due:
            found, addresses = run_in_transaction(
                partial(_read, organization=organization, endpoint=endpoint)
            )
            try:
                _write(found, addresses, mailbox)
            except MessageRefused as error:
                failed = error
                continue
            except (NoMailServer, OutcomeUnknown) as error:
                failed = error
                break  # each of the others would wait for the same server
            run_in_transaction(partial(_note, endpoint=endpoint))
    if failed is not None:
        raise MailFailed(retry_after=60) from failed
    return len(due)


def _note(cur: Cursor, *, endpoint: UUID) -> None:
    cur.execute(_WRITTEN, (endpoint,))


def _read(cur: Cursor, *, organization: UUID, endpoint: UUID) -> tuple[Endpoint, list[str]]:
    found = find_endpoint(cur, organization=organization, endpoint=endpoint)
    return found, [row[0] for row in cur.execute(_OWNERS, (organization,)).fetchall()]


def _write(endpoint: Endpoint, addresses: list[str], mailbox: Mailbox) -> None:
    if not addresses:
        return
    text = render_to_string("webhooks/endpoint_disabled_mail.txt", {"endpoint": endpoint})
    subject, _, body = text.partition("\n\n")
    mailbox.send(EmailMessage(" ".join(subject.split()), body, to=addresses))
