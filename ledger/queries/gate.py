"""What the gate reads of the books: accounts with a limit and the grants that still hold something."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from events.store import Cursor
from ledger.rules.grants import Grant

ACCOUNTS = "SELECT id, organization, kind, posted, held, debt, credit_limit FROM accounts WHERE id = ANY(%s::uuid[])"
GRANTS = """
SELECT g.organization, g.id, g.kind, g.priority, g.scope, g.scope_target, g.remaining, g.held, g.effective_at,
    g.expires_at, g.created_at, g.expired_at
FROM credit_grants g WHERE g.account_id = ANY(%s::uuid[]) AND g.remaining > 0
"""


class LiveRow(Protocol):
    """An account's working copy."""

    id: UUID
    posted: int
    held: int
    debt: int
    credit_limit: int | None


class BookRows(Protocol):
    """The funding side of an organization, to be filled."""

    credit: Any
    line: Any
    grants: list[Grant]


def read_books(
    cur: Cursor,
    accounts: Sequence[tuple[UUID, UUID]],
    books: Mapping[UUID, BookRows],
    make: type[Any],
) -> None:
    """Fill in the books of each organization from its (organization, account) rows, under its lock.

    `make` is the class of an account's working copy. The postpaid line is present where the organization has one
    (credit_limit of unbilled_receivable is NULL for no limit, and 0 for prepaid organizations: then there is none).
    """
    ids = [account for _, account in accounts]
    cur.execute(ACCOUNTS, (ids,))
    for account, organization, kind, posted, held, debt, limit in cur.fetchall():
        row = make(account, posted, held, debt, limit)
        if kind == "customer_credit":
            books[organization].credit = row
        elif limit is None or limit > 0:
            books[organization].line = row
    cur.execute(GRANTS, (ids,))
    for row in cur:
        books[row[0]].grants.append(Grant(*row[1:]))
