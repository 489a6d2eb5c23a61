"""Totals of whole runs, child runs included, as samples for suggested limits and estimates."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from events.store import Cursor
from spend.queries.periods import recorded_since

MAX_RUNS: Final = 200
"""How many runs are looked at: the last ones."""
_TOTALS: Final = """
SELECT root.key, root.started_at, sum(t.charged), sum(t.tokens), sum(t.usage_count) FROM (
    SELECT r.id, r.key, r.started_at FROM runs r
    WHERE r.organization = %(o)s AND r.parent_id IS NULL AND r.id >= %(first_id)s AND r.started_at >= %(since)s
        AND (%(agent)s::uuid IS NULL OR r.agent_id = %(agent)s)
        AND (%(workflow)s::uuid IS NULL OR r.workflow_id = %(workflow)s)
        AND EXISTS (SELECT 1 FROM runs u WHERE u.organization = %(o)s AND u.root_id = r.id AND u.usage_count > 0)
        AND NOT EXISTS (SELECT 1 FROM runs h WHERE h.organization = %(o)s AND h.root_id = r.id AND h.held > 0)
    ORDER BY r.id DESC LIMIT %(most)s
) root JOIN runs t ON t.organization = %(o)s AND t.root_id = root.id
GROUP BY root.id, root.key, root.started_at ORDER BY root.id
"""


class RunTotal(NamedTuple):
    """What one root run was charged (units of 10^-8) and used with all below it."""

    key: str
    started_at: datetime
    charged: int
    tokens: int
    calls: int


def run_totals(
    cur: Cursor,
    *,
    organization: UUID,
    since: datetime,
    agent: UUID | None = None,
    workflow: UUID | None = None,
) -> list[RunTotal]:
    """Return the totals of the last root runs (of an agent, of a workflow) that started at `since` or later, used
    something, and hold nothing now; oldest first, at most MAX_RUNS."""
    cur.execute(
        _TOTALS,
        {
            "o": organization,
            "since": since,
            "first_id": recorded_since(cur, organization, since).first_id,
            "agent": agent,
            "workflow": workflow,
            "most": MAX_RUNS,
        },
    )
    return [RunTotal(key, at, int(a), int(b), int(c)) for key, at, a, b, c in cur.fetchall()]
