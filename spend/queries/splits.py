"""The split rules of a calling organization, as the gate and those who publish them read them."""

from __future__ import annotations

import json
from typing import Any, Final
from uuid import UUID

from events.store import Cursor
from spend.rules.splits import Splits, splits_of

_LOAD: Final = """
SELECT r.listing_id::text, r.rules::text, a.accounts::text FROM split_rules r CROSS JOIN (
    SELECT coalesce(json_object_agg(counterparty, id), '{}') AS accounts FROM accounts
    WHERE organization = %(organization)s AND kind = 'partner_earned' AND counterparty IS NOT NULL) a
WHERE r.organization = %(organization)s
"""
_FIND: Final = "SELECT rules::text, version FROM split_rules WHERE organization = %s AND listing_id = %s"
_ACCOUNTS: Final = """
SELECT counterparty, id FROM accounts WHERE organization = %s AND kind = 'partner_earned' AND currency = %s
    AND counterparty IS NOT NULL
"""


def load_splits(cur: Cursor, organization: UUID) -> dict[str, Splits]:
    """Return the split rules of an organization by listing; empty for all that call none."""
    rows = cur.execute(_LOAD, {"organization": organization}).fetchall()
    return {
        listing: splits_of(listing, json.loads(rules), json.loads(accounts))
        for listing, rules, accounts in rows
    }


def published_rules(
    cur: Cursor, *, organization: UUID, listing: UUID
) -> tuple[list[dict[str, Any]] | None, int]:
    """Return what was published last of a listing for an organization, and how often something was."""
    row = cur.execute(_FIND, (organization, listing)).fetchone()
    return (None, 0) if row is None else (json.loads(row[0]), row[1])


def earned_accounts(cur: Cursor, *, organization: UUID, currency: str) -> dict[UUID, UUID]:
    """Return the accounts of an organization's books in which partners' shares stand, by partner."""
    return dict(cur.execute(_ACCOUNTS, (organization, currency)).fetchall())
