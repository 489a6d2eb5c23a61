"""What an automatic top-up's end means for the rule that asked for it."""

from __future__ import annotations

from billing.operations.payments.stopping import write_stopped
from billing.queries.topups import find_auto_top_up
from billing.rules.payments import topups
from billing.rules.payments.row import AUTOMATIC, Payment
from events.store import Cursor
from ledger.operations.books import lock_books
from orgs.operations.facts import Author, record


def payment_ended(cur: Cursor, payment: Payment, *, author: Author) -> None:
    """This function will count a failure of an automatic top-up, or forget the failures with one that went. The third
    in a row stops the rule: the customer is written a letter. Of other payments it does nothing."""
    if payment.cause != AUTOMATIC:
        return
    now = lock_books(cur, payment.organization).now
    rule = find_auto_top_up(cur, payment.organization)
    if rule is None:
        return
    reason = (payment.failure or {}).get("code") or payment.status
    after = topups.ended(rule, paid=payment.received > 0, reason=str(reason))
    if after is not None:
        verb = "stopped" if after.status != rule.status else "paid" if payment.received else "failed"
        record(cur, [topups.fact(after, verb, at=now)], author=author)
        if verb == "stopped":
            write_stopped(cur, after, at=now)
