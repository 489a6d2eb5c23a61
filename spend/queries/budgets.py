"""Budgets as the gate reads them, and as people see them: with what their current windows hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from common.errors import NotFound
from events.store import Cursor
from orgs.rules.facts import time_text
from spend.rules.budgets import BudgetDefinition, Threshold
from spend.rules.windows import first_bucket_at, window_at

COLUMNS = """id, scope, target_id, target_label, window_kind, rolling_seconds, unit, measure, amount_limit, overdraft,
    mode, time_zone, thresholds, version"""
DEFINITIONS = f"SELECT {COLUMNS} FROM budgets WHERE organization = %s AND archived_at IS NULL ORDER BY id"
ROWS = f"SELECT {COLUMNS}, created_at, archived_at FROM budgets WHERE organization = %s"
COUNTERS = """
SELECT budget_id, target, window_start, window_end, held, spent FROM budget_counters
WHERE budget_id = ANY(%s::uuid[]) AND (window_end IS NULL OR window_end > %s) ORDER BY budget_id, target, window_start
"""
MAX_TARGETS = 100


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A budget with what the gate does not need."""

    definition: BudgetDefinition
    created_at: datetime
    archived_at: datetime | None

    def data(self) -> dict[str, Any]:
        """Return the budget as its events hold it."""
        budget = self.definition
        return {
            "scope": budget.scope,
            "target_id": None if budget.target_id is None else str(budget.target_id),
            "target_label": budget.target_label,
            "window_kind": budget.window_kind,
            "rolling_seconds": budget.rolling_seconds,
            "unit": budget.unit,
            "measure": budget.measure,
            "amount_limit": budget.amount_limit,
            "overdraft": budget.overdraft,
            "mode": budget.mode,
            "time_zone": budget.zone.key,
            "thresholds": [{**t.shown(), "action": t.action} for t in budget.thresholds],
            "created_at": time_text(self.created_at),
        }


@dataclass(slots=True)
class Standing:
    """What one target of a budget has spent and holds in its current window."""

    target: str
    window_start: datetime
    window_end: datetime | None
    held: int = 0
    spent: int = 0


def load_definitions(cur: Cursor, organization: UUID) -> list[BudgetDefinition]:
    """Return every budget of the organization that is not archived, oldest first."""
    cur.execute(DEFINITIONS, (organization,))
    return [_definition(row) for row in cur.fetchall()]


def find_budget(cur: Cursor, *, organization: UUID, budget: UUID) -> BudgetRow:
    """Return one budget. Raises NotFound."""
    row = cur.execute(ROWS + " AND id = %s", (organization, budget)).fetchone()
    if row is None:
        raise NotFound("There is no such budget.")
    return _row(row)


def list_budgets(
    cur: Cursor, *, organization: UUID, scope: str | None, before: UUID | None, limit: int
) -> list[BudgetRow]:
    """Return the organization's budgets, newest first, archived ones too."""
    cur.execute(
        ROWS + " AND (%s::text IS NULL OR scope = %s) AND (%s::uuid IS NULL OR id < %s) ORDER BY id DESC LIMIT %s",
        (organization, scope, scope, before, before, limit),
    )
    return [_row(row) for row in cur.fetchall()]


def standings(
    cur: Cursor, budgets: Sequence[BudgetDefinition], now: datetime
) -> dict[UUID, list[Standing]]:
    """Return what the targets of these budgets have spent and hold in the windows of this moment."""
    by_id = {budget.id: budget for budget in budgets}
    oldest = min((_first(budget, now) for budget in budgets), default=now)
    cur.execute(COUNTERS, (list(by_id), oldest))
    found: dict[UUID, dict[str, Standing]] = {}
    for budget_id, target, start, end, held, spent in cur.fetchall():
        budget = by_id[budget_id]
        if start > now or (end is not None and end <= _first(budget, now)):
            continue
        standing = found.setdefault(budget_id, {}).setdefault(target, Standing(target, start, end))
        standing.held += held
        standing.spent += spent
        standing.window_end = end
    return {budget_id: list(rows.values())[:MAX_TARGETS] for budget_id, rows in found.items()}


def _first(budget: BudgetDefinition, now: datetime) -> datetime:
    if budget.window_kind == "rolling":
        return first_bucket_at(now, budget.rolling_seconds or 1)
    return window_at(budget.window_kind, now, budget.zone).start


def _definition(row: tuple[Any, ...]) -> BudgetDefinition:
    *plain, zone, thresholds, version = row
    levels = tuple(Threshold(t["action"], t.get("percent"), t.get("amount")) for t in thresholds)
    return BudgetDefinition(*plain, zone=ZoneInfo(zone), thresholds=levels, version=version)


def _row(row: tuple[Any, ...]) -> BudgetRow:
    return BudgetRow(_definition(row[:-2]), row[-2], row[-1])
