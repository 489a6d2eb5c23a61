"""What an app above knows of listings, which agents name: orgs knows only their ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from orgs.operations.facts import Author


class Marketplace(Protocol):
    """What the app that owns listings does for agents."""

    def call(self, cur: Cursor, *, organization: UUID, name: str, author: Author) -> UUID:
        """Return the id of a listing by key or id, and make it callable for an organization, whose lock is held.

        Raises NotFound, and InvalidTransition or CurrencyMismatch for one that it cannot call.
        """

    def keys(self, cur: Cursor, ids: Iterable[UUID]) -> Mapping[UUID, str]:
        """Return the keys of listings by id."""


_known: Final[list[Marketplace]] = []


def register_marketplace(marketplace: Marketplace) -> None:
    """Say who knows listings; the app does it in `ready()`."""
    _known[:] = [marketplace]


def called_listing(cur: Cursor, *, organization: UUID, name: str | None, author: Author) -> UUID | None:
    """This function will return the id of the listing that an agent is to name, None for none. Raises as `call`."""
    if name is None:
        return None
    for marketplace in _known:
        return marketplace.call(cur, organization=organization, name=name, author=author)
    raise NotFound("There is no such listing.", pointer="/listing")


def listing_keys(cur: Cursor, ids: Iterable[UUID]) -> Mapping[UUID, str]:
    """This function will return the keys of listings by id."""
    wanted = set(ids)
    return _known[0].keys(cur, wanted) if wanted and _known else {}
