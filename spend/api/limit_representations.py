"""Rate limits as answers show them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from spend.api.representations import utc
from spend.queries.ratelimits import LimitCounter, has_fixed_window
from spend.rules.limitfigures import figures
from spend.rules.limits import RateLimit


def show_rate_limit(
    limit: RateLimit, *, names: Mapping[str, str], counters: list[LimitCounter], now: datetime
) -> dict[str, Any]:
    """A rate limit with what the targets that use the most have used of it; `names`: keys of targets by id."""
    target = limit.target_label
    if limit.target_id is not None:
        target = names.get(str(limit.target_id), str(limit.target_id))
    return {
        "id": limit.id,
        "organization": limit.organization,
        "scope": limit.scope,
        "target": target,
        "target_id": limit.target_id,
        "per": limit.per,
        "unit": limit.unit,
        "direction": limit.direction,
        "limit": limit.amount_limit,
        "window": limit.window_kind,
        "burst": limit.burst,
        "behaviour": limit.behaviour,
        "escalate": _escalation(limit),
        "active_hours": _active_hours(limit),
        "time_zone": limit.time_zone,
        "mode": limit.mode,
        "status": "active" if limit.archived_at is None else "archived",
        "version": limit.version,
        "created_at": utc(limit.created_at),
        "archived_at": utc(limit.archived_at),
        "counters": [_counter(limit, counter, names, now) for counter in counters],
    }


def _escalation(limit: RateLimit) -> dict[str, Any] | None:
    if limit.escalate_denials is None:
        return None
    return {"denials": limit.escalate_denials, "seconds": limit.escalate_seconds}


def _active_hours(limit: RateLimit) -> dict[str, Any] | None:
    if limit.active_from is None:
        return None
    return {"from": limit.active_from, "until": limit.active_until, "time_zone": limit.time_zone}


def _counter(
    limit: RateLimit, counter: LimitCounter, names: Mapping[str, str], now: datetime
) -> dict[str, Any]:
    found = figures(limit, held=counter.held, spent=counter.spent, window_end=counter.window_end, now=now)
    target, caller = _who(limit, counter.target)
    return {
        "target": names.get(target, target) or None,
        "caller": caller if caller is None else names.get(caller, caller),
        "window_start": utc(counter.window_start) if has_fixed_window(limit) else None,
        "window_end": utc(counter.window_end),
        "held": counter.held,
        "used": found.used,
        "remaining": found.remaining,
        "resets_at": utc(found.resets_at),
    }


def _who(limit: RateLimit, target: str) -> tuple[str, str | None]:
    """The target of a counter and, where each caller is counted on its own, the caller, both as the gate names them.

    The target before the slash is escaped, because a user's label may hold one.
    """
    if limit.per is None:
        return target, None
    head, _, caller = target.partition("/")
    return head.replace("%2F", "/").replace("%25", "%"), caller
