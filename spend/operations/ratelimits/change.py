"""Changing and archiving rate limits (S42)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_open
from orgs.rules.permissions import Permit
from spend.queries.ratelimits import find_rate_limit, level_of
from spend.rules.limitfacts import archived, changed
from spend.rules.limits import RateLimit


def change_rate_limit(
    cur: Cursor,
    organization: UUID,
    limit: UUID,
    changes: Mapping[str, Any],
    *,
    author: Author,
    permit: Permit | None = None,
    reason: str | None = None,
) -> RateLimit:
    """This function will give a rate limit another `limit`, `burst`, `behaviour`, `escalate`, `active_hours` or `mode`.

    The gate's next decision obeys it. What was counted stays counted, unless a burst comes or goes: a GCRA and a fixed
    window count apart. The event keeps actor, reason and every old and new value; the same values again change
    nothing. `permit` as in `create_rate_limit`. Raises NotFound, InvalidTransition (archived), InvalidField,
    InvalidQuantity, InvalidDatetime, InvalidPeriod, UnknownField and OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    require_open(locked)
    found = find_rate_limit(cur, organization=organization, limit=limit)
    if permit is not None:
        permit(level_of(cur, found))
    new, fact = changed(found, changes, at=locked.now, reason=reason)
    record(cur, [fact], author=author)
    return new


def archive_rate_limit(
    cur: Cursor,
    organization: UUID,
    limit: UUID,
    *,
    author: Author,
    permit: Permit | None = None,
    reason: str | None = None,
) -> RateLimit:
    """This function will end a rate limit: the gate no longer obeys it; open reservations still leave its counters.

    Archiving an archived one changes nothing. `permit` as in `create_rate_limit`. Raises NotFound.
    """
    locked = lock_organization(cur, organization)
    found = find_rate_limit(cur, organization=organization, limit=limit)
    if permit is not None:
        permit(level_of(cur, found))
    new, fact = archived(found, at=locked.now, reason=reason)
    record(cur, [fact], author=author)
    return new
