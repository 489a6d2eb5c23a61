"""From a decision on a contract to stored events: its own, and one for each grant that usage draws from."""

from datetime import timedelta
from functools import partial
from typing import Any, Final

from billing.operations.entitling import publish_entitlements
from billing.rules.contracts.decision import Decision, Granted, Taking, fact_of
from billing.rules.contracts.row import Contract
from events.store import Cursor, append
from ledger.operations.books import Books, lock_books
from ledger.operations.grants import given_events
from ledger.rules.effects import entry, granted
from orgs.operations.facts import Author, event_of
from orgs.rules.rows import LockedOrganization

BREAKS_AFTER: Final = timedelta(days=10 * 365)
"""The contract settles its windows; the ledger never ends one of their grants by itself before that."""


def record_decision(
    cur: Cursor,
    locked: LockedOrganization,
    decision: Decision | None,
    *,
    before: Contract | None,
    author: Author,
) -> Decision | None:
    """This function will append a decision's events and project them; nothing for None.

    The ledger's part rides along: what lapses or goes back in the contract's event, every grant in one of its own. All
    are dated at the decision. What the customer is entitled to from then on is published to the gate. Raises NotFound
    for an organization without books and AmountOutOfRange.
    """
    if decision is None:
        return None
    event = event_of(fact_of(decision, before), author)
    events = [event]
    if decision.grants or decision.takings:
        books = lock_books(cur, locked.id)
        if decision.takings:
            event.data["ledger"] = _taken(books, decision)
        events += given_events(
            books, decision.grants, partial(_grant, books, decision), at=decision.at, author=author
        )
    append(cur, events)
    if decision.row.activated_at is not None:
        publish_entitlements(cur, locked, at=decision.at, author=author)
    return decision


def _taken(books: Books, decision: Decision) -> dict[str, Any]:
    entries = [_taking_entry(books, decision, one) for one in decision.takings]
    return {
        "entries": [made for made in entries if made is not None],
        "burned": [[str(grant), amount] for one in decision.takings for grant, amount in one.taken],
        "expired": [str(grant) for one in decision.takings for grant in one.ended],
    }


def _taking_entry(books: Books, decision: Decision, one: Taking) -> dict[str, Any] | None:
    broken = one.income - one.held
    parts = {
        "customer_credit": -one.amount,
        "breakage": broken,
        "rounding": one.rounded,
        "deferred_revenue": one.amount - broken - one.rounded,
    }
    lines = [books.line(kind, amount) for kind, amount in parts.items() if amount]
    if not lines:
        return None
    return entry(
        kind="commitment",
        key=one.key,
        source=f"contract:{decision.row.id}",
        lines=lines,
        currency=books.currency,
        reason=books.late_reason(one.reason, decision.at),
        effective_at=books.effective(decision.at),
    )


def _grant(books: Books, decision: Decision, one: Granted, repaid: int) -> dict[str, Any]:
    source, reason = f"grant:{one.grant}", f"Commitment of contract {decision.row.id}"
    lines = [books.line("customer_credit", one.amount), books.line("deferred_revenue", -one.amount)]
    posted = entry(
        kind="grant",
        key=source,
        source=source,
        lines=lines,
        currency=books.currency,
        reason=books.late_reason(reason, decision.at),
        effective_at=books.effective(decision.at),
    )
    made = granted(
        grant=one.grant,
        account=books.credit,
        kind="committed",
        currency=books.currency,
        amount=one.amount,
        cost_basis=one.amount,
        effective_at=one.effective_at,
        expires_at=one.expires_at,
        reason=reason,
        source=source,
        repaid=repaid,
        funding_source="commitment",
        breaks_at=one.expires_at + BREAKS_AFTER,
    )
    ledger: dict[str, Any] = {"entries": [posted], "granted": [made]}
    if repaid:
        ledger["debt"] = [[str(books.credit), -repaid]]
    return ledger
