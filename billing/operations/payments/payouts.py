"""The platform's own money: from the processor's balance to its bank account, in the platform's own books."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Final
from uuid import UUID

from billing.rules.payments.applied import APPLIED, PARKED, UNCHANGED, Applied
from billing.rules.payments.payouts import STATUSES, Payout, fact, moved, payout_stream
from billing.rules.payments.views import PayoutView
from common.ids import new_id
from events.store import Cursor, Event, append
from ledger.queries.accounts import account_ids
from ledger.rules.effects import entry
from orgs import PLATFORM_ID
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization

BOOKS: Final = ("processor_clearing", "payout_in_transit", "cash", "processor_fees")
"""The accounts of the platform's own books, of each currency that it is paid out in."""
_NAMES: Final = tuple(field.name for field in fields(Payout))
_FIND: Final = (
    "SELECT " + ", ".join("failure::text" if name == "failure" else name for name in _NAMES)
    + " FROM processor_payouts WHERE id = %s"
)  # fmt: skip


def apply_payout(cur: Cursor, view: PayoutView, *, author: Author) -> Applied:
    """This function will bring a payout of the platform to what its object says: out of `processor_clearing`, on its
    way, at the bank, or back. Each step once (W1). It locks the platform, whose accounts it opens with the first payout
    of a currency."""
    if view.status not in STATUSES:
        return Applied(PARKED, f"a payout is not {view.status}")
    now = lock_organization(cur, PLATFORM_ID).now
    done = moved(_known(cur, view.id), view, platform=PLATFORM_ID)
    if done is None:
        return Applied(UNCHANGED)
    accounts = _accounts(cur, view.currency, author) if done.steps else {}
    entries = [
        entry(
            lines=[[str(accounts[kind]), amount] for kind, amount in step.postings.items()],
            currency=view.currency,
            kind="processor_payout",
            source=f"payout:{view.id}",
            key=step.key,
            reason=f"Payout {view.id}",
        )
        for step in done.steps
    ]
    effects = [[f"payout:{view.id}", step.key] for step in done.steps]
    ledger = {"entries": entries} if entries else {}
    record(cur, [fact(done.payout, at=now, effects=effects, ledger=ledger)], author=author)
    return Applied(APPLIED, ", ".join(step.key for step in done.steps))


def _known(cur: Cursor, name: str) -> Payout | None:
    row = cur.execute(_FIND, (payout_stream(name),)).fetchone()
    if row is None:
        return None
    values = dict(zip(_NAMES, row, strict=True))
    values["failure"] = None if values["failure"] is None else json.loads(values["failure"])
    return Payout(**values)


def _accounts(cur: Cursor, currency: str, author: Author) -> Mapping[str, UUID]:
    """The platform's accounts in a currency. What is missing is opened: it had no books before there were payouts."""
    found = dict(account_ids(cur, organization=PLATFORM_ID, currency=currency))
    now = lock_organization(cur, PLATFORM_ID).now
    for kind in BOOKS:
        if kind not in found:
            found[kind] = new_id()
            data = {"kind": kind, "currency": currency, "live": False, "credit_limit": None}
            opened = Event(PLATFORM_ID, "account", found[kind], 1, "account.opened", data, now, author.actor)
            append(cur, [opened])
    return found
