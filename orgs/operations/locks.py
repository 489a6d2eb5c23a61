"""The one lock that every write transaction takes first, and the clock that is read under it."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from psycopg.pq import TransactionStatus

from common.errors import NotFound
from events.store import Cursor
from orgs.rules.rows import LockedOrganization

# The clock stands in a scalar subquery over an aggregate of the locked rows: it cannot be read before all
# locks are held. In the list beside FOR NO KEY UPDATE it would be read before the wait for the lock.
_LOCK: Final = """
WITH locked AS MATERIALIZED (
    SELECT id, name, currency, time_zone, funding, credit_limit, status, is_platform, sandbox, config_epoch,
           version, created_at, clock_offset
    FROM organizations WHERE id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE
)
SELECT id, name, currency, time_zone, funding, credit_limit, status, is_platform, sandbox, config_epoch,
       version, created_at,
       (SELECT clock_timestamp() FROM (SELECT count(*) FROM locked) AS all_locked) + clock_offset
FROM locked
"""


def lock_organizations(cur: Cursor, ids: Iterable[UUID]) -> dict[UUID, LockedOrganization]:
    """This function will lock the organizations' rows, in the order of their ids, until the transaction ends.

    All writers of an organization pass here, so they are serialised and the order of their events' seq is
    the order of their commits. One statement; `now` is the business clock after the last lock was taken.

    Raises RuntimeError outside a transaction (the lock would be gone at once) and NotFound for an unknown id.
    """
    wanted = set(ids)
    connection = cur.connection
    if connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE:
        raise RuntimeError("organizations are locked inside a transaction")
    cur.execute(_LOCK, (list(wanted),))
    found = {row[0]: LockedOrganization(*row) for row in cur.fetchall()}
    if len(found) != len(wanted):
        raise NotFound("There is no such organization.")
    return found


def lock_organization(cur: Cursor, organization: UUID) -> LockedOrganization:
    """This function will lock one organization's row. Raises NotFound; see `lock_organizations`."""
    return lock_organizations(cur, (organization,))[organization]
