"""What a partner can withdraw now, after few earnings and after many: it costs the same.

Earnings are events that the projector of the gate's commits takes, without the calls: what is measured is reading them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from common.ids import new_id, new_id_text
from common.transactions import run_in_transaction
from events.store import Cursor, Event, append
from ledger.operations.organizations import NewOrganization, create_organization
from ledger.queries.accounts import account_ids
from ledger.rules.effects import entry
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from payouts.operations.listings import publish_listing
from payouts.operations.partners import enroll_partner
from payouts.operations.publishing import publish_for
from payouts.queries.partners import withdrawable
from payouts.rules.listings import Listing
from spend.queries.splits import earned_accounts

AUTHOR: Final = Author("system:bench")
AT_ONCE: Final = 5_000
CALLERS: Final = 10
AGENTS: Final = 5
DAYS: Final = 100
SHARE: Final = 80
READS: Final = 300


@dataclass(frozen=True, slots=True)
class Flatness:
    """Microseconds of asking what a partner can withdraw after few and after many earnings, the ratio, and how many
    earnings the generator writes in a second (`made_per_s`)."""

    few_us: float
    many_us: float
    ratio: float
    made_per_s: float


def flatness(few: int, many: int) -> Flatness:
    """Return what withdrawable-now costs two partners with so many earnings each; see Flatness."""
    begun = time.perf_counter()
    partners = [make_earnings(count) for count in (few, many)]
    made = (few + many) / (time.perf_counter() - begun)
    rounds = [[_microseconds(partner) for partner in partners] for _ in range(READS)]
    less, more = (statistics.median(column) for column in zip(*rounds, strict=True))
    return Flatness(less, more, more / less, made)


def make_earnings(count: int) -> UUID:
    """Make a partner that earned so many shares of ten callers, and return it."""
    partner, listing = run_in_transaction(_partner)
    for _ in range(CALLERS):
        caller = run_in_transaction(lambda cur: _caller(cur, listing))
        left = count // CALLERS
        while left > 0:
            size = min(AT_ONCE, left)
            run_in_transaction(lambda cur, caller=caller, size=size: _earn(cur, caller, listing, size))
            left -= size
    run_in_transaction(lambda cur: cur.execute("ANALYZE earning_pairs, accounts"))
    return partner


def _partner(cur: Cursor) -> tuple[UUID, Listing]:
    organization = create_organization(cur, NewOrganization("Partner"), author=AUTHOR)
    enroll_partner(cur, organization=organization, author=AUTHOR)
    listing = publish_listing(
        cur, organization=organization, key=f"listing-{organization}", name="Agent", author=AUTHOR
    )
    return organization, listing


def _caller(cur: Cursor, listing: Listing) -> UUID:
    organization = create_organization(cur, NewOrganization("Caller"), author=AUTHOR)
    publish_for(cur, organization=organization, listing=listing, author=AUTHOR)
    return organization


def _earn(cur: Cursor, caller: UUID, listing: Listing, count: int) -> None:
    locked = lock_organization(cur, caller)
    own = account_ids(cur, organization=caller, currency="USD")
    account = earned_accounts(cur, organization=caller, currency="USD")[listing.organization]
    lines = [
        [str(own["unbilled_receivable"]), -100],
        [str(own["platform_fee"]), 100 - SHARE],
        [str(account), SHARE],
    ]
    append(cur, list(_events(locked.id, locked.now, listing, lines, count)))


def _events(
    caller: UUID, now: datetime, listing: Listing, lines: list[list[Any]], count: int
) -> Iterator[Event]:
    agents = [str(UUID(int=(caller.int & ~0xFF) | number)) for number in range(AGENTS)]
    first = now.astimezone(UTC) - timedelta(days=DAYS)
    for number in range(count):
        day = (first + timedelta(days=number % DAYS)).date().isoformat()
        shares = {
            "listing": str(listing.id),
            "rule": "default",
            "agent": agents[number % AGENTS],
            "day": day,
            "parts": [[str(listing.organization), "line", 100, SHARE]],
        }
        usage = new_id_text()
        posted = entry(lines=lines, currency="USD", key=f"bench:{usage}", source=f"bench:{usage}")
        data = {"shares": shares, "ledger": {"entries": [posted]}}
        yield Event(caller, "earning", new_id(), 1, "earning.adjusted", data, now, AUTHOR.actor)


def _microseconds(partner: UUID) -> float:
    begun = time.perf_counter()
    run_in_transaction(lambda cur: withdrawable(cur, partner))
    return (time.perf_counter() - begun) * 1e6
