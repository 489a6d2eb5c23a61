"""From what a person names to what a switch stops."""

from typing import NamedTuple
from uuid import UUID

from common.errors import InvalidField, InvalidTransition, NotFound
from events.store import Cursor
from orgs.queries.api_keys import find_api_key
from orgs.queries.subjects import find_subject
from spend.queries.runs import find_run
from spend.rules.budgetfacts import TARGETED_SCOPES


class Target(NamedTuple):
    """What a switch is for: an id, or the key of a run or the label of a user; neither: everything."""

    id: UUID | None = None
    label: str | None = None
    is_archived: bool = False


def find_target(
    cur: Cursor, organization: UUID, scope: str, name: str | None, *, pointer: str | None
) -> Target:
    """Return what a name means in a scope; the switch of a run is that of its whole tree below.

    Raises NotFound (also for a run that no call has begun) and InvalidField, with the pointer.
    """
    if name is None:
        return Target()
    if scope in TARGETED_SCOPES:
        subject = find_subject(cur, scope, organization=organization, name=name, pointer=pointer)
        return Target(subject.id, None, subject.archived_at is not None)
    try:
        return _other(cur, organization, scope, name)
    except NotFound as error:
        raise NotFound(error.detail, pointer=pointer) from None


def require_in_use(target: Target, scope: str, *, pointer: str | None) -> None:
    """Refuse what can do nothing anyway. Raises InvalidTransition."""
    if target.is_archived:
        said = "revoked" if scope == "key" else "archived"
        raise InvalidTransition(f"The {scope} is {said}.", pointer=pointer)


def _other(cur: Cursor, organization: UUID, scope: str, name: str) -> Target:
    if scope == "run":
        return Target(None, find_run(cur, organization=organization, name=name).key)
    if scope == "key":
        key = find_api_key(cur, organization=organization, name=name)
        return Target(key.id, None, key.revoked_at is not None)
    if scope == "user":
        if not name.strip():
            raise InvalidField("The target is empty.", pointer="/target")
        return Target(None, name)
    if name != str(organization):
        raise NotFound("There is no such organization.")
    return Target()
