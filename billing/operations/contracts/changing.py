"""Drafting, activating, amending and terminating a contract (S77)."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from billing.operations.contracts.advance import advance, known_of
from billing.operations.contracts.charges import require_chargeable
from billing.operations.contracts.publishing import end_prices, publish_prices, replace_prices
from billing.operations.contracts.recording import record_decision
from billing.queries.contracts import find_contract, overlaps_another
from billing.rules.contracts import deciding
from billing.rules.contracts.decision import Decision
from billing.rules.contracts.row import DRAFT, Contract, midnight
from billing.rules.contracts.terms import ContractTerms
from common.errors import CurrencyMismatch, InvalidTransition
from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_customer
from orgs.rules.rows import LockedOrganization


@dataclass(frozen=True, slots=True)
class Termination:
    """An end before the term's: now, or `at` an instant. `commitment`: see `deciding.MODES`."""

    commitment: str = "full"
    at: datetime | None = None
    reason: str = ""


def draft_contract(cur: Cursor, organization: UUID, terms: ContractTerms, *, author: Author) -> Contract:
    """This function will make a contract as a draft; nothing holds until it is activated.

    Its days are those of the organization's time zone. Raises NotFound, CurrencyMismatch, InvalidTransition (the
    platform), OrganizationClosed, and what `require_chargeable` raises.
    """
    locked = _open(cur, organization)
    _check(cur, locked, terms)
    decision = deciding.draft(new_id(), organization, terms, zone=locked.time_zone, at=locked.now)
    record_decision(cur, locked, decision, before=None, author=author)
    return decision.row


def revise_contract(
    cur: Cursor, organization: UUID, contract: UUID, terms: ContractTerms, *, author: Author
) -> Contract:
    """This function will give a draft another document; the same one changes nothing. Raises NotFound,
    InvalidTransition (no draft any more), CurrencyMismatch, OrganizationClosed and what `require_chargeable` raises."""
    locked = _open(cur, organization)
    row = find_contract(cur, organization=organization, contract=contract)
    _check(cur, locked, terms)
    decision = deciding.revise(row, terms, at=locked.now)
    return _recorded(cur, locked, decision, row, author)


def activate_contract(cur: Cursor, organization: UUID, contract: UUID, *, author: Author) -> Contract:
    """This function will put a draft into force: its prices are published, and what is due by now (the first window,
    fees in advance) is owed and granted.

    Raises NotFound, InvalidTransition (no draft; another contract runs in its term), InvalidPeriod (a term that began
    more than 35 days ago or is over), PriceUnknown, PriceInvalid, OrganizationClosed, and what `require_chargeable`
    raises.
    """
    locked = _open(cur, organization)
    row = find_contract(cur, organization=organization, contract=contract)
    deciding.require(row, DRAFT)
    require_chargeable(cur, row.terms)
    if overlaps_another(cur, row, start=row.starts_at, end=row.ends_at):
        raise InvalidTransition("Another contract of the organization runs in this term.")
    deciding.activate(row, (), at=locked.now)  # refuses before prices are written
    prices = publish_prices(cur, row, author=author)
    decision = deciding.activate(row, prices, at=locked.now)
    record_decision(cur, locked, decision, before=row, author=author)
    advance(cur, locked, until=locked.now, author=author)
    return find_contract(cur, organization=organization, contract=contract)


def amend_contract(
    cur: Cursor,
    organization: UUID,
    contract: UUID,
    terms: ContractTerms,
    *,
    effective_on: date | None = None,
    author: Author,
) -> Contract:
    """This function will make the contract's next version, which holds from a day to come on (by default the next).

    The running window's commitment then changes by days, with an item or a credit for the difference; settled windows
    stay. Raises NotFound, InvalidTransition, CurrencyMismatch, InvalidField (what an amendment keeps), InvalidPeriod,
    PriceUnknown, PriceInvalid, OrganizationClosed, and what `require_chargeable` raises.
    """
    locked = _open(cur, organization)
    row = find_contract(cur, organization=organization, contract=contract)
    deciding.require_amendable(row)
    _check(cur, locked, terms)
    day = deciding.effective_day(row, effective_on, at=locked.now)
    planned = deciding.amend(row, terms, day, row.prices, at=locked.now)
    if overlaps_another(cur, row, start=row.starts_at, end=midnight(terms.end, row.zone)):
        raise InvalidTransition("Another contract of the organization runs in this term.")
    added = planned.row.versions[-1]
    prices = replace_prices(cur, row, terms, added.effective_at, author=author)
    decision = deciding.amend(row, terms, day, prices, at=locked.now)
    return _recorded(cur, locked, decision, row, author)


def terminate_contract(
    cur: Cursor, organization: UUID, contract: UUID, wanted: Termination, *, author: Author
) -> Contract:
    """This function will end a contract early, now or at an instant to come, or drop a draft; its prices end then.

    The running window ends with it and is settled three days later. Raises NotFound, InvalidTransition, InvalidPeriod
    and OrganizationClosed.
    """
    locked = _open(cur, organization)
    row = find_contract(cur, organization=organization, contract=contract)
    deciding.require_live(row)
    prices = (
        end_prices(cur, row, wanted.at, now=locked.now, author=author)
        if _is_valid(row, wanted, locked)
        else ()
    )
    decision = deciding.terminate(
        row,
        known_of(cur, locked, row),
        prices,
        mode=wanted.commitment,
        reason=wanted.reason,
        at=locked.now,
        when=wanted.at,
    )
    return _recorded(cur, locked, decision, row, author)


def _is_valid(row: Contract, wanted: Termination, locked: LockedOrganization) -> bool:
    """Whether the end lies in the term: else the decision refuses it."""
    return wanted.at is None or locked.now < wanted.at < row.ends_at


def _open(cur: Cursor, organization: UUID) -> LockedOrganization:
    """The customer under its lock, past every boundary that is due: no decision is made on a window that is over."""
    locked = lock_organization(cur, organization)
    require_customer(locked)
    advance(cur, locked, until=locked.now)
    return locked


def _recorded(
    cur: Cursor, locked: LockedOrganization, decision: Decision | None, before: Contract, author: Author
) -> Contract:
    record_decision(cur, locked, decision, before=before, author=author)
    return before if decision is None else decision.row


def _check(cur: Cursor, locked: LockedOrganization, terms: ContractTerms) -> None:
    """What a document cannot know by itself."""
    if terms.currency != locked.currency:
        raise CurrencyMismatch(
            f"The organization's currency is {locked.currency}.", pointer="/definition/currency"
        )
    require_chargeable(cur, terms)
