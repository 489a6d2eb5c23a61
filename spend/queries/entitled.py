"""What a customer is entitled to, as it was published to the gate."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from events.store import Cursor
from spend.rules.entitled import Entitled, Value, limits_of
from spend.rules.limits import RateLimit

# As text: whether jsonb arrives decoded depends on the connection, Django's or the gate's.
_decode = msgspec.json.Decoder(dict[str, dict[str, Any]]).decode
_FIND: Final = """
SELECT e.features::text, e.line, e.credit_limit, e.line_source, e.next_at, e.published_at, e.version, o.time_zone
FROM gate_entitlements e JOIN organizations o ON o.id = e.organization WHERE e.organization = %s
"""
_AGENTS: Final = "SELECT count(*) FROM agents WHERE organization = %s AND archived_at IS NULL"
# Nothing is decided here, so the clock may be asked.
_DUE: Final = """
SELECT e.organization FROM gate_entitlements e JOIN organizations o ON o.id = e.organization
WHERE e.next_at <= clock_timestamp() + o.clock_offset AND o.status = 'active'
"""


def load_entitled(cur: Cursor, organization: UUID) -> tuple[Entitled | None, list[RateLimit]]:
    """Return what was published of an organization, and the limits of the gate that come of it."""
    row = cur.execute(_FIND, (organization,)).fetchone()
    if row is None:
        return None, []
    found = _read(row)
    since: datetime = row[5]
    return found, limits_of(found, organization, row[7], since)


def find_entitled(cur: Cursor, organization: UUID) -> tuple[Entitled | None, int]:
    """Return what was published last of an organization, and how often something was: None and 0 without any."""
    row = cur.execute(_FIND, (organization,)).fetchone()
    return (None, 0) if row is None else (_read(row), row[6])


def count_agents(cur: Cursor, organization: UUID) -> int:
    """Return how many agents of the organization are not archived."""
    row = cur.execute(_AGENTS, (organization,)).fetchone()
    return int(row[0]) if row else 0


def organizations_to_look_at(cur: Cursor) -> list[UUID]:
    """Return the organizations of which something begins or ends by now, by their own clock."""
    return [row[0] for row in cur.execute(_DUE).fetchall()]


def _read(row: tuple[Any, ...]) -> Entitled:
    features = _decode(row[0])
    return Entitled(
        {name: _value(each["value"]) for name, each in features.items()},
        {name: each["source"] for name, each in features.items()},
        *row[1:5],
    )


def _value(value: Any) -> Value:
    found: Value = tuple(value) if isinstance(value, list) else value
    return found
