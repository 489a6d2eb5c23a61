"""What a budget may be made of, and the data of its events. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from common.errors import InvalidField, InvalidTransition, ProblemError
from spend.rules.budgets import SCOPES
from spend.rules.windows import WINDOW_KINDS

MAX_ROLLING_SECONDS = 366 * 86_400
NAMED_SCOPES = frozenset(("team", "agent", "workflow", "connection"))
CHANGEABLE = ("amount_limit", "overdraft", "mode", "thresholds")


class HierarchyCycle(ProblemError):
    """A budget cannot stand below itself."""

    code = "hierarchy_cycle"
    status = 422


def check_window(scope: str, window: str, rolling_seconds: int | None) -> None:
    """Refuse windows that contradict themselves. Raises InvalidField."""
    if scope not in SCOPES or window not in WINDOW_KINDS:
        raise InvalidField("This is no scope or window of a budget.", pointer="/window")
    if (window == "rolling") != (rolling_seconds is not None):
        raise InvalidField("A rolling window, and only such, has rolling_seconds.", pointer="/rolling_seconds")
    if window == "run" and scope != "run":
        raise InvalidField("The window run is for budgets of scope run.", pointer="/window")


def changed(data: Mapping[str, Any], changes: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new definition with what changed from what to what (S42)."""
    new = {**data, **changes}
    difference = {name: [before.get(name), value] for name, value in changes.items() if before.get(name) != value}
    return {**new, "changed": difference}


def refuse_archived(archived_at: datetime | None) -> None:
    """Raises InvalidTransition for a budget that is archived."""
    if archived_at is not None:
        raise InvalidTransition("The budget is archived.")
