"""Spend by minute, kept by a reader of the events: usage_by_minute, of the last eight days.

Each usage record is added once: the reader's cursor moves in the transaction that adds it. It only adds up. Whether a
pace is an alert is judged by a due job (operations/velocity): a judgement takes the locks of organizations, and a
handler that waited for one of them would keep the cursor, and with it everybody's figures, waiting for up to 5 s.
"""

from collections.abc import Sequence
from typing import Final

from events.reading import StoredEvent
from events.store import Cursor
from events.subscribers import Subscriber, register
from spend.projections.fine import record_of

READER: Final = "spend.usage_by_minute"
KEPT_DAYS: Final = 8
"""A day more than what velocity alerts look back on."""

# How long rows are kept is housekeeping: the clock may be asked here.
_ADD: Final = f"""
INSERT INTO usage_by_minute AS m (organization, minute, agent_id, run_id, root_run_id, calls, retries, tokens, cost,
    charge)
SELECT u.organization, date_trunc('minute', u.occurred_at, 'UTC'), u.agent_id, u.run_id,
    COALESCE(u.root_run_id, u.run_id), count(*), count(*) FILTER (WHERE u.attempt > 1),
    sum(u.input_tokens + u.output_tokens), sum(u.cost), sum(u.charge)
FROM unnest(%s::uuid[], %s::uuid[]) AS w(o, i)
JOIN usage_records u ON u.organization = w.o AND u.id = w.i JOIN organizations o ON o.id = u.organization
WHERE u.occurred_at >= clock_timestamp() + o.clock_offset - interval '{KEPT_DAYS} days'
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4
ON CONFLICT (organization, minute, agent_id, run_id) DO UPDATE SET calls = m.calls + excluded.calls,
    retries = m.retries + excluded.retries, tokens = m.tokens + excluded.tokens, cost = m.cost + excluded.cost,
    charge = m.charge + excluded.charge
"""


def add_usage(cur: Cursor, events: Sequence[StoredEvent]) -> None:
    """This function will add the usage records that these events tell of to their minutes."""
    wanted = [
        (event.organization, record)
        for event in events
        # What a meter is charged for a whole period is nobody's pace.
        if event.type != "usage.charged" and (record := record_of(event)) is not None
    ]
    if wanted:
        cur.execute(_ADD, [list(column) for column in zip(*wanted, strict=True)])


def register_reader() -> None:
    """This function will make the minutes a subscriber of the events."""
    register(Subscriber(name=READER, handle=add_usage))
