"""The objects of this app as answers show them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from spend.queries.budgets import LiveCounter
from spend.rules.admission import shown as written_in
from spend.rules.budgetfacts import Budget, definition_of
from spend.rules.budgets import MONEY_FREE_UNITS, cap


def show_budget(budget: Budget, *, names: Mapping[str, str], counters: list[LiveCounter]) -> dict[str, Any]:
    """A budget with what the targets of its current window use; `names`: keys of targets by id."""
    write = written_in(budget.unit)
    in_money = budget.unit not in MONEY_FREE_UNITS
    target = budget.target_label
    if budget.target_id is not None:
        target = names.get(str(budget.target_id), str(budget.target_id))
    return {
        "id": budget.id,
        "organization": budget.organization,
        "scope": budget.scope,
        "target": target,
        "target_id": budget.target_id,
        "window": budget.window_kind,
        "rolling_seconds": budget.rolling_seconds,
        "limit": write(budget.amount_limit),
        "currency": budget.unit if in_money else None,
        "unit": None if in_money else budget.unit,
        "measure": budget.measure,
        "time_zone": budget.time_zone,
        "overdraft": write(budget.overdraft),
        "mode": budget.mode,
        "thresholds": [_threshold(budget, index) for index in range(len(budget.thresholds))],
        "status": "active" if budget.archived_at is None else "archived",
        "version": budget.version,
        "created_at": utc(budget.created_at),
        "archived_at": utc(budget.archived_at),
        "counters": [_counter(budget, counter, names) for counter in counters],
    }


def _threshold(budget: Budget, index: int) -> dict[str, Any]:
    threshold = budget.thresholds[index]
    if threshold.amount is not None:
        return {"amount": written_in(budget.unit)(threshold.amount), "action": threshold.action}
    return {"percent": threshold.percent, "action": threshold.action}


def _counter(budget: Budget, counter: LiveCounter, names: Mapping[str, str]) -> dict[str, Any]:
    write = written_in(budget.unit)
    remaining = cap(definition_of(budget)) - counter.spent - counter.held
    return {
        "target": names.get(counter.target, counter.target) or None,
        "window_start": utc(counter.window_start),
        "window_end": utc(counter.window_end),
        "spent": write(counter.spent),
        "held": write(counter.held),
        "remaining": write(max(0, remaining)),
        "resets_at": utc(counter.resets_at),
    }


def utc(moment: datetime | None) -> datetime | None:
    """A time of an answer, in UTC."""
    return None if moment is None else moment.astimezone(UTC)
