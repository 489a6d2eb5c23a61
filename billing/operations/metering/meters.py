"""Making, describing and archiving meters (S73)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from billing.queries.meters import find_meter, key_is_taken
from billing.rules.meters import Definition, Meter, meter_archived, meter_created, meter_described
from common.errors import NameConflict
from common.ids import new_id
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization


class NewMeter(NamedTuple):
    """What a new meter is to be."""

    key: str
    name: str
    description: str | None
    definition: Definition


def create_meter(cur: Cursor, new: NewMeter, *, author: Author) -> Meter:
    """This function will make a meter. It counts what was recorded before it was made, too.

    Raises InvalidField, and NameConflict for a key that is taken, also by an archived meter: a line billed with it must
    be explained years later.
    """
    locked = lock_organization(cur, PLATFORM_ID)
    if key_is_taken(cur, new.key):
        raise NameConflict("There is a meter with this key.", pointer="/key")
    meter, fact = meter_created(identifier=new_id(), organization=PLATFORM_ID, at=locked.now, **new._asdict())
    record(cur, [fact], author=author)
    return meter


def describe_meter(cur: Cursor, meter: str, changes: Mapping[str, Any], *, author: Author) -> Meter:
    """This function will give a meter another name or description. Raises NotFound and InvalidTransition (archived)."""
    locked = lock_organization(cur, PLATFORM_ID)
    changed, fact = meter_described(find_meter(cur, meter), changes, at=locked.now)
    record(cur, [fact], author=author)
    return changed


def archive_meter(cur: Cursor, meter: str, *, author: Author) -> Meter:
    """This function will end a meter for new plans; plans that have it go on. An archived one stays as it is. Raises
    NotFound."""
    locked = lock_organization(cur, PLATFORM_ID)
    ended, fact = meter_archived(find_meter(cur, meter), at=locked.now)
    record(cur, [fact], author=author)
    return ended
