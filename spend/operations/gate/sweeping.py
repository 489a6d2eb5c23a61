"""Writing down what has expired: the decision itself never waits for this (expiry is judged by the clock)."""

from uuid import UUID

from spend.operations.gate.apply import Expire
from spend.operations.gate.pool import gate_connection
from spend.operations.gate.submit import submit

DUE = """
SELECT DISTINCT r.organization FROM reservations r JOIN organizations o ON o.id = r.organization
WHERE r.status = 'active' AND r.expires_at <= clock_timestamp() + o.clock_offset LIMIT %s
"""
COUNT = """
SELECT count(*) FROM reservations r JOIN organizations o ON o.id = r.organization
WHERE r.status = 'active' AND r.expires_at <= clock_timestamp() + o.clock_offset AND r.organization = %s
"""


def organizations_due(limit: int = 1_000) -> list[UUID]:
    """Return the organizations that have reservations to expire."""
    with gate_connection() as connection:
        return [row[0] for row in connection.execute(DUE, (limit,))]


def sweep(*, limit: int = 1_000) -> int:
    """This function will expire every reservation that is due and return in how many transactions it did so.

    Each organization is its own transaction of at most 200 reservations (S32); safe beside any other writer.
    """
    batches = 0
    for organization in organizations_due(limit):
        for _ in range(1_000):
            submit([Expire(organization)])
            batches += 1
            with gate_connection() as connection:
                row = connection.execute(COUNT, (organization,)).fetchone()
            if row is None or row[0] == 0:
                break
    return batches
