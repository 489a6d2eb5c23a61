"""The business clock of a sandbox organization: it only goes forward, by an event."""

from datetime import timedelta
from uuid import UUID

from common.errors import InvalidField
from events.store import Cursor, Event, append
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization


def advance_clock(cur: Cursor, *, organization: UUID, by: timedelta, author: Author) -> None:
    """This function will move a sandbox organization's business clock forward, in whole seconds.

    Windows, holds, grants and prices are judged by it at once. Raises NotFound, and InvalidField for an organization
    that is no sandbox and for a step that is not forward.
    """
    locked = lock_organization(cur, organization)
    seconds = by // timedelta(seconds=1)
    if not locked.sandbox:
        raise InvalidField("Only a sandbox organization's clock can be moved.")
    if seconds <= 0:
        raise InvalidField("A clock only goes forward.", pointer="/seconds")
    moved = Event(
        organization, "organization", organization, locked.version + 1, "organization.clock_advanced",
        {"seconds": seconds}, locked.now, author.actor, idempotency_key=author.idempotency_key,
    )  # fmt: skip
    append(cur, [moved])
