"""The business clock of a sandbox organization: it only goes forward, by an event."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from common.errors import InvalidField, InvalidPeriod, ProblemError
from events.store import Cursor, Event, append
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from orgs.rules.rows import LockedOrganization

LONGEST_STEP: Final = timedelta(days=3_660)
"""Ten years: nobody means more, and no date that follows from it is beyond what times may say."""
LAST_MOMENT: Final = datetime(2200, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)


class NotASandbox(ProblemError):
    """Only a sandbox organization's clock can be moved."""

    code = "not_a_sandbox"
    status = 422
    title = "Not a sandbox"


def advance_clock(cur: Cursor, *, organization: UUID, by: timedelta, author: Author) -> datetime:
    """This function will move a sandbox organization's business clock forward, in whole seconds, and return what it
    shows then.

    Windows, holds, grants, prices and periods are judged by it at once; what falls due is done by whoever does it
    always. Raises NotFound, NotASandbox, InvalidField for a step that is not forward or longer than ten years, and
    InvalidPeriod beyond the year 2199.
    """
    locked = locked_sandbox(cur, organization)
    if not _SECOND <= by <= LONGEST_STEP:
        raise InvalidField("A clock goes forward, by one second to ten years.", pointer="/seconds")
    return _move(cur, locked, by // _SECOND, author)


def advance_clock_to(cur: Cursor, *, organization: UUID, to: datetime, author: Author) -> datetime:
    """This function will move a sandbox organization's business clock forward to a moment, or less than a second
    beyond it, and return what it shows then.

    Raises NotFound, NotASandbox, and InvalidPeriod for a moment that is not ahead, or more than ten years.
    """
    return advance_locked_to(cur, locked_sandbox(cur, organization), to=to, author=author)


def advance_locked_to(cur: Cursor, locked: LockedOrganization, *, to: datetime, author: Author) -> datetime:
    """This function will do the same for a sandbox that the caller has locked: ahead is what is after the moment at
    which that was, not what is still to come now. Raises InvalidPeriod."""
    if not locked.now < to <= locked.now + LONGEST_STEP:
        raise InvalidPeriod("A clock goes forward, by at most ten years.", pointer="/to")
    return _move(cur, locked, -((locked.now - to) // _SECOND), author)


def locked_sandbox(cur: Cursor, organization: UUID) -> LockedOrganization:
    """This function will lock a sandbox organization. Raises NotFound and NotASandbox."""
    locked = lock_organization(cur, organization)
    if not locked.sandbox:
        raise NotASandbox
    return locked


def _move(cur: Cursor, locked: LockedOrganization, seconds: int, author: Author) -> datetime:
    shown = locked.now + seconds * _SECOND
    if shown >= LAST_MOMENT:
        raise InvalidPeriod("A clock shows at most the year 2199.")
    moved = Event(
        locked.id, "organization", locked.id, locked.version + 1, "organization.clock_advanced",
        {"seconds": seconds}, locked.now, author.actor, idempotency_key=author.idempotency_key,
    )  # fmt: skip
    append(cur, [moved])
    return shown
