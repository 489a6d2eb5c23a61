"""Listings, by key, by id, and of a partner."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from common.errors import NotFound
from common.fields import is_id
from events.store import Cursor
from orgs.rules.names import folded
from payouts.rules.listings import Listing

_COLUMNS: Final = "id, organization, key, name, description, version, created_at, archived_at"
_FIND: Final = f"SELECT {_COLUMNS} FROM listings WHERE key = %(name)s OR id = %(id)s"
_LIST: Final = f"""
SELECT {_COLUMNS} FROM listings
WHERE organization = %(organization)s AND (%(before)s::uuid IS NULL OR id < %(before)s)
    AND (%(archived)s::boolean IS NULL OR (archived_at IS NOT NULL) = %(archived)s)
ORDER BY id DESC LIMIT %(limit)s
"""


def find_listing(cur: Cursor, name: str, *, organization: UUID | None = None, pointer: str = "") -> Listing:
    """Return a listing by key or id, of one partner where that is said. Raises NotFound."""
    identifier = UUID(name) if is_id(name) else None
    for row in cur.execute(_FIND, {"name": name, "id": identifier}).fetchall():
        found = Listing(*row)
        if organization in (None, found.organization):
            return found
    raise NotFound("There is no such listing.", pointer=pointer or None)


def key_is_taken(cur: Cursor, key: str) -> bool:
    """Return whether a listing has this key, or one that looks like it."""
    return bool(cur.execute("SELECT 1 FROM listings WHERE key_folded = %s", (folded(key),)).fetchone())


def list_listings(
    cur: Cursor, *, organization: UUID, archived: bool | None, before: UUID | None, limit: int
) -> list[Listing]:
    """Return a partner's listings, newest first."""
    cur.execute(_LIST, {"organization": organization, "archived": archived, "before": before, "limit": limit})
    return [Listing(*row) for row in cur.fetchall()]


def keys_of(cur: Cursor, ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return the keys of listings by id."""
    return dict(cur.execute("SELECT id, key FROM listings WHERE id = ANY(%s)", (list(ids),)).fetchall())
