"""The letter that automatic top-ups have stopped: to whom invoices go, once for each stop, and only while it is so."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from billing.operations import letters
from billing.queries.parties import contact_of
from billing.queries.profiles import billing_profile
from billing.queries.topups import find_auto_top_up
from billing.rules.payments.topups import RETURNS, STOPPED, AutoTopUp
from common.ids import new_id
from common.money import format_document_amount
from events.store import Cursor
from orgs.operations.locks import lock_organization

TABLE: Final = "auto_top_up_letters"
_WAITS: Final = """
INSERT INTO auto_top_up_letters (id, organization, rule, version, made_at, status, attempts, next_try_at)
VALUES (%s, %s, %s, %s, %s, 'waiting', 0, clock_timestamp()) ON CONFLICT (rule, version) DO NOTHING
"""
_READ: Final = """
SELECT version = (SELECT max(n.version) FROM auto_top_up_letters n WHERE n.rule = l.rule)
FROM auto_top_up_letters l
WHERE id = %s AND organization = %s AND status = 'waiting' AND next_try_at <= clock_timestamp()
FOR NO KEY UPDATE
"""


def write_stopped(cur: Cursor, rule: AutoTopUp, *, at: datetime) -> None:
    """This function will have the customer told that its rule has stopped, in the transaction in which it did."""
    cur.execute(_WAITS, (new_id(), rule.organization, rule.id, rule.version, at))


def _read(cur: Cursor, organization: UUID, letter: UUID) -> letters.Letter | None:
    locked = lock_organization(cur, organization)
    row = cur.execute(_READ, (letter, organization)).fetchone()
    if row is None:
        return None
    rule = find_auto_top_up(cur, organization)
    if rule is None or rule.status != STOPPED or not rule.enabled or not row[0]:
        letters.mark(cur, table=TABLE, letter=letter, status="superseded")
        return None
    contact = contact_of(cur, organization)
    if not contact.email:
        letters.mark(cur, table=TABLE, letter=letter, status="no_address")
        return None
    context = {
        "customer": contact.name or locked.name,
        "rule": rule,
        "cause": rule.stopped_reason if rule.stopped_reason in RETURNS else None,
        "amount": format_document_amount(rule.amount, currency=rule.currency),
        "threshold": format_document_amount(rule.threshold, currency=rule.currency),
    }
    template = letters.template_of(
        "auto_top_up_stopped", language=billing_profile(cur, organization).language
    )
    return letters.Letter(contact.email, template, context)


KIND: Final = letters.Kind(TABLE, _read)
"""Letters that top-ups have stopped that wait to be mailed."""
