"""Granting credit, and its end: expiry with breakage for what nobody used."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.errors import CurrencyMismatch, InvalidPeriod
from common.ids import new_id
from common.money import checked_units
from events.store import Cursor, Event, append
from ledger.operations.books import Books, lock_books
from ledger.rules.effects import entry, granted
from orgs.operations.facts import Author

CONTRA = {"paid": "cash", "promotional": "promotional_expense", "included": "deferred_revenue"}
EXPIRING = """
SELECT id, remaining, held FROM credit_grants
WHERE organization = %s AND expires_at <= %s AND expired_at IS NULL AND remaining > 0 ORDER BY id LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A grant of credit; amounts in units, [effective_at, expires_at), lower priority is burnt first.

    `lifetime` gives the expiry where none is named.
    """

    organization: UUID
    amount: int
    currency: str
    kind: str = "paid"
    reason: str = ""
    priority: int = 0
    scope: str = "organization"
    scope_target: UUID | None = None
    effective_at: datetime | None = None
    expires_at: datetime | None = None
    lifetime: timedelta | None = None


def grant_credit(cur: Cursor, new: NewGrant, *, author: Author) -> UUID:
    """This function will grant credit, repaying debt first, and return the grant's id (L7, S01).

    Raises NotFound, CurrencyMismatch, InvalidPeriod (it would end before it begins, or has ended) and
    AmountOutOfRange.
    """
    books = lock_books(cur, new.organization)
    if new.currency != books.currency:
        raise CurrencyMismatch(f"The organization's currency is {books.currency}.", pointer="/currency")
    effective = new.effective_at or books.now
    if new.expires_at is None and new.lifetime is not None:
        new = replace(new, expires_at=effective + new.lifetime)
    if new.expires_at is not None and new.expires_at <= max(effective, books.now):
        raise InvalidPeriod(pointer="/expires_at")
    checked_units(books.posted + new.amount)
    grant = new_id()
    append(cur, [_granted(books, new, grant, effective, author)])
    return grant


def _granted(books: Books, new: NewGrant, grant: UUID, effective: datetime, author: Author) -> Event:
    source = f"grant:{grant}"
    posted = entry(
        kind="grant",
        key=source,
        source=source,
        lines=[books.line("customer_credit", new.amount), books.line(CONTRA[new.kind], -new.amount)],
        currency=new.currency,
        reason=new.reason,
    )
    repaid = min(books.debt, new.amount)
    made = granted(
        grant=grant,
        account=books.credit,
        kind=new.kind,
        currency=new.currency,
        amount=new.amount,
        cost_basis=new.amount if new.kind == "paid" else 0,
        effective_at=effective,
        expires_at=new.expires_at,
        priority=new.priority,
        scope=new.scope,
        scope_target=new.scope_target,
        reason=new.reason,
        source=source,
        repaid=repaid,
    )
    ledger: dict[str, Any] = {"entries": [posted], "granted": [made]}
    if repaid:
        ledger["debt"] = [[str(books.credit), -repaid]]
    return books.event("grant", grant, "granted", {"ledger": ledger}, author)


def expire_grants(cur: Cursor, *, organization: UUID, author: Author, limit: int = 500) -> int:
    """This function will post breakage for what expired grants have unheld, and return how many it marked.

    What is held stays for its hold; the gate posts the rest when that ends. An expired grant is not spendable
    before this ran either (the clock judges it).
    """
    books = lock_books(cur, organization)
    cur.execute(EXPIRING, (organization, books.now, limit))
    events = [_expired(books, row, author) for row in cur.fetchall()]
    append(cur, events)
    return len(events)


def _expired(books: Books, row: tuple[Any, ...], author: Author) -> Event:
    grant, remaining, held = row
    broken = remaining - held
    ledger: dict[str, Any] = {"expired": [str(grant)]}
    if broken:
        ledger["burned"] = [[str(grant), broken]]
        ledger["entries"] = [
            entry(
                kind="breakage",
                key=f"expiry:{grant}",
                source=f"grant:{grant}",
                lines=[books.line("customer_credit", -broken), books.line("breakage", broken)],
                currency=books.currency,
            )
        ]
    return books.event("grant", grant, "expired", {"ledger": ledger}, author, version=2)
