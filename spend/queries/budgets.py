"""Budgets as the gate reads them."""

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from events.store import Cursor
from spend.rules.budgets import BudgetDefinition, Threshold

DEFINITIONS = """
SELECT id, scope, target_id, target_label, window_kind, rolling_seconds, unit, measure, amount_limit, overdraft, mode,
    time_zone, thresholds, version
FROM budgets WHERE organization = %s AND archived_at IS NULL ORDER BY id
"""


def load_definitions(cur: Cursor, organization: UUID) -> list[BudgetDefinition]:
    """Return every budget of the organization that is not archived, oldest first."""
    cur.execute(DEFINITIONS, (organization,))
    return [definition(row) for row in cur.fetchall()]


def definition(row: tuple[Any, ...]) -> BudgetDefinition:
    """Return the definition that a row of DEFINITIONS is."""
    *plain, zone, thresholds, version = row
    levels = tuple(Threshold(t["action"], t.get("percent"), t.get("amount")) for t in thresholds)
    return BudgetDefinition(*plain, zone=ZoneInfo(zone), thresholds=levels, version=version)
