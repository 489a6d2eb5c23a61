"""What the end of a payment, and money that went back, mean for the rule that buys credit automatically."""

from __future__ import annotations

from uuid import UUID

from billing.operations.payments.stopping import write_stopped
from billing.queries.topups import find_auto_top_up
from billing.rules.payments import topups
from billing.rules.payments.commands import WITHDRAWN
from billing.rules.payments.row import AUTOMATIC, Payment
from events.store import Cursor
from ledger.operations.books import lock_books
from orgs.operations.facts import Author, record


def payment_ended(cur: Cursor, payment: Payment, *, author: Author) -> None:
    """This function will count a failure of an automatic top-up, or forget the failures with one that went. The third
    in a row stops the rule: the customer is written a letter. Of other payments, and of one that was withdrawn before
    it was sent, it does nothing."""
    code = (payment.failure or {}).get("code")
    if payment.cause != AUTOMATIC or code == WITHDRAWN:
        return
    now = lock_books(cur, payment.organization).now
    rule = find_auto_top_up(cur, payment.organization)
    if rule is None:
        return
    after = topups.ended(rule, paid=payment.received > 0, reason=str(code or payment.status))
    if after is not None:
        verb = "stopped" if after.status != rule.status else "paid" if payment.received else "failed"
        record(cur, [topups.fact(after, verb, at=now)], author=author)
        if verb == "stopped":
            write_stopped(cur, after, at=now)


def money_went_back(cur: Cursor, organization: UUID, reason: str, *, author: Author) -> None:
    """This function will stop an organization's rule, which would charge for what went back again (`reason`: one of
    `topups.RETURNS`), and have its customer told. Saying it anew lets it go on."""
    now = lock_books(cur, organization).now
    rule = find_auto_top_up(cur, organization)
    after = None if rule is None else topups.halted(rule, reason)
    if after is not None:
        record(cur, [topups.fact(after, "stopped", at=now)], author=author)
        write_stopped(cur, after, at=now)
