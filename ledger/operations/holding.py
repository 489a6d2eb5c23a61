"""Holds outside of the gate, such as a payout's: placed, then exactly one of posted, voided, expired (L5)."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from common.errors import AmountExceedsAvailable, InvalidField, InvalidTransition, NotFound
from common.ids import new_id
from events.store import Cursor, append
from ledger.operations.books import Books, grants_of, lock_books
from ledger.rules.chart import LIVE
from ledger.rules.effects import entry, placed, settled
from ledger.rules.grants import Grant, GrantSubject, allocate, broken_parts, settle
from orgs.operations.facts import Author

_ACCOUNT = "SELECT posted, held, credit_limit FROM accounts WHERE id = %s"
_HOLD = """
SELECT h.account_id, a.kind, h.amount, h.status, h.grants, h.grant_amounts, h.source
FROM holds h JOIN accounts a ON a.id = h.account_id WHERE h.organization = %s AND h.id = %s
"""


@dataclass(frozen=True, slots=True)
class _Hold:
    account: UUID
    kind: str
    amount: int
    status: str
    grants: list[UUID]
    amounts: list[int]
    source: str

    @property
    def receipt(self) -> list[tuple[UUID, int]]:
        return list(zip(self.grants, self.amounts, strict=True))


def place_hold(
    cur: Cursor, *, organization: UUID, kind: str, amount: int, source: str, author: Author
) -> UUID:
    """This function will set an amount (units) aside on an account with a limit and return the hold's id.

    Of customer credit, grants of the whole organization are taken in burn order. Raises NotFound, InvalidField
    and AmountExceedsAvailable when the account's floor is in the way (L6).
    """
    if kind not in LIVE or amount <= 0 or not source:
        raise InvalidField("A hold is a positive amount on an account with a limit, with a source.")
    books = lock_books(cur, organization)
    account = books.accounts[kind]
    if kind == "customer_credit":
        grants, missing = allocate(grants_of(cur, books), amount, books.now, GrantSubject(), debt=books.debt)
    else:
        grants, missing = [], _missing(cur, account, amount)
    if missing:
        raise AmountExceedsAvailable(pointer="/amount")
    hold = new_id()
    part = placed(
        hold=str(hold),
        account=str(account),
        amount=amount,
        source=source,
        grants=[[str(grant), taken] for _, grant, taken in grants],
    )
    append(cur, [books.event("hold", hold, "placed", {"ledger": {"placed": [part]}}, author)])
    return hold


def void_hold(cur: Cursor, *, organization: UUID, hold: UUID, author: Author, expired: bool = False) -> None:
    """This function will free a hold; nothing was used. What returns to an expired grant becomes breakage.

    Raises NotFound, and InvalidTransition when the hold has ended (L5).
    """
    books = lock_books(cur, organization)
    held = _open_hold(cur, organization, hold)
    status = "expired" if expired else "voided"
    ledger: dict[str, Any] = {"settled": [_settled(hold, held, status)]}
    _break(cur, books, hold, held, [], ledger)
    append(cur, [books.event("hold", hold, status, {"ledger": ledger}, author, version=2)])


def post_hold(
    cur: Cursor, *, organization: UUID, hold: UUID, amount: int, contra_kind: str, reason: str, author: Author
) -> UUID:
    """This function will use up to the held amount (units) and return the journal entry's id; the rest is free.

    The entry debits the held account and credits the organization's account of `contra_kind`. Grants are burnt in
    the order in which the hold took them. Raises NotFound, InvalidTransition when the hold has ended (L5),
    AmountExceedsAvailable for more than is held, and InvalidField.
    """
    books = lock_books(cur, organization)
    held = _open_hold(cur, organization, hold)
    if contra_kind in LIVE or contra_kind not in books.accounts or amount <= 0:
        raise InvalidField("A hold is posted with a positive amount to an account without a limit.")
    if amount > held.amount:
        raise AmountExceedsAvailable("More than is held.", pointer="/amount")
    burned = settle(held.receipt, amount)
    made = entry(
        kind="hold",
        key=f"hold:{hold}",
        source=held.source,
        lines=[[str(held.account), -amount], books.line(contra_kind, amount)],
        currency=books.currency,
        reason=reason,
    )
    ledger: dict[str, Any] = {"settled": [_settled(hold, held, "posted")], "entries": [made]}
    if burned:
        ledger["burned"] = [[str(grant), part] for grant, part in burned]
    _break(cur, books, hold, held, burned, ledger)
    append(cur, [books.event("hold", hold, "posted", {"ledger": ledger}, author, version=2)])
    return UUID(made["id"])


def _missing(cur: Cursor, account: UUID, amount: int) -> int:
    row = cur.execute(_ACCOUNT, (account,)).fetchone()
    assert row is not None
    posted, held, limit = row
    if limit is None:
        return 0
    missing: int = amount - max(0, posted - held + limit)
    return max(0, missing)


def _open_hold(cur: Cursor, organization: UUID, hold: UUID) -> _Hold:
    row = cur.execute(_HOLD, (organization, hold)).fetchone()
    if row is None:
        raise NotFound("There is no such hold.")
    found = _Hold(*row)
    if found.status != "placed":
        raise InvalidTransition(f"The hold is {found.status} already.")
    return found


def _settled(hold: UUID, held: _Hold, status: str) -> dict[str, Any]:
    grants = [[str(grant), amount] for grant, amount in held.receipt]
    return settled(
        hold=str(hold), status=status, account=str(held.account), amount=held.amount, grants=grants
    )


def _break(
    cur: Cursor, books: Books, hold: UUID, held: _Hold, burned: list[tuple[UUID, int]], ledger: dict[str, Any]
) -> None:
    """The unused part of a grant whose expiry was posted while it was held is breakage."""
    used = dict(burned)
    ended = {grant.id: grant for grant in _expired(cur, books)}
    broken = [(g, a - used.get(g, 0)) for g, a in held.receipt if g in ended and a > used.get(g, 0)]
    if not broken:
        return
    parts = []
    for name, amount in broken:
        ended[name].remaining -= used.get(name, 0)
        parts.append(broken_parts(ended[name], amount))
    made = entry(
        kind="breakage",
        key=f"breakage:{hold}",
        source=f"hold:{hold}",
        lines=books.breakage_lines(parts),
        currency=books.currency,
    )
    ledger.setdefault("entries", []).append(made)
    for grant, part in broken:
        used[grant] = used.get(grant, 0) + part
    ledger["burned"] = [[str(grant), part] for grant, part in used.items()]


def _expired(cur: Cursor, books: Books) -> list[Grant]:
    return [grant for grant in grants_of(cur, books) if grant.expired_at is not None]
