"""A listing: an agent that a partner offers. Its key stays for ever and is one of all partners' together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.errors import InvalidField, InvalidTransition, NameConflict
from orgs.rules.facts import Fact, time_text, with_changes
from orgs.rules.names import folded

STREAM: Final = "listing"
LONGEST_DESCRIPTION: Final = 2_000


@dataclass(frozen=True, slots=True)
class Listing:
    """The row of a listing; `organization` is the partner."""

    id: UUID
    organization: UUID
    key: str
    name: str
    description: str
    version: int
    created_at: datetime
    archived_at: datetime | None = None


def listing_published(listing: Listing, *, taken: bool) -> Fact:
    """The fact of a new listing. Raises NameConflict and InvalidField."""
    _check(listing)
    if "/" in listing.key:
        raise InvalidField("A key here has no slash: it stands in addresses.", pointer="/key")
    if taken:
        raise NameConflict("The key is taken, or looks like one that is taken.", pointer="/key")
    return _fact(listing, "published", _data(listing), listing.created_at)


def listing_changed(
    listing: Listing, changes: Mapping[str, Any], *, at: datetime
) -> tuple[Listing, Fact | None]:
    """The listing under another name or description. Raises InvalidTransition (archived) and InvalidField."""
    if listing.archived_at is not None:
        raise InvalidTransition("The listing is archived.")
    changed = replace(listing, **changes)
    _check(changed)
    return _next(listing, changed, "changed", at)


def listing_archived(listing: Listing, *, at: datetime) -> tuple[Listing, Fact | None]:
    """The listing that no more agents may name; those that do go on. None where it is archived already."""
    if listing.archived_at is not None:
        return listing, None
    return _next(listing, replace(listing, archived_at=at), "archived", at)


def _check(listing: Listing) -> None:
    if len(listing.description) > LONGEST_DESCRIPTION:
        raise InvalidField(f"At most {LONGEST_DESCRIPTION} characters.", pointer="/description")


def _next(old: Listing, new: Listing, verb: str, at: datetime) -> tuple[Listing, Fact | None]:
    before, data = _data(old), _data(new)
    if before == data:
        return old, None
    made = replace(new, version=old.version + 1)
    return made, _fact(made, verb, with_changes(data, before), at)


def _fact(listing: Listing, verb: str, data: Mapping[str, Any], at: datetime) -> Fact:
    return Fact(listing.organization, STREAM, listing.id, listing.version, verb, data, at)


def _data(listing: Listing) -> dict[str, Any]:
    return {
        "key": listing.key,
        "key_folded": folded(listing.key),
        "name": listing.name,
        "description": listing.description,
        "created_at": time_text(listing.created_at),
        "archived_at": time_text(listing.archived_at),
    }
