"""What the gate reads of the books: accounts with a limit and the grants that still hold something."""

from collections.abc import Mapping
from typing import Any, Protocol

from events.questions import Question, Rows, question
from ledger.rules.grants import Grant

BOOKS = b"""
SELECT a.id, a.organization, a.currency, a.kind, a.posted, a.held, a.debt, a.credit_limit,
    g.id, g.kind, g.priority, g.scope, g.scope_target, g.remaining, g.held, g.effective_at, g.expires_at, g.created_at,
    g.expired_at, g.funding_source, g.gift
FROM unnest($1::uuid[]) AS w(o)
CROSS JOIN LATERAL (SELECT * FROM accounts x WHERE x.organization = w.o
    AND x.kind IN ('customer_credit', 'unbilled_receivable') AND x.counterparty IS NULL) a
LEFT JOIN LATERAL (SELECT * FROM credit_grants x WHERE x.account_id = a.id AND x.remaining > 0) g ON true
"""


class BookRows(Protocol):
    """The funding side of an organization, to be filled."""

    credit: Any
    line: Any
    grants: list[Grant]


class Funded(Protocol):
    """An organization with its currency and its funding side, to be filled."""

    currency: str
    books: Any


def ask_books(organizations: Mapping[str, Funded], make: type[Any]) -> Question:
    """Return the question for the funding accounts of these organizations and their live grants, under their locks.

    `make` is the class of an account's working copy. The postpaid line is there only where it has room:
    credit_limit NULL is no limit, 0 (prepaid) is no line.
    """

    def collect(rows: Rows) -> None:
        for account, organization, currency, kind, posted, held, debt, limit, *grant in rows:
            funded = organizations[organization]
            if currency != funded.currency:
                continue
            books: BookRows = funded.books
            if grant[0] is not None:
                books.grants.append(Grant(*grant))
            if kind == "customer_credit":
                books.credit = make(account, posted, held, debt, limit)
            elif limit is None or limit > 0 or posted or held:
                books.line = make(account, posted, held, debt, limit)

    return question(BOOKS, ("uuid",), (list(organizations),), collect)
