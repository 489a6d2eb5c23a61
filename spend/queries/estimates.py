"""Estimates from history: what calls of this agent to this model have taken before (S29)."""

from datetime import datetime, timedelta

from common.ids import AnyId
from events.store import Cursor
from spend.rules.commands import Estimate

MEDIUM_CONFIDENCE_CALLS = 5
HISTORY = timedelta(days=30)

SQL = """
SELECT sum(calls), max(max_charge) FROM usage_hourly
WHERE organization = %s AND hour >= %s AND agent_id = %s AND provider IS NOT DISTINCT FROM %s
    AND model IS NOT DISTINCT FROM %s AND outcome = 'completed'
"""


def estimate_from_history(
    cur: Cursor, *, organization: AnyId, agent: AnyId, provider: str | None, model: str | None, now: datetime
) -> Estimate | None:
    """Return the largest charge of the agent's completed calls to this model in the last 30 days, as an amount.

    None below 5 calls (confidence low), and where they were all free: the caller then needs another estimate.
    """
    cur.execute(SQL, (organization, now - HISTORY, agent, provider, model))
    row = cur.fetchone()
    if row is None or row[0] is None or row[0] < MEDIUM_CONFIDENCE_CALLS or not row[1]:
        return None
    return Estimate(amount=row[1])
