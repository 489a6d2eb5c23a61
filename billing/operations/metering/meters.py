"""Making, describing and archiving meters (S73)."""

from collections.abc import Mapping
from typing import Any

from billing.queries.meters import find_meter, key_is_taken, plans_counting
from billing.rules.meters import Meter, NewMeter, meter_archived, meter_created, meter_described
from common.errors import InvalidTransition, NameConflict
from common.ids import new_id
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization


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
    """This function will end a meter for new plans; subscriptions that have it go on. An archived one stays as it is.

    Raises NotFound, and InvalidTransition while a plan that is on sale counts by it: who began that could not be billed
    by a version that is published again.
    """
    locked = lock_organization(cur, PLATFORM_ID)
    found = find_meter(cur, meter)
    ended, fact = meter_archived(found, at=locked.now)
    plans = plans_counting(cur, found.key) if fact is not None else []
    if plans:
        raise InvalidTransition(
            f"The plan {plans[0]} is on sale and counts by this meter; publish a version without it first."
        )
    record(cur, [fact], author=author)
    return ended
