"""Drawing up partners' statements when a month is over: each once, in order, frozen in its event (S104)."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import msgspec

from billing.queries.parties import seller_of
from billing.queries.profiles import billing_contact, billing_profile
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from payouts.queries.partners import require_partner
from payouts.queries.references import references_of
from payouts.queries.statements import (
    balance_at,
    customers_of,
    earned_until,
    lost_of,
    moved_between,
    paid_between,
    partners_to_state,
    statements_of,
)
from payouts.rules.references import CUSTOMER, References
from payouts.rules.statements import (
    Line,
    Statement,
    drawn_up,
    fact,
    issuer_of,
    less,
    next_month,
    renamed,
)

logger = logging.getLogger(__name__)

AUTHOR: Final = Author("system:payouts.statements")
AT_ONCE: Final = 500
LATEST: Final = timedelta(hours=6)
"""How long after its end a month is stated: what was called in it has been told by then."""
_ADDRESSEE: Final = (
    "INSERT INTO partner_statement_addressees VALUES (%s, %s, %s, %s::jsonb) ON CONFLICT DO NOTHING"
)


def make_due_statements() -> int:
    """This function will draw up every statement of a month that is over, and return how many. What stands in one
    partner's way is reported and stops no other."""
    done, after = 0, None
    while found := run_in_transaction(partial(partners_to_state, after=after, limit=AT_ONCE)):
        for organization in found:
            done += _attempted(organization)
        after = found[-1]
    return done


def make_statement(cur: Cursor, *, organization: UUID, author: Author = AUTHOR) -> Statement | None:
    """This function will draw up a partner's next statement, under its lock; None: that month is not over yet.

    Months are UTC. It opens with what the one before closed with, and says whatever no earlier one said. The issuer is
    who sells to the partner: its profile's legal entity, or the default one. The partner's address is kept beside the
    event, for it is personal data. Raises NotFound.
    """
    locked = lock_organization(cur, organization)
    partner = require_partner(cur, organization)
    before = statements_of(cur, organization)
    last = before[0] if before else None
    month = next_month(last.month) if last else partner.created_at.astimezone(UTC).date().replace(day=1)
    end = datetime.combine(next_month(month), time(), UTC)
    if locked.now < end + LATEST:
        return None
    start = datetime.combine(month, time(), UTC)
    names = references_of(cur, organization)
    known = _known(names, customers_of(cur, organization))
    lines, lost = _sums(cur, names, known, end, before)
    tax = billing_profile(cur, organization).tax
    made = drawn_up(
        organization=organization,
        name=locked.name,
        issuer=issuer_of(seller_of(cur, organization).data),
        supplier={"country": tax.country, "vat_id": tax.vat_id},
        month=month,
        counter=len(before) + 1,
        currency=partner.currency,
        opening=last.closing if last else 0,
        lines=lines,
        lost=lost,
        paid=paid_between(cur, organization, start, end),
        moved=renamed(moved_between(cur, organization, start, end), known),
        payable_opening=balance_at(cur, organization, "partner_payable", start),
        payable=balance_at(cur, organization, "partner_payable", end),
        in_transit=balance_at(cur, organization, "payout_in_transit", end),
        at=locked.now,
    )
    record(cur, [fact(made)], author=author)
    contact = billing_contact(cur, organization)
    address = msgspec.json.encode(contact.address).decode()
    cur.execute(_ADDRESSEE, (made.id, organization, contact.name, address))
    return made


def _attempted(organization: UUID) -> int:
    done = 0
    try:
        while run_in_transaction(partial(make_statement, organization=organization)) is not None:
            done += 1
    except Exception as error:
        logger.warning("payouts.statement_failed", exc_info=error, extra={"organization": str(organization)})
    return done


def _sums(
    cur: Cursor, names: References, known: dict[str, str], end: datetime, before: list[Statement]
) -> tuple[list[Line], list[tuple[str, int]]]:
    """What no earlier statement said, by customer: whatever those called it, the present reference stands for it."""
    earned, lost = earned_until(cur, names.partner, end.date()), lost_of(cur, names.partner)
    lines = [Line(row[0], str(names.of(CUSTOMER, row[1])), *row[2:]) for row in earned]
    rest = less(lines, _said(before, known))
    gone = {str(names.of(CUSTOMER, customer)): amount for customer, amount in lost}
    return sorted(rest, key=lambda line: (line.listing, line.customer)), _lost(gone, before, known)


def _known(names: References, customers: list[UUID]) -> dict[str, str]:
    """The present reference of each customer by the one of before."""
    return {str(names.before(one)): str(names.of(CUSTOMER, one)) for one in customers}


def _said(before: list[Statement], known: dict[str, str]) -> dict[tuple[str, str], Line]:
    """What all earlier statements said of each listing and customer."""
    said: dict[tuple[str, str], Line] = {}
    for statement in before:
        for one in statement.document["lines"]:
            key = (one["listing"], known.get(one["customer"], one["customer"]))
            old = said.get(key, Line(*key, 0, 0, 0))
            said[key] = Line(
                *key, old.calls + one["calls"], old.gross + one["gross"], old.share + one["share"]
            )
    return said


def _lost(now: dict[str, int], before: list[Statement], known: dict[str, str]) -> list[tuple[str, int]]:
    said: dict[str, int] = {}
    for statement in before:
        for one in statement.document["clawbacks"]:
            name = known.get(one["customer"], one["customer"])
            said[name] = said.get(name, 0) + one["amount"]
    rest = {name: now.get(name, 0) - said.get(name, 0) for name in {*now, *said}}
    return sorted((name, amount) for name, amount in rest.items() if amount)
