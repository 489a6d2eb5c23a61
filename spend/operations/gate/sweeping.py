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
    return sum(sweep_organization(organization) for organization in organizations_due(limit))


def sweep_organization(organization: UUID) -> int:
    """This function will do so for one organization."""
    for batches in range(1, 1_001):
        submit([Expire(organization)])
        with gate_connection() as connection:
            row = connection.execute(COUNT, (organization,)).fetchone()
        if row is None or row[0] == 0:
            return batches
    return 1_000
