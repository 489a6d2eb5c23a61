"""Rate limits: as the gate reads them, and as people read them with what their current windows hold."""

from typing import Any, Final
from uuid import UUID

from events.store import Cursor
from spend.rules.limits import RateLimit

_COLUMNS: Final = (
    "id, organization, scope, target_id, target_label, per, unit, direction, amount_limit, window_kind, burst, behaviour, "
    "escalate_denials, escalate_seconds, active_from, active_until, time_zone, mode, version, created_at, archived_at"
)
LIVE: Final = f"SELECT {_COLUMNS} FROM rate_limits WHERE organization = %s AND archived_at IS NULL AND mode <> 'off' ORDER BY id"


def load_limits(cur: Cursor, organization: UUID) -> list[RateLimit]:
    """Return every rate limit of the organization that the gate judges or observes, oldest first; ids are texts."""
    cur.execute(LIVE, (organization,))
    return [_of_texts(row) for row in cur.fetchall()]


def _of_texts(row: tuple[Any, ...]) -> RateLimit:
    target = None if row[3] is None else str(row[3])
    values: Any = (str(row[0]), str(row[1]), row[2], target, *row[4:])
    return RateLimit(*values)
