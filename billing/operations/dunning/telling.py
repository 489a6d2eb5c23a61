"""The letters of dunning: each notice of a case goes out once, and never one that is not so any more (S92).

A letter is sent if its case is still in the state that it tells of (`billing/operations/letters.py` says how).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from billing.operations import letters
from billing.queries.dunning import Unpaid, find_case, find_open_case, overdue_of, unpaid_of
from billing.queries.parties import contact_of
from billing.queries.profiles import billing_profile
from billing.rules.dunning.case import Case
from billing.rules.dunning.machine import RECOVERED, REMINDER
from billing.rules.dunning.states import CLOSED
from common.money import format_document_amount
from events.store import Cursor
from orgs.operations.locks import lock_organization

TABLE: Final = "dunning_notices"
EXEMPT_PAUSE: Final = timedelta(hours=1)
"""How often a letter looks whether its customer is exempt still: what it tells of is so again after that."""
_READ: Final = """
SELECT case_id, notice, state FROM dunning_notices
WHERE id = %s AND organization = %s AND status = 'waiting' AND next_try_at <= clock_timestamp() FOR NO KEY UPDATE
"""


def _read(cur: Cursor, organization: UUID, notice: UUID) -> letters.Letter | None:
    locked = lock_organization(cur, organization)
    row = cur.execute(_READ, (notice, organization)).fetchone()
    if row is None:
        return None
    case = find_case(cur, organization=organization, case=row[0])
    unpaid = unpaid_of(cur, case)
    if not _is_so(cur, case, unpaid, notice=row[1], state=row[2], now=locked.now):
        letters.mark(cur, table=TABLE, letter=notice, status="superseded")
        return None
    if case.exempt_until is not None:
        letters.put_off(cur, table=TABLE, letter=notice, by=EXEMPT_PAUSE)
        return None
    contact = contact_of(cur, organization)
    if not contact.email:
        letters.mark(cur, table=TABLE, letter=notice, status="no_address")
        return None
    context = _context(case, unpaid, contact.name or locked.name, row[1])
    template = letters.template_of("dunning", language=billing_profile(cur, organization).language)
    return letters.Letter(contact.email, template, context)


KIND: Final = letters.Kind(TABLE, _read)
"""Notices of dunning that wait to be mailed."""


def _is_so(cur: Cursor, case: Case, unpaid: list[Unpaid], *, notice: str, state: str, now: datetime) -> bool:
    """Whether what a letter says still holds: its state, and that something is owed; or that nothing is, also not below
    a threshold."""
    if notice == RECOVERED:
        is_over = case.state == CLOSED and find_open_case(cur, case.organization) is None
        return is_over and not overdue_of(cur, case.organization, now)
    return case.state == state and bool(unpaid)


def _context(case: Case, unpaid: list[Unpaid], name: str, notice: str) -> dict[str, object]:
    return {
        "customer": name,
        "notice": "reminder" if notice.startswith(REMINDER) else notice,
        "case": case,
        "next_at": _worse_at(case),
        "per_minute": case.policy.throttle_per_minute,
        "invoices": [
            {
                "number": each.number,
                "amount": format_document_amount(each.due, currency=each.currency),
                "currency": each.currency,
                "due_at": each.due_at,
            }
            for each in unpaid
        ],
    }


def _worse_at(case: Case) -> datetime | None:
    for place, step in enumerate(case.policy.steps[case.step :], case.step):
        if step.action in ("throttle", "suspend", "cancel"):
            return case.moment(place)
    return None
