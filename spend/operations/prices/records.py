"""What the operations of the price book share: the lock, the next version of a row's stream, and its
event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from common.errors import InvalidPeriod
from common.ids import new_id
from events.store import Cursor, Event
from orgs import PLATFORM_ID
from orgs.operations.locks import lock_organization
from orgs.rules.rows import LockedOrganization

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes the events of one transaction, for which organization, and when by its business clock.

    `key` is the idempotency key of the call that leads to them.
    """

    organization: UUID
    actor: str
    now: datetime
    currency: str
    key: str | None = None

    def event(
        self,
        stream_type: str,
        verb: str,
        data: JsonObject,
        *,
        stream_id: UUID | None = None,
        version: int = 1,
    ) -> Event:
        """Return the event of this author: a new stream's first, unless a stream and its version are
        given.
        """
        return Event(
            organization=self.organization,
            stream_type=stream_type,
            stream_id=stream_id or new_id(),
            version=version,
            type=f"{stream_type}.{verb}",
            data=data,
            occurred_at=self.now,
            actor=self.actor,
            idempotency_key=self.key,
        )


def author(cur: Cursor, *, organization: UUID | None, actor: str, key: str | None = None) -> Author:
    """This function will lock the organization (None: the platform) and return the author of what is written
    to it.
    """
    locked: LockedOrganization = lock_organization(cur, organization or PLATFORM_ID)
    return Author(locked.id, actor, locked.now, locked.currency, key)


def utc_text(moment: datetime | None) -> str | None:
    """Return a time as events hold it: RFC 3339 in UTC with microseconds."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def period(valid_from: datetime | None, valid_to: datetime | None, now: datetime) -> Mapping[str, str | None]:
    """Return a period [valid_from or now, valid_to) as data. Raises InvalidPeriod when it has no length."""
    start = valid_from or now
    if valid_to is not None and valid_to <= start:
        raise InvalidPeriod
    return {"valid_from": utc_text(start), "valid_to": utc_text(valid_to)}
