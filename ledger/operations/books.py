"""An organization's books under its lock: what every writer of the ledger begins with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.errors import NotFound
from common.ids import new_id
from events.store import Cursor, Event
from ledger.queries.balances import open_grants
from ledger.rules.closing import open_date, require_open
from ledger.rules.corrections import Movement
from ledger.rules.effects import granted
from ledger.rules.grants import Grant
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from orgs.rules.facts import time_text
from orgs.rules.rows import LockedOrganization

_ACCOUNTS: Final = """
SELECT a.kind, a.id, a.posted, a.held, a.debt, c.closed_until
FROM accounts a LEFT JOIN closed_books c USING (organization)
WHERE a.organization = %s AND a.currency = %s AND a.counterparty IS NULL
"""


@dataclass(frozen=True, slots=True)
class Books:
    """A locked organization with its accounts by kind and its credit: posted, held and debt in units.

    `closed_until`: nothing takes effect earlier; None: every month is open.
    """

    organization: LockedOrganization
    accounts: Mapping[str, UUID]
    posted: int
    held: int
    debt: int
    closed_until: datetime | None = None

    @property
    def credit(self) -> UUID:
        """The account of the customer's credit."""
        return self.accounts["customer_credit"]

    @property
    def currency(self) -> str:
        """The organization's currency."""
        return self.organization.currency

    @property
    def now(self) -> datetime:
        """The business clock, read under the lock."""
        return self.organization.now

    def in_open_month(self, moment: datetime | None) -> datetime | None:
        """When what came late takes effect: at its own moment, or at the beginning of the first open month."""
        return open_date(moment, closed_until=self.closed_until)

    def effective(self, moment: datetime) -> datetime | None:
        """When an entry of an event of this moment takes effect: None, with its event, unless its month is closed."""
        found = self.in_open_month(moment)
        return None if found == moment else found

    def late_reason(self, reason: str, moment: datetime | None) -> str:
        """The reason of such an entry: one that takes effect later than it would have says so."""
        if self.in_open_month(moment) == moment:
            return reason
        return f"{reason} (of {time_text(moment)}, in a closed month)".strip()

    def refuse_closed(self, moment: datetime | None) -> None:
        """Refuse what would take effect in a closed month. Raises PeriodClosed."""
        require_open(moment, closed_until=self.closed_until)

    def line(self, kind: str, amount: int) -> list[Any]:
        """A line of an entry on the account of a kind."""
        return [str(self.accounts[kind]), amount]

    def breakage_lines(self, parts: Iterable[tuple[int, int]]) -> list[list[Any]]:
        """The lines of an entry for what leaves grants unused: of each (breakage, back to promotional_expense)."""
        broken, back = (sum(column) for column in zip(*parts, strict=True))
        lines = [self.line("customer_credit", -broken - back)]
        lines += [self.line("breakage", broken)] if broken else []
        return lines + ([self.line("promotional_expense", back)] if back else [])

    def event(
        self,
        stream: str,
        stream_id: UUID,
        verb: str,
        data: dict[str, Any],
        author: Author,
        *,
        version: int = 1,
    ) -> Event:
        """The event of something that happens to these books now."""
        return Event(
            self.organization.id, stream, stream_id, version, f"{stream}.{verb}", data, self.now, author.actor,
            idempotency_key=author.idempotency_key,
        )  # fmt: skip

    def regranted(self, moved: Movement, *, kind: str, reason: str, source: str) -> dict[str, Any]:
        """The definition of a grant without an end for credit that comes back."""
        return granted(
            grant=new_id(),
            account=self.credit,
            kind=kind,
            currency=self.currency,
            amount=moved.regranted,
            repaid=moved.repaid,
            cost_basis=moved.regranted if kind == "paid" else 0,
            effective_at=self.now,
            reason=reason,
            source=source,
        )


def lock_books(cur: Cursor, organization: UUID) -> Books:
    """This function will lock an organization and return its books. Raises NotFound: the platform has none."""
    locked = lock_organization(cur, organization)
    rows = cur.execute(_ACCOUNTS, (locked.id, locked.currency)).fetchall()
    credit = next((row[2:] for row in rows if row[0] == "customer_credit"), None)
    if credit is None:
        raise NotFound("This organization has no books.")
    return Books(locked, {row[0]: row[1] for row in rows}, *credit)


def grants_of(cur: Cursor, books: Books) -> list[Grant]:
    """This function will return the grants that hold something, as working copies."""
    return [replace(row.grant) for row in open_grants(cur, account=books.credit)]
