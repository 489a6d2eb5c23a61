"""Credit grants: which of them a call may burn, in which order, and how a hold's receipt is settled. Pure, hot path.

Burn order: source (a plan's allowance, then a contract's commitment, then credit; S75), narrower scope (agent or
workflow, then team, then organization), priority (lower first), included and promotional before what is paid or
committed, earliest expiry (none last), oldest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.ids import AnyId

SOURCES = ("allowance", "commitment", "credit")
"""What a grant may be, in the order in which a charge takes them (S75); the postpaid line comes after them."""
GRANT_SOURCES = frozenset(SOURCES)
KINDS = ("paid", "promotional", "included", "committed")
_SOURCE_ORDER = {source: place for place, source in enumerate(SOURCES)}
_SCOPE_ORDER = {"agent": 0, "workflow": 0, "team": 1, "organization": 2}
_KIND_ORDER = {"included": 0, "promotional": 1, "paid": 2, "committed": 2}


@dataclass(slots=True)
class Grant:
    """A credit grant's row as a working copy; amounts in units, ids as UUIDs or, in the gate, as texts.

    `gift` is what of it nobody pays for; see `broken_parts`.
    """

    id: Any
    kind: str
    priority: int
    scope: str
    scope_target: AnyId | None
    remaining: int
    held: int
    effective_at: datetime
    expires_at: datetime | None
    created_at: datetime
    expired_at: datetime | None = None
    source: str = "credit"
    gift: int = 0


@dataclass(frozen=True, slots=True)
class GrantSubject:
    """Whom a call is made for, as far as a grant's scope asks."""

    team: AnyId | None = None
    agent: AnyId | None = None
    workflow: AnyId | None = None


def is_live(grant: Grant, now: datetime) -> bool:
    """Return whether the grant is spendable at the clock: [effective, expiry), before any sweep."""
    return grant.effective_at <= now and (grant.expires_at is None or now < grant.expires_at)


def applies(grant: Grant, subject: GrantSubject) -> bool:
    """Return whether the grant's scope covers the subject."""
    if grant.scope == "organization":
        return True
    return grant.scope_target is not None and grant.scope_target == getattr(subject, grant.scope)


def burn_order(grants: Iterable[Grant], now: datetime, subject: GrantSubject) -> list[Grant]:
    """Return the live grants that cover the subject, in the order in which they are burnt."""
    usable = [grant for grant in grants if is_live(grant, now) and applies(grant, subject)]
    if len(usable) > 1:
        usable.sort(key=_rank)
    return usable


def in_burn_order(grants: Iterable[Grant]) -> list[Grant]:
    """Return grants in the order in which they are burnt, whomever they are for."""
    return sorted(grants, key=_rank)


def _rank(grant: Grant) -> tuple[object, ...]:
    expiry = grant.expires_at
    return (
        _SOURCE_ORDER[grant.source],
        _SCOPE_ORDER[grant.scope],
        grant.priority,
        _KIND_ORDER[grant.kind],
        expiry is None,
        expiry or grant.created_at,
        grant.created_at,
        grant.id,
    )


def available(grants: Iterable[Grant], debt: int, now: datetime) -> int:
    """Return posted - held as the gate counts it: what live grants have free, less the debt."""
    return sum(grant.remaining - grant.held for grant in grants if is_live(grant, now)) - debt


def free_without_holds(
    grants: Iterable[Grant], now: datetime, subject: GrantSubject, *, debt: int = 0
) -> int:
    """Return what the subject could take if no work were in flight: what its grants have left, less the debt."""
    left = sum(grant.remaining for grant in grants if is_live(grant, now) and applies(grant, subject))
    return max(0, left - debt)


def allocate(
    grants: Iterable[Grant], amount: int, now: datetime, subject: GrantSubject, *, debt: int = 0
) -> tuple[list[list[Any]], int]:
    """Return ([[source, grant, amount]] in burn order, what is not covered) for an amount; nothing is changed.

    Debt comes first: while it stands, that much of the free credit is not to be had.
    """
    return take_in_order(burn_order(grants, now, subject), amount, debt=debt)


def take_in_order(ordered: Iterable[Grant], amount: int, *, debt: int = 0) -> tuple[list[list[Any]], int]:
    """Return the same for grants that are already in order, whichever they are."""
    taken: list[list[Any]] = []
    missing, owed = amount, debt
    for grant in ordered:
        if missing == 0:
            break
        free = grant.remaining - grant.held
        repaid = min(free, owed)
        owed -= repaid
        part = min(free - repaid, missing)
        if part > 0:
            taken.append([grant.source, grant.id, part])
            missing -= part
    return taken, missing


def settle(receipt: Sequence[tuple[Any, int]], actual: int) -> list[tuple[Any, int]]:
    """Return what is burnt of each grant of a receipt, in the order taken; the rest returns, last-taken first."""
    burned: list[tuple[Any, int]] = []
    rest = actual
    for grant, amount in receipt:
        part = min(amount, rest)
        if part > 0:
            burned.append((grant, part))
            rest -= part
    return burned


def broken_parts(grant: Grant, amount: int) -> tuple[int, int]:
    """Return (breakage, what goes back to promotional_expense) of an amount that leaves a grant unused.

    What was paid for is used first, so the gift is what a grant has left at last: min(remaining, gift) of it. That
    depends on nothing but what remains, so the parts of a grant that breaks in several steps sum up exactly.
    """
    back = min(grant.remaining, grant.gift) - min(grant.remaining - amount, grant.gift)
    return amount - back, back
