"""Which lines stand on one invoice: all that a customer owes, or as its billing profile wants it what it owes for one
subscription or contract."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from billing.rules.assembling import UNBILLED, Owed
from billing.rules.profiles import PER_SUBSCRIPTION

Part = tuple[UUID | None, UUID | None]
"""A subscription or a contract; neither: use of the gate, and what was added by hand."""
NOBODY: Final[Part] = (None, None)


def carries_use(part: Sequence[Owed], *, consolidation: str) -> bool:
    """Return whether an invoice is the one that bills use of the gate: its ranges of use are written into it."""
    return consolidation != PER_SUBSCRIPTION or _part_of(part[0]) == NOBODY


def parted(owed: Sequence[Owed], *, consolidation: str) -> list[list[Owed]]:
    """Return the lines of each invoice in their order; none of nothing.

    Apart, subscriptions and contracts come in the order of their first lines, and the rest comes last. Use that was
    paid for before is on an invoice only beside something that is owed: alone it makes none, as ever.
    """
    if consolidation != PER_SUBSCRIPTION:
        return [list(owed)] if owed else []
    parts: dict[Part, list[Owed]] = {}
    for one in owed:
        parts.setdefault(_part_of(one), []).append(one)
    rest = parts.pop(NOBODY, [])
    found = list(parts.values())
    if any(one.account != UNBILLED or one.exact for one in rest):
        found.append(rest)
    return found


def _part_of(owed: Owed) -> Part:
    if owed.subscription is not None:
        return owed.subscription, None
    return None, owed.contract
