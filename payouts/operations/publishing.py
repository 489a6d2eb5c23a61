"""From revenue shares to split rules: what the gate obeys of each calling organization (S98)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from common.errors import CurrencyMismatch, InvalidTransition
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from payouts.operations.attempting import attempted
from payouts.queries.listings import find_listing, keys_of
from payouts.queries.partners import require_partner
from payouts.queries.shares import callers, plans_of, shares_of, volume_of
from payouts.rules.listings import Listing
from payouts.rules.shares import RevenueShare, compiled, in_effect, month_start, next_month
from spend.operations.splits import publish_split_rules
from spend.queries.splits import published_rules

JOB: Final = Author("system:payouts.publish_shares")


class Marketplace:
    """What agents of customers may name: the listings of partners."""

    def call(self, cur: Cursor, *, organization: UUID, name: str, author: Author) -> UUID:
        """This function will return the id of a listing and publish who shares in what its calls cost the organization.

        Raises NotFound, InvalidTransition for an archived listing and one that only the organization itself shares in,
        and CurrencyMismatch where the partner's money is another than the caller's.
        """
        listing = find_listing(cur, name, pointer="/listing")
        if listing.archived_at is not None:
            raise InvalidTransition("The listing is archived.", pointer="/listing")
        if listing.organization == organization:
            raise InvalidTransition("Nobody shares in what it pays itself.", pointer="/listing")
        currency = require_partner(cur, listing.organization).currency
        locked = lock_organization(cur, organization)
        if locked.currency != currency:
            raise CurrencyMismatch(f"The listing's currency is {currency}.", pointer="/listing")
        if not rules_for(cur, organization, listing, locked.now)[0]["parties"]:
            raise InvalidTransition("Nobody shares in what it pays itself.", pointer="/listing")
        publish_for(cur, organization=organization, listing=listing, author=author)
        return listing.id

    def keys(self, cur: Cursor, ids: Iterable[UUID]) -> Mapping[UUID, str]:
        """This function will return the keys of listings by id."""
        return keys_of(cur, ids)


def publish_for(cur: Cursor, *, organization: UUID, listing: Listing, author: Author) -> bool:
    """This function will publish the split rules of a listing for one caller, whose lock it takes; whether they
    are new."""
    now = lock_organization(cur, organization).now
    rules = rules_for(cur, organization, listing, now)
    found, _ = published_rules(cur, organization=organization, listing=listing.id)
    if found is not None and in_effect(found, now) == in_effect(rules, now):
        return False
    return publish_split_rules(cur, organization=organization, listing=listing.id, rules=rules, author=author)


def rules_for(cur: Cursor, organization: UUID, listing: Listing, now: datetime) -> list[dict[str, Any]]:
    """This function will return the split rules of a listing for one caller, the one in effect now first."""
    shares = shares_of(cur, listing.organization)
    return compiled(
        shares,
        partner=listing.organization,
        listing=listing.id,
        caller=organization,
        plans=plans_of(cur, organization) if any(share.plan for share in shares) else (),
        volumes={share.id: _volume(cur, share, now) for share in shares if share.terms.tiers},
        default_rate=settings.MARKETPLACE_FEE_RATE,
        now=now,
    )


def publish_due(partner: UUID | None = None) -> int:
    """This function will publish split rules wherever terms, a caller's plan or the tier of the month changed (None: of
    all partners), one short transaction for each caller, and return how many were new. What stands in one's way stops
    no other."""
    known = run_in_transaction(lambda cur: callers(cur, partner))
    return sum(
        attempted(partial(_publish, organization, listing), subject=organization)
        for organization, listing in known
    )


def _publish(organization: UUID, listing: UUID) -> bool:
    def operation(cur: Cursor) -> bool:
        return publish_for(
            cur, organization=organization, listing=find_listing(cur, str(listing)), author=JOB
        )

    return run_in_transaction(operation)


def _volume(cur: Cursor, share: RevenueShare, now: datetime) -> int:
    return volume_of(cur, share, start=month_start(now), end=next_month(now))
