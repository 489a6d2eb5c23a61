"""Organizations: the event of their making, and their changes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from events.store import Cursor, Event
from orgs.operations.closing import end_all
from orgs.operations.facts import Author, event_of, record
from orgs.operations.locks import lock_organization
from orgs.rules import organizations as rules


def created_event(
    *,
    organization: UUID,
    name: str,
    currency: str,
    time_zone: str,
    funding: str,
    credit_limit: int | None,
    now: datetime,
    author: Author,
    sandbox: bool = False,
) -> Event:
    """The event that makes an organization, for the operation that appends it together with its accounts.

    A new organization has no row to lock: the caller holds the platform's lock and passes its clock as `now`.
    `credit_limit` in units of 10^-8: of postpaid ones only, None is no limit. Raises InvalidField.
    """
    fact = rules.created(
        organization=organization,
        name=name,
        currency=currency,
        time_zone=time_zone,
        funding=funding,
        credit_limit=credit_limit,
        at=now,
        sandbox=sandbox,
    )
    return event_of(fact, author)


def update_organization(
    cur: Cursor, *, organization: UUID, changes: Mapping[str, Any], author: Author
) -> None:
    """This function will change a `name`, `time_zone` or `credit_limit` (units, postpaid only).

    The event says each old and new value (S42); nothing different: nothing happens. Who listens to
    organization.changed sets the floor of the postpaid line. Raises NotFound, OrganizationClosed and
    InvalidField.
    """
    locked = lock_organization(cur, organization)
    record(cur, [rules.changed(locked, changes=dict(changes))], author=author)


def close_organization(cur: Cursor, *, organization: UUID, author: Author) -> None:
    """This function will close an organization: its keys are still known, but nothing new is allowed. What ends with it
    (its subscriptions) ends now, in the same transaction.

    Closing a closed one does nothing. Raises NotFound, and Forbidden for the platform itself.
    """
    locked = lock_organization(cur, organization)
    fact = rules.closed(locked)
    if fact is not None:
        end_all(cur, locked, author=author)
    record(cur, [fact], author=author)
