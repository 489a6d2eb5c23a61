"""From levels to movements: every change of a customer's MRR is of one kind (house rule 34). Pure.

New is the first ever; a second subscription is expansion; ending one of several is contraction; ending the last one is
churn; coming back is reactivation. Kinds depend on the order of business time alone, so a fact that is dated earlier
changes what later ones are called, and nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final
from uuid import UUID

NEW: Final = "new"
EXPANSION: Final = "expansion"
REACTIVATION: Final = "reactivation"
CONTRACTION: Final = "contraction"
CHURN: Final = "churn"
KINDS: Final = (NEW, EXPANSION, REACTIVATION, CONTRACTION, CHURN)


@dataclass(frozen=True, slots=True)
class SourceLevel:
    """What a subscription or contract of one customer comes to from a moment on; units a month."""

    source: UUID
    currency: str
    at: datetime
    mrr: int


@dataclass(frozen=True, slots=True)
class Movement:
    """A change of MRR in units: `amount` is below zero for contraction and churn."""

    source: UUID
    currency: str
    at: datetime
    kind: str
    amount: int


def movements_of(levels: Iterable[SourceLevel]) -> list[Movement]:
    """Return the movements of one customer, in order of time; at any moment their sum up to it is its MRR.

    Currencies are apart. What happens at one moment is judged together by what the customer had before and has after.
    """
    ordered = sorted(levels, key=lambda each: (each.currency, each.at, each.source))
    found: list[Movement] = []
    for _, of_currency in groupby(ordered, key=lambda each: each.currency):
        found += _of_one_currency(of_currency)
    return sorted(found, key=lambda each: (each.at, each.source))


def kind_of(before: int, after: int, change: int, *, is_first: bool) -> str:
    """Return what a change of one source is called when the customer's MRR goes from `before` to `after`."""
    if before == 0 and after > 0:
        return NEW if is_first else REACTIVATION
    if before > 0 and after == 0:
        return CHURN
    return EXPANSION if change > 0 else CONTRACTION


def _of_one_currency(levels: Iterable[SourceLevel]) -> list[Movement]:
    held: dict[UUID, int] = {}
    total, had_any = 0, False
    found: list[Movement] = []
    for _, moment in groupby(levels, key=lambda each: each.at):
        changes = [(each, each.mrr - held.get(each.source, 0)) for each in moment]
        after = total + sum(change for _, change in changes)
        for each, change in changes:
            held[each.source] = each.mrr
            if change:
                kind = kind_of(total, after, change, is_first=not had_any)
                found.append(Movement(each.source, each.currency, each.at, kind, change))
        total, had_any = after, had_any or after > 0
    return found
