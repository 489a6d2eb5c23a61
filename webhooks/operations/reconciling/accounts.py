"""The platform's own accounts, opened with the first entry that needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from common.ids import new_id
from events.store import Cursor, Event, append
from ledger.queries.accounts import account_ids
from ledger.rules.effects import entry
from orgs import PLATFORM_ID
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization


def platform_accounts(
    cur: Cursor, *, currency: str, kinds: Iterable[str], author: Author
) -> Mapping[str, UUID]:
    """This function will return the platform's accounts of these kinds in a currency, and open those that it has not.

    It locks the platform.
    """
    now = lock_organization(cur, PLATFORM_ID).now
    found = dict(account_ids(cur, organization=PLATFORM_ID, currency=currency))
    for kind in sorted(set(kinds)):
        if kind not in found:
            found[kind] = new_id()
            data = {"kind": kind, "currency": currency, "live": False, "credit_limit": None}
            opened = Event(PLATFORM_ID, "account", found[kind], 1, "account.opened", data, now, author.actor)
            append(cur, [opened])
    return found


def platform_ledger(
    cur: Cursor,
    postings: Mapping[str, int],
    *,
    currency: str,
    kind: str,
    key: str,
    source: str,
    reason: str,
    author: Author,
) -> dict[str, Any]:
    """This function will return the ledger's part of an event of the platform; empty where nothing is posted."""
    if not postings:
        return {}
    accounts = platform_accounts(cur, currency=currency, kinds=postings, author=author)
    made = entry(
        lines=[[str(accounts[name]), amount] for name, amount in postings.items()],
        currency=currency,
        kind=kind,
        source=source,
        key=key,
        reason=reason,
    )
    return {"entries": [made]}
