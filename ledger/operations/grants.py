"""Granting credit, and what becomes of it: expiry with breakage, refund of what is unburnt, clawback into debt."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.errors import AmountExceedsAvailable, CurrencyMismatch, InvalidPeriod, NotFound
from common.ids import new_id
from common.money import checked_units
from events.store import Cursor, Event, append
from ledger.queries.accounts import account_ids
from ledger.rules.effects import entry
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from orgs.rules.facts import time_text
from orgs.rules.rows import LockedOrganization

CONTRA = {"paid": "cash", "promotional": "promotional_expense", "included": "deferred_revenue"}
EXPIRING = """
SELECT id, account_id, remaining, held FROM credit_grants
WHERE organization = %s AND expires_at <= %s AND expired_at IS NULL ORDER BY id LIMIT %s
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

    Raises NotFound, CurrencyMismatch, InvalidPeriod and AmountOutOfRange.
    """
    locked = lock_organization(cur, new.organization)
    if new.currency != locked.currency:
        raise CurrencyMismatch(f"The organization's currency is {locked.currency}.", pointer="/currency")
    effective = new.effective_at or locked.now
    if new.expires_at is None and new.lifetime is not None:
        new = replace(new, expires_at=effective + new.lifetime)
    if new.expires_at is not None and new.expires_at <= effective:
        raise InvalidPeriod(pointer="/expires_at")
    accounts = account_ids(cur, organization=locked.id, currency=locked.currency)
    posted, debt = _credit(cur, accounts["customer_credit"])
    checked_units(posted + new.amount)
    grant = new_id()
    append(cur, [_granted(locked, new, grant, effective, min(debt, new.amount), accounts, author)])
    return grant


def _granted(
    locked: LockedOrganization,
    new: NewGrant,
    grant: UUID,
    effective: datetime,
    repaid: int,
    accounts: dict[str, UUID],
    author: Author,
) -> Event:
    credit = str(accounts["customer_credit"])
    source = f"grant:{grant}"
    posted = entry(
        kind="grant",
        key=source,
        source=source,
        lines=[[credit, new.amount], [str(accounts[CONTRA[new.kind]]), -new.amount]],
        currency=new.currency,
        reason=new.reason,
    )
    granted: dict[str, Any] = {
        "id": str(grant),
        "account": credit,
        "kind": new.kind,
        "currency": new.currency,
        "priority": new.priority,
        "scope": new.scope,
        "scope_target": None if new.scope_target is None else str(new.scope_target),
        "amount": new.amount,
        "repaid": repaid,
        "cost_basis": new.amount if new.kind == "paid" else 0,
        "effective_at": time_text(effective),
        "expires_at": time_text(new.expires_at),
        "reason": new.reason,
        "source": source,
    }
    ledger: dict[str, Any] = {"entries": [posted], "granted": [granted]}
    if repaid:
        ledger["debt"] = [[credit, -repaid]]
    return _event(locked, grant, 1, "granted", {"ledger": ledger}, author)


def expire_grants(cur: Cursor, *, organization: UUID, author: Author, limit: int = 500) -> int:
    """This function will post breakage for what expired grants have unheld, and return how many it marked.

    What is held stays for its hold; the gate posts the rest when that ends. An expired grant is not spendable
    before this ran either (the clock judges it).
    """
    locked = lock_organization(cur, organization)
    accounts = account_ids(cur, organization=organization, currency=locked.currency)
    cur.execute(EXPIRING, (organization, locked.now, limit))
    events = [_expired(locked, row, accounts, author) for row in cur.fetchall()]
    append(cur, events)
    return len(events)


def _expired(
    locked: LockedOrganization, row: tuple[Any, ...], accounts: dict[str, UUID], author: Author
) -> Event:
    grant, account, remaining, held = row
    broken = remaining - held
    ledger: dict[str, Any] = {"expired": [str(grant)]}
    if broken:
        ledger["burned"] = [[str(grant), broken]]
        ledger["entries"] = [
            entry(
                kind="breakage",
                key=f"expiry:{grant}",
                source=f"grant:{grant}",
                lines=[[str(account), -broken], [str(accounts["breakage"]), broken]],
                currency=locked.currency,
            )
        ]
    return _event(locked, grant, 2, "expired", {"ledger": ledger}, author)


def refund_credit(
    cur: Cursor, *, organization: UUID, grant: UUID, amount: int, reason: str, author: Author
) -> UUID:
    """This function will give back what a paid grant has free, and return the entry's id.

    Raises NotFound, and AmountExceedsAvailable above what is neither burnt nor held.
    """
    locked = lock_organization(cur, organization)
    cur.execute("SELECT account_id, remaining - held FROM credit_grants WHERE organization = %s AND id = %s AND kind = "
                "'paid'", (organization, grant))  # fmt: skip
    row = cur.fetchone()
    if row is None:
        raise NotFound("There is no such paid grant.")
    if amount > row[1]:
        raise AmountExceedsAvailable(
            "Only what is neither burnt nor held can be given back.", pointer="/amount"
        )
    accounts = account_ids(cur, organization=organization, currency=locked.currency)
    refund = new_id()
    made = entry(
        kind="refund",
        key=f"refund:{refund}",
        source=f"grant:{grant}",
        lines=[[str(row[0]), -amount], [str(accounts["cash"]), amount]],
        currency=locked.currency,
        reason=reason,
    )
    ledger = {"entries": [made], "burned": [[str(grant), amount]]}
    append(cur, [_event(locked, refund, 1, "refunded", {"ledger": ledger}, author, stream="refund")])
    return UUID(made["id"])


def claw_back(cur: Cursor, *, organization: UUID, amount: int, key: str, reason: str, author: Author) -> UUID:
    """This function will take credit back whatever is left, and return the entry's id (S08).

    Free credit of paid grants goes first, newest first; the rest becomes debt: the gate is shut until a grant
    repays it. `key` names what took it back (a dispute, a refund at the processor); it is posted once.
    """
    locked = lock_organization(cur, organization)
    accounts = account_ids(cur, organization=organization, currency=locked.currency)
    credit = str(accounts["customer_credit"])
    cur.execute("SELECT id, remaining - held FROM credit_grants WHERE organization = %s AND kind = 'paid' AND remaining > "
                "held ORDER BY created_at DESC, id DESC", (organization,))  # fmt: skip
    rest, burned = amount, []
    for grant, free in cur.fetchall():
        part = min(rest, free)
        if part:
            burned.append([str(grant), part])
            rest -= part
    clawback = new_id()
    made = entry(
        kind="clawback",
        key=f"clawback:{key}",
        source=key,
        lines=[[credit, -amount], [str(accounts["cash"]), amount]],
        currency=locked.currency,
        reason=reason,
    )
    ledger: dict[str, Any] = {"entries": [made], "burned": burned}
    if rest:
        ledger["debt"] = [[credit, rest]]
    append(cur, [_event(locked, clawback, 1, "clawed_back", {"ledger": ledger}, author, stream="clawback")])
    return UUID(made["id"])


def _credit(cur: Cursor, account: UUID) -> tuple[int, int]:
    row = cur.execute("SELECT posted, debt FROM accounts WHERE id = %s", (account,)).fetchone()
    assert row is not None
    return row[0], row[1]


def _event(
    locked: LockedOrganization,
    stream_id: UUID,
    version: int,
    verb: str,
    data: dict[str, Any],
    author: Author,
    *,
    stream: str = "grant",
) -> Event:
    return Event(
        locked.id, stream, stream_id, version, f"{stream}.{verb}", data, locked.now, author.actor,
        idempotency_key=author.idempotency_key,
    )  # fmt: skip
