"""Publishing revenue shares, and withdrawing those that have not begun."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from common.errors import CurrencyMismatch, InvalidField
from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from payouts.queries.listings import find_listing
from payouts.queries.partners import find_partner, require_partner
from payouts.queries.shares import find_share
from payouts.rules.shares import RevenueShare, ShareTerms, share_made, share_withdrawn


def publish_share(
    cur: Cursor,
    *,
    organization: UUID,
    terms: ShareTerms,
    listing: str | None = None,
    plan: str | None = None,
    valid_from: datetime | None = None,
    author: Author,
) -> RevenueShare:
    """This function will set what the platform keeps of a partner's calls and who gets the rest, from now or later on.

    What was earned before stays as it is (S98). Callers get it with `publish_due`. Raises NotFound (no such partner or
    listing), InvalidField (also for a time that is past) and CurrencyMismatch (a partner of a split).
    """
    now = lock_organization(cur, organization).now
    currency = require_partner(cur, organization).currency
    for partner, _ in terms.splits:
        found = find_partner(cur, partner)
        if found is None:
            raise InvalidField("Only partners share.", pointer="/splits")
        if found.currency != currency:
            raise CurrencyMismatch(f"The partner's currency is {currency}.", pointer="/splits")
    chosen = (
        None
        if listing is None
        else find_listing(cur, listing, organization=organization, pointer="/listing").id
    )
    share = RevenueShare(new_id(), organization, chosen, plan, valid_from or now, terms, 1, now)
    record(cur, [share_made(share, now=now)], author=author)
    return share


def withdraw_share(cur: Cursor, *, organization: UUID, share: UUID, author: Author) -> RevenueShare:
    """This function will take back a revenue share that has not begun. Raises NotFound and InvalidTransition."""
    now = lock_organization(cur, organization).now
    ended, fact = share_withdrawn(find_share(cur, organization=organization, share=share), now=now)
    record(cur, [fact], author=author)
    return ended
