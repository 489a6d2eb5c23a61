"""What a simulation brought, as answers and the command show it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from billing.operations.simulating import Simulated
from billing.queries.happenings import Happening, written


def show_simulation(done: Simulated, happened: list[Happening], *, more: bool) -> dict[str, Any]:
    """How far time passed, and what happened."""
    return {
        "organization": done.organization,
        "started_at": _utc(done.started_at),
        "reached_at": _utc(done.reached_at),
        "finished": done.is_finished,
        "moments": done.moments,
        "first_event": done.after + 1,
        "last_event": done.last,
        "happenings": [written(one) for one in happened],
        "has_more": more,
    }


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
