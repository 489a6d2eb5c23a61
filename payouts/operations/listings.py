"""Publishing, changing and archiving listings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from common.ids import new_id
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization, lock_organizations
from orgs.rules.organizations import require_customer
from payouts.queries.listings import find_listing, key_is_taken
from payouts.queries.partners import require_partner
from payouts.rules.listings import Listing, listing_archived, listing_changed, listing_published


def publish_listing(
    cur: Cursor, *, organization: UUID, key: str, name: str, description: str = "", author: Author
) -> Listing:
    """This function will offer an agent of a partner's to everybody. Its key is one of all partners', for ever.

    It locks the platform, too: keys are given one after the other. Raises NotFound (no such partner), NameConflict,
    InvalidField and OrganizationClosed.
    """
    locked = lock_organizations(cur, (organization, PLATFORM_ID))[organization]
    require_partner(cur, organization)
    require_customer(locked)
    made = Listing(new_id(), organization, key, name, description, 1, locked.now)
    record(cur, [listing_published(made, taken=key_is_taken(cur, key))], author=author)
    return made


def change_listing(
    cur: Cursor, *, organization: UUID, name: str, changes: Mapping[str, Any], author: Author
) -> Listing:
    """This function will change `name` and `description` of a partner's listing. Raises NotFound, InvalidTransition
    (archived) and InvalidField."""
    locked = lock_organization(cur, organization)
    found = find_listing(cur, name, organization=organization)
    changed, fact = listing_changed(found, changes, at=locked.now)
    record(cur, [fact], author=author)
    return changed


def archive_listing(cur: Cursor, *, organization: UUID, name: str, author: Author) -> Listing:
    """This function will let no more agents name a listing; those that do go on, and are shared in. Raises NotFound."""
    locked = lock_organization(cur, organization)
    ended, fact = listing_archived(find_listing(cur, name, organization=organization), at=locked.now)
    record(cur, [fact], author=author)
    return ended
