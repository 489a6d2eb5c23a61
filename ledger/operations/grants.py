"""Granting credit, and its end: expiry with breakage for what nobody used."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from common.errors import CurrencyMismatch, InvalidField, InvalidPeriod
from common.ids import new_id
from common.money import checked_units
from events.store import Cursor, Event, append
from ledger.operations.books import Books, lock_books
from ledger.operations.waiting import breakable
from ledger.rules.chart import LIVE
from ledger.rules.effects import entry, granted
from ledger.rules.grants import KINDS, SOURCES, Grant, broken_parts
from orgs.operations.facts import Author

CONTRA = {
    "paid": "cash",
    "promotional": "promotional_expense",
    "included": "deferred_revenue",
    "committed": "deferred_revenue",
}
"""What stands against a grant of a kind, unless it says so itself."""
EXPIRING = """
SELECT id, kind, priority, scope, scope_target, remaining, held, effective_at, expires_at, created_at, expired_at,
    funding_source, gift
FROM credit_grants g
WHERE organization = %(organization)s AND expires_at <= %(now)s AND coalesce(breaks_at, expires_at) <= %(now)s
    AND expired_at IS NULL AND remaining > 0 AND {breakable} ORDER BY id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A grant of credit; amounts in units, [effective_at, expires_at), lower priority is burnt first.

    `lifetime` gives the expiry where none is named. `source` is what it is for: a plan's allowance, a contract's
    commitment, or credit (S75). `kind` says how it was come by: paid, promotional (given away), included in the fee of
    a plan, or committed (owed, and not paid yet). `contra` are the accounts that stand against it with their parts,
    which sum to the amount; by default that of its kind. `breaks_after`: how long after its end its breakage is
    posted; until then what is charged for a moment before its end still burns it.
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
    source: str = "credit"
    contra: tuple[tuple[str, int], ...] | None = None
    breaks_after: timedelta | None = None

    @property
    def against(self) -> tuple[tuple[str, int], ...]:
        """The accounts against it and their parts."""
        return ((CONTRA[self.kind], self.amount),) if self.contra is None else self.contra

    @property
    def given_away(self) -> int:
        """The part that nobody pays for."""
        return sum(amount for kind, amount in self.against if kind == "promotional_expense")

    @property
    def gift(self) -> int:
        """What goes back to promotional_expense if it is not used: not of promotional credit, whose end is breakage."""
        return 0 if (self.kind, self.source) == ("promotional", "credit") else self.given_away


def grant_credit(cur: Cursor, new: NewGrant, *, author: Author) -> UUID:
    """This function will grant credit, repaying debt first, and return the grant's id (L7, S01).

    Raises NotFound, CurrencyMismatch, InvalidPeriod (it would end before it begins, or has ended), InvalidField (an
    unknown kind or source, or parts of `contra` that do not sum to the amount) and AmountOutOfRange.
    """
    books = lock_books(cur, new.organization)
    _check(books, new)
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


def _check(books: Books, new: NewGrant) -> None:
    if new.kind not in KINDS or new.source not in SOURCES:
        raise InvalidField("A grant is of a known kind and source.", pointer="/kind")
    amounts = [amount for _, amount in new.against]
    kinds = [kind for kind, _ in new.against]
    if sum(amounts) != new.amount or min(amounts) <= 0 or len(set(kinds)) < len(kinds):
        raise InvalidField("The parts that stand against a grant are above zero and sum to it.")
    if any(kind in LIVE or kind not in books.accounts for kind in kinds):
        raise InvalidField("An account with a limit, or none, cannot stand against a grant.")


def _granted(books: Books, new: NewGrant, grant: UUID, effective: datetime, author: Author) -> Event:
    source = f"grant:{grant}"
    posted = entry(
        kind="grant",
        key=source,
        source=source,
        lines=[
            books.line("customer_credit", new.amount),
            *(books.line(kind, -amount) for kind, amount in new.against),
        ],
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
        cost_basis=new.amount - new.given_away,
        effective_at=effective,
        expires_at=new.expires_at,
        priority=new.priority,
        scope=new.scope,
        scope_target=new.scope_target,
        reason=new.reason,
        source=source,
        repaid=repaid,
        funding_source=new.source,
        gift=new.gift,
        breaks_at=_breaks_at(new),
    )
    ledger: dict[str, Any] = {"entries": [posted], "granted": [made]}
    if repaid:
        ledger["debt"] = [[str(books.credit), -repaid]]
    return books.event("grant", grant, "granted", {"ledger": ledger}, author)


def _breaks_at(new: NewGrant) -> datetime | None:
    if new.expires_at is None or new.breaks_after is None:
        return None
    return new.expires_at + new.breaks_after


def expire_grants(cur: Cursor, *, organization: UUID, author: Author, limit: int = 500) -> int:
    """This function will post breakage for what expired grants have unheld, and return how many it marked.

    One whose time is not rated yet waits (`register_wait`). What of it nobody paid for goes back to promotional_expense
    (`broken_parts`).

    What is held stays for its hold; the gate posts the rest when that ends. An expired grant is not spendable
    before this ran either (the clock judges it).
    """
    books = lock_books(cur, organization)
    statement = EXPIRING.format(breakable=breakable())
    cur.execute(statement, {"organization": organization, "now": books.now, "limit": limit})
    events = [_expired(books, Grant(*row), author) for row in cur.fetchall()]
    append(cur, events)
    return len(events)


def _expired(books: Books, grant: Grant, author: Author) -> Event:
    broken = grant.remaining - grant.held
    ledger: dict[str, Any] = {"expired": [str(grant.id)]}
    if broken:
        ledger["burned"] = [[str(grant.id), broken]]
        ledger["entries"] = [
            entry(
                kind="breakage",
                key=f"expiry:{grant.id}",
                source=f"grant:{grant.id}",
                lines=books.breakage_lines([broken_parts(grant, broken)]),
                currency=books.currency,
            )
        ]
    return books.event("grant", grant.id, "expired", {"ledger": ledger}, author, version=2)


class Given(Protocol):
    """A grant that comes with a decision: its id, and its amount in units."""

    @property
    def grant(self) -> UUID: ...
    @property
    def amount(self) -> int: ...


GivenT = TypeVar("GivenT", bound=Given)


def given_events(
    books: Books,
    grants: Sequence[GivenT],
    ledger: Callable[[GivenT, int], dict[str, Any]],
    *,
    at: datetime,
    author: Author,
) -> list[Event]:
    """Return one event for each grant, so that its stream begins with it; debt is repaid first. `ledger` makes the
    event's part of a grant and what it repays. Raises AmountOutOfRange."""
    debt, events = books.debt, []
    checked_units(books.posted + sum(one.amount for one in grants))
    for one in grants:
        repaid = min(debt, one.amount)
        debt -= repaid
        events.append(
            Event(
                organization=books.organization.id,
                stream_type="grant",
                stream_id=one.grant,
                version=1,
                type="grant.granted",
                data={"ledger": ledger(one, repaid)},
                occurred_at=at,
                actor=author.actor,
                idempotency_key=author.idempotency_key,
            )
        )
    return events
