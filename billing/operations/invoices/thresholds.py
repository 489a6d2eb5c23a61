"""Progressive billing: invoices before the period ends, whenever its use reaches a threshold (docs/charges.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.operations.invoices.drafting import locked_standing, standing_fact
from billing.queries.standing import Standing, standing_of
from billing.rules.progressive import Progress, Thresholds
from common.errors import InvalidField
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.rules.facts import Fact
from orgs.rules.rows import LockedOrganization

MOST: Final = 20
"""So many thresholds that fire once."""


def set_thresholds(cur: Cursor, *, organization: UUID, changes: Mapping[str, Any], author: Author) -> None:
    """This function will set at which totals of a period's use (units) invoices are made before its end.

    `changes`: `thresholds`, which rise and fire once each in a period, and `recurring_threshold` (None: none), which
    counts on from the last of them; what is not named stays. Or `threshold` alone: one that recurs from the beginning
    of the period, None for none at all. What the period fired already stays fired. The same again changes nothing.
    Raises NotFound and InvalidField.
    """
    locked, standing = locked_standing(cur, organization)
    wanted = _wanted(standing.progress.thresholds, changes)
    if wanted == standing.progress.thresholds:
        return
    progress = replace(standing.progress, thresholds=wanted)
    record(cur, [_fact(locked, standing, progress, "threshold_set")], author=author)


def end_period(cur: Cursor, locked: LockedOrganization, *, at: datetime, author: Author) -> None:
    """This function will end a customer's period of progressive billing at a change of plan: the change's invoice
    bills the use until then and states what was billed before (M15). It does nothing for a customer without
    progressive billing. The caller holds the lock. Raises NotFound."""
    standing = standing_of(cur, locked.id)
    if standing.progress.is_on:
        progress = standing.progress.ending(at)
        record(cur, [_fact(locked, standing, progress, "period_ended")], author=author)


def _wanted(present: Thresholds, changes: Mapping[str, Any]) -> Thresholds:
    named = {"thresholds", "recurring_threshold"} & changes.keys()
    if ("threshold" in changes) == bool(named):
        raise InvalidField(
            "Name thresholds and recurring_threshold, or threshold alone.",
            pointer="/threshold" if named else "/thresholds",
        )
    if not named:
        return Thresholds((), changes["threshold"])
    once = tuple(changes.get("thresholds", present.once))
    if len(once) > MOST or list(once) != sorted(set(once)):
        raise InvalidField(f"Up to {MOST} thresholds, each above the one before.", pointer="/thresholds")
    return Thresholds(once, changes.get("recurring_threshold", present.recurring))


def _fact(locked: LockedOrganization, standing: Standing, progress: Progress, verb: str) -> Fact:
    return standing_fact(locked, replace(standing, progress=progress, version=standing.version + 1), verb)
