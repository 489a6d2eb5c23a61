"""What the gate reads of the books: accounts with a limit and the grants that still hold something."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

import psycopg

from events.writer import array_literal
from ledger.rules.grants import Grant

BOOKS = b"""
SELECT a.id, a.organization, a.kind, a.posted, a.held, a.debt, a.credit_limit,
    g.id, g.kind, g.priority, g.scope, g.scope_target, g.remaining, g.held, g.effective_at, g.expires_at, g.created_at,
    g.expired_at
FROM accounts a LEFT JOIN LATERAL
    (SELECT * FROM credit_grants x WHERE x.account_id = a.id AND x.remaining > 0) g ON true
WHERE a.id = ANY($1::uuid[])
"""


class BookRows(Protocol):
    """The funding side of an organization, to be filled."""

    credit: Any
    line: Any
    grants: list[Grant]


def ask_books(
    connection: psycopg.Connection[Any],
    accounts: Sequence[UUID],
    books: Mapping[UUID, BookRows],
    make: type[Any],
) -> Callable[[], None]:
    """Ask for these accounts and their live grants, under the organizations' locks; return what fills in `books`.

    `make` is the class of an account's working copy. The postpaid line is there only where it has room:
    credit_limit NULL is no limit, 0 (prepaid) is no line.
    """
    ids = list(accounts)
    rows = _ask(connection, BOOKS, ids)

    def collect() -> None:
        for account, organization, kind, posted, held, debt, limit, *grant in rows:
            book = books[organization]
            if grant[0] is not None:
                book.grants.append(Grant(*grant))
            if kind == "customer_credit":
                book.credit = make(account, posted, held, debt, limit)
            elif limit is None or limit > 0 or posted or held:
                book.line = make(account, posted, held, debt, limit)

    return collect


def _ask(connection: psycopg.Connection[Any], sql: bytes, ids: Sequence[UUID]) -> psycopg.Cursor[Any]:
    cur: psycopg.Cursor[Any] = psycopg.RawCursor(connection)
    return cur.execute(sql, [array_literal(ids)], prepare=True, binary=True)
