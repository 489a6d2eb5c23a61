"""Sweeping expired grants of all organizations."""

from typing import Final
from uuid import UUID

from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.operations.grants import expire_grants
from orgs.operations.facts import Author

AUTHOR: Final = Author("system:expire_grants")
# The latest clock of any organization narrows the index scan; each one's own clock decides.
_DUE: Final = """
SELECT DISTINCT g.organization FROM credit_grants g JOIN organizations o ON o.id = g.organization
WHERE g.expired_at IS NULL AND g.remaining > 0
    AND g.expires_at <= clock_timestamp() + (SELECT max(clock_offset) FROM organizations)
    AND coalesce(g.breaks_at, g.expires_at) <= clock_timestamp() + o.clock_offset
LIMIT 200
"""
_AT_ONCE: Final = 200


def expire_due_grants() -> int:
    """This function will post breakage for every grant that has expired, and return how many these were.

    One short transaction per organization and 200 grants; what is held stays until its hold ends. An expired
    grant is not spendable before this ran either: the clock judges it.
    """
    done = 0
    while due := run_in_transaction(_due):
        for organization in due:
            done += expire_grants_of(organization)
    return done


def _due(cur: Cursor) -> list[UUID]:
    return [organization for (organization,) in cur.execute(_DUE).fetchall()]


def expire_grants_of(organization: UUID) -> int:
    """This function will do so for one organization. Raises NotFound."""
    done = 0
    while True:
        marked = run_in_transaction(
            lambda cur: expire_grants(cur, organization=organization, author=AUTHOR, limit=_AT_ONCE)
        )
        done += marked
        if marked < _AT_ONCE:
            return done
