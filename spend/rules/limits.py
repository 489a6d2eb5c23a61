"""Rate limits as the gate reads them (S48 to S53): how many of a unit may pass, in which window, for whom.

A limit with `burst` is a GCRA (generic cell rate algorithm, ATM Forum TM 4.1, the leaky bucket as a meter): one unit
each window / limit on average, `burst` at once. Without it the count of a fixed window of the organization's time
zone; `concurrent` counts reservations that are open.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from common.ids import AnyId

SCOPES: Final = ("key", "user", "agent", "workflow", "connection", "team", "organization")
UNITS: Final = ("requests", "tokens", "tool_calls", "concurrent")
WINDOWS: Final = ("second", "minute", "hour", "day", "billing_cycle")
BEHAVIOURS: Final = ("reject", "throttle")
CALLERS: Final = ("key", "agent", "workflow", "user")
DIRECTIONS: Final = ("input", "output")
MODES: Final = ("off", "observe", "enforce")
WINDOW_SECONDS: Final = {
    "second": 1,
    "minute": 60,
    "hour": 3_600,
    "day": 86_400,
    "billing_cycle": 30 * 86_400,
}
SECOND_NS: Final = 10**9
LONGEST_BURST_NS: Final = 100 * 366 * 86_400 * SECOND_NS
"""How long a whole burst may take to come back: arrival times are counted in nanoseconds, of which a bigint holds 292
years."""


def interval_of(window: str | None, limit: int) -> int:
    """Return in how many nanoseconds a GCRA lets one unit pass, rounded up."""
    return -(-WINDOW_SECONDS.get(window or "", 1) * SECOND_NS // max(1, limit))


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A rate limit's row. `amount_limit` in units; `window_kind` None: concurrent; `active_*` HH:MM in `time_zone`.

    `per` counts each caller of the target on its own; `direction` counts tokens of one direction only.
    """

    id: AnyId
    organization: AnyId
    scope: str
    target_id: AnyId | None
    target_label: str | None
    per: str | None
    unit: str
    direction: str | None
    amount_limit: int
    window_kind: str | None
    burst: int | None
    behaviour: str
    escalate_denials: int | None
    escalate_seconds: int | None
    active_from: str | None
    active_until: str | None
    time_zone: str
    mode: str
    version: int
    created_at: datetime
    archived_at: datetime | None = None


def limit_over_all(
    organization: AnyId, name: AnyId, *, unit: str, most: int, window: str | None, zone: str, since: datetime
) -> RateLimit:
    """Return a limit over a whole organization that has no row: it follows from what an upper app published. `most`
    units in a window of the clock; a window that is None: at once."""
    return RateLimit(
        id=str(name),
        organization=str(organization),
        scope="organization",
        target_id=None,
        target_label=None,
        per=None,
        unit=unit,
        direction=None,
        amount_limit=most,
        window_kind=window,
        burst=None,
        behaviour="reject",
        escalate_denials=None,
        escalate_seconds=None,
        active_from=None,
        active_until=None,
        time_zone=zone,
        mode="enforce",
        version=1,
        created_at=since,
    )
