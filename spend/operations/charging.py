"""Charging an amount that never passed the gate: what a meter counted, rated when its period ends (S75, S9)."""

from collections.abc import Iterable, Sequence
from typing import Any, cast
from uuid import UUID

from common.errors import CurrencyMismatch
from events.store import Cursor
from events.writer import Collector
from ledger.operations.books import Books as LedgerBooks
from ledger.operations.books import lock_books
from orgs.operations.facts import Author
from spend.operations.gate.batch import Expire, usage_digest
from spend.operations.gate.writing import write
from spend.queries.charges import expired_reservations, known_charge, read_books
from spend.queries.gate_config import accounts_of
from spend.rules.booking import Accounts
from spend.rules.charging import Charged, FundedPart, MeteredCharge, decide_charge, parts_of
from spend.rules.denials import UsageIdReused
from spend.rules.effects import Effects
from spend.rules.settlement import expire
from spend.rules.state import OrganizationState


class _Lists:
    """A cursor for what was made to be collected: it hands each column on as a list."""

    def __init__(self, cur: Cursor) -> None:
        self._cur = cur

    def execute(self, statement: str, columns: Sequence[Iterable[Any]]) -> None:
        """Execute it at once."""
        self._cur.execute(statement, [list(column) for column in columns])


def charge_quantity(cur: Cursor, *, organization: UUID, charge: MeteredCharge, author: Author) -> Charged:
    """This function will charge a rated quantity once, in the caller's transaction, and return what paid for it.

    It is funded as usage after the fact is: allowance, commitment, credit, then the postpaid line whatever its limit,
    else debt (S75); a closed organization is charged, too. It leaves one usage record of kind `metered` without an
    agent, with cost 0 and the receipt, which rollups and attribution count (S7, S9), and its journal entry. Repeated
    under its (source, id) it moves nothing and returns the first receipt.

    It locks the organization. Raises NotFound, CurrencyMismatch, InvalidField, InvalidAmount, InvalidPeriod,
    UsageIdReused (the same name with another charge) and AmountOutOfRange.
    """
    charge.check()
    books = lock_books(cur, organization)
    if charge.currency != books.currency:
        raise CurrencyMismatch(f"The organization's currency is {books.currency}.")
    # No id that a caller of the gate sends holds a NUL, so none can take the name of a charge.
    digest = usage_digest(f"\0{charge.id}")
    known = known_charge(cur, organization=organization, source=charge.source, digest=digest)
    if known is not None:
        payload, usage, receipt = known
        if payload != charge.digest():
            raise UsageIdReused
        return Charged(usage, parts_of(receipt), is_new=False)
    return _charge(cur, books, charge, digest, author)


def receipt_of(cur: Cursor, *, organization: UUID, source: str, charge: str) -> tuple[FundedPart, ...]:
    """Return what paid for a charge by its name, in the order taken; nothing where there was nothing to charge."""
    known = known_charge(cur, organization=organization, source=source, digest=usage_digest(f"\0{charge}"))
    return () if known is None else parts_of(known[2])


def _charge(cur: Cursor, books: LedgerBooks, charge: MeteredCharge, digest: bytes, author: Author) -> Charged:
    organization, accounts = books.organization.id, accounts_of(books.accounts)
    state = OrganizationState(
        str(organization), books.now, books.currency, books.organization.status,
        read_books(cur, organization=organization, currency=books.currency),
    )  # fmt: skip
    _free_expired(cur, state, organization, accounts)
    made = Effects()
    usage, event = decide_charge(state, charge, accounts, actor=author.actor, key=author.idempotency_key)
    made.usages.append(usage)
    made.events.append(event)
    made.usage_keys.append((state.id, charge.source, digest, charge.digest(), usage.id))
    _write(cur, made)
    return Charged(UUID(usage.id), parts_of(usage.funding), is_new=True)


def _free_expired(cur: Cursor, state: OrganizationState, organization: UUID, accounts: Accounts) -> None:
    """What has expired holds nothing back from a charge, whether the sweeper has come or not: as in the gate."""
    while due := expired_reservations(cur, organization=organization, now=state.now):
        freed = Effects()
        for reservation in due:
            expire(state, Expire(organization), reservation, accounts, freed)
        _write(cur, freed)


def _write(cur: Cursor, effects: Effects) -> None:
    write(cast(Collector, _Lists(cur)), effects, [])
