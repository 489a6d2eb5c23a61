"""What a rate limit's counter says at a moment: used, what remains, and when it is as new."""

from datetime import datetime, timedelta
from typing import NamedTuple

from spend.rules.limits import RateLimit
from spend.rules.meters import meter_of_limit, nanoseconds
from spend.rules.windows import EPOCH


class Figures(NamedTuple):
    """In the limit's unit. `resets_at`: when nothing of this is counted any more; None: when what is open ends."""

    used: int
    remaining: int
    resets_at: datetime | None


def figures(
    limit: RateLimit, *, held: int, spent: int, window_end: datetime | None, now: datetime
) -> Figures:
    """Return what a counter's row means now: a window's or the open reservations' held and spent, or a meter's arrival
    time in nanoseconds since 1970 (`spent`)."""
    if limit.window_kind is None or limit.burst is None:
        used = held + spent
        return Figures(used, max(0, limit.amount_limit - used), window_end)
    if limit.amount_limit == 0:
        return Figures(0, 0, None)
    behind = max(0, spent - nanoseconds(now))
    used = -(-behind // meter_of_limit(limit).interval_ns)
    empty_at = EPOCH + timedelta(microseconds=-(-spent // 1_000)) if behind else None
    return Figures(used, max(0, limit.burst - used), empty_at)
