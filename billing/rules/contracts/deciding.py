"""The decisions on a contract: drafting, activating, amending, terminating, and passing a boundary."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from billing.rules.contracts.decision import Decision, Known
from billing.rules.contracts.fees import amend_fees, bill_changed_arrears, bill_fees, end_fees
from billing.rules.contracts.row import (
    ACTIVE,
    DRAFT,
    ENDED,
    TERMINATED,
    Contract,
    FeeState,
    Published,
    Version,
    midnight,
)
from billing.rules.contracts.settling import settle_due
from billing.rules.contracts.terms import ContractTerms, check_amendment
from billing.rules.contracts.work import Work, amend_window, cut_window, open_window
from common.errors import InvalidPeriod, InvalidTransition, combined
from common.localtime import local_time

MODES: Final = ("full", "prorated", "waive")
"""What is still committed in the running window when a contract is terminated."""
BACKDATED: Final = timedelta(days=35)
MAX_VERSIONS: Final = 100


def draft(identifier: UUID, organization: UUID, terms: ContractTerms, *, zone: str, at: datetime) -> Decision:
    """Return a new contract as a draft: nothing holds until it is activated."""
    first = Version(1, midnight(terms.start, zone), terms, at)
    row = Contract(identifier, organization, DRAFT, zone, (first,), 1, created_at=at)
    return Decision(row, "drafted", at, version=first)


def revise(row: Contract, terms: ContractTerms, *, at: datetime) -> Decision | None:
    """Return a draft with another document; None when it is the same. Raises InvalidTransition."""
    require(row, DRAFT)
    if terms == row.terms:
        return None
    only = Version(1, midnight(terms.start, row.zone), terms, at)
    work = Work(row, Known(), at)
    work.change(versions=(only,))
    return work.decided("revised", version=only)


def activate(row: Contract, prices: tuple[Published, ...], *, at: datetime) -> Decision:
    """Return a draft as it holds; what it owes and grants follows at its boundaries, which may be due.

    Raises InvalidTransition, and InvalidPeriod for a term that began more than 35 days ago or is over.
    """
    require(row, DRAFT)
    if row.ends_at <= at or row.starts_at < at - BACKDATED:
        raise InvalidPeriod("A term begins at most 35 days back, and is not over.", pointer="/term/start")
    work = Work(row, Known(), at)
    start = row.starts_at
    work.change(
        status=ACTIVE,
        activated_at=at,
        next_window_at=None if row.terms.commitment is None else start,
        fees={fee.key: FeeState(start) for fee in row.terms.fees},
        prices=prices,
    )
    return work.decided("activated")


def effective_day(row: Contract, wanted: date | None, *, at: datetime) -> date:
    """Return the day from which an amendment holds: tomorrow, or the start, unless a later one is wanted.

    Raises InvalidPeriod for one that has begun, or is before that of a version that is there.
    """
    latest = max(each.effective_at for each in row.versions)
    today = local_time(at, zone=row.zone).date()
    earliest = max(today + timedelta(days=1), local_time(latest, zone=row.zone).date())
    last = row.versions[-1].terms.end
    day = earliest if wanted is None else wanted
    if not earliest <= day <= last:
        detail = f"An amendment holds from {earliest} on at the earliest, and from {last} on at the latest."
        raise InvalidPeriod(detail, pointer="/effective_on")
    return day


def amend(
    row: Contract, terms: ContractTerms, day: date, prices: tuple[Published, ...], *, at: datetime
) -> Decision:
    """Return a contract with another version that holds from a day on.

    Windows that are settled stay as they are. Raises InvalidTransition, InvalidField for what an amendment may not
    change, and InvalidPeriod for a term that would be over.
    """
    require_amendable(row)
    wrong = check_amendment(row.terms, terms, pointer="/definition")
    if terms.end <= day:
        detail = "The term goes on beyond the amendment's first day; else terminate the contract."
        wrong.append(InvalidPeriod(detail, pointer="/definition/term/end"))
    if wrong:
        raise combined(wrong)
    number = max(each.number for each in row.versions) + 1
    added = Version(number, midnight(day, row.zone), terms, at)
    work = Work(row, Known(), at)
    work.change(versions=(*row.versions, added), prices=prices)
    return work.decided("amended", version=added)


def terminate(
    row: Contract,
    known: Known,
    prices: tuple[Published, ...],
    *,
    mode: str,
    reason: str,
    at: datetime,
    when: datetime | None = None,
) -> Decision:
    """Return a contract that ends early, now or at a later instant; a draft is dropped.

    Raises InvalidTransition for one that has ended, and InvalidPeriod for an instant that has passed or is not before
    the end of the term.
    """
    require_live(row)
    work = Work(row, known, at)
    work.change(termination=mode, reason=reason, prices=prices)
    if row.status == DRAFT:
        work.change(status=TERMINATED, ended_at=at, terminates_at=at)
        return work.decided("terminated")
    if when is not None and not at < when < row.ends_at:
        raise InvalidPeriod("It ends between now and the end of the term.", pointer="/at")
    work.change(terminates_at=when or at)
    if when is not None:
        return work.decided("termination_scheduled")
    _end(work, TERMINATED)
    return work.decided("terminated")


def close(
    row: Contract, known: Known, prices: tuple[Published, ...], *, reason: str, at: datetime
) -> Decision:
    """Return a contract that ends because its organization is closed; a draft is dropped. How an end that was arranged
    already treats the running window holds, else it is committed in full. Raises InvalidTransition."""
    require(row, DRAFT, ACTIVE)
    work = Work(row, known, at)
    work.change(termination=row.termination or MODES[0], reason=reason, prices=prices, terminates_at=at)
    if row.status == DRAFT:
        work.change(status=TERMINATED, ended_at=at)
    else:
        _end(work, TERMINATED)
    return work.decided("terminated")


def decide_boundary(row: Contract, known: Known) -> Decision:
    """Return the contract after its next boundary, dated at that moment. Raises ValueError when it has none.

    In this order: windows are settled; it is terminated or ends; an amendment takes over; fees in arrears fall due; the
    next window opens; fees in advance fall due, which a minimum counts in the window that opened.
    """
    at = row.next_at
    if at is None:
        raise ValueError("a contract without a boundary")
    work = Work(row, known, at)
    settle_due(work)
    if row.ended_at is None:
        _pass(work)
    return work.decided(_verb(work))


def _pass(work: Work) -> None:
    at, row = work.at, work.row
    if row.terminates_at is not None and row.terminates_at <= at:
        _end(work, TERMINATED)
        return
    version = row.next_version
    if version is not None and version.effective_at <= at:
        _take_over(work, version)
    bill_fees(work, "arrears")
    if at >= work.row.ends_at:
        _end(work, ENDED)
        return
    if work.row.next_window_at == at:
        open_window(work)
    bill_fees(work, "advance")


def _take_over(work: Work, version: Version) -> None:
    bill_changed_arrears(work, version.terms)
    work.change(number=version.number)
    amend_fees(work)
    if version.terms.commitment is not None:
        for window in work.row.windows:
            amend_window(work, window)
        if not any(window.end > work.at for window in work.row.windows):
            work.change(next_window_at=max(work.at, work.row.starts_at))
    work.passed.append("version_began")


def _end(work: Work, status: str) -> None:
    if status == TERMINATED:
        mode = work.row.termination or MODES[0]
        end_fees(work, credits=mode != "full")
        for window in work.row.windows:
            cut_window(work, window, mode)
    work.change(status=status, ended_at=work.at, next_window_at=None)
    work.passed.append(status)


def _verb(work: Work) -> str:
    """The weightiest of what happened."""
    for verb in (TERMINATED, ENDED, "version_began", "window_opened", "window_settled", "fee_charged"):
        if verb in work.passed:
            return verb
    return "passed"


def require(row: Contract, *states: str) -> None:
    """Refuse what only contracts in these states allow. Raises InvalidTransition."""
    if row.status not in states:
        raise InvalidTransition(f"The contract is {row.status}.")


def require_live(row: Contract) -> None:
    """Refuse what is done to a contract that has ended or ends already. Raises InvalidTransition."""
    require(row, DRAFT, ACTIVE)
    if row.status == ACTIVE and row.terminates_at is not None:
        raise InvalidTransition("The contract's termination is arranged already.")


def require_amendable(row: Contract) -> None:
    """Refuse an amendment of what is not active. Raises InvalidTransition."""
    require(row, ACTIVE)
    require_live(row)
    if len(row.versions) >= MAX_VERSIONS:
        raise InvalidTransition(f"A contract has at most {MAX_VERSIONS} versions.")
