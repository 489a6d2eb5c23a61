"""Accounts of an organization: their ids and balances."""

from uuid import UUID

from events.store import Cursor

IDS = """
SELECT kind, id FROM accounts WHERE organization = %s AND currency = %s AND counterparty IS NULL
"""


def account_ids(cur: Cursor, *, organization: UUID, currency: str) -> dict[str, UUID]:
    """Return the ids of the organization's own accounts in a currency, by kind; they never change."""
    cur.execute(IDS, (organization, currency))
    return dict(cur.fetchall())
