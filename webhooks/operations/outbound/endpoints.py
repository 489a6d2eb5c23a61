"""Endpoints: making, changing, rotating, archiving, and switching off those where nobody listens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from common.ids import new_id
from events.publictypes import public_types
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_open
from webhooks.operations.outbound.secrets import NewSecret, end_secrets, store_secret
from webhooks.queries.outbound.endpoints import find_endpoint
from webhooks.rules.outbound import endpoints as rules
from webhooks.rules.outbound.endpoints import Endpoint, TooManyEndpoints

_COUNT: Final = "SELECT count(*) FROM webhook_endpoints WHERE organization = %s AND status <> 'archived'"
_OPEN_LANES: Final = """
INSERT INTO webhook_lanes (endpoint, lane, organization)
SELECT %(endpoint)s, lane, %(organization)s FROM unnest(ARRAY['first', 'again']) AS lane
"""
_OPEN_STANDING: Final = "INSERT INTO webhook_standings (endpoint, organization) VALUES (%s, %s)"
_HEAL: Final = "UPDATE webhook_standings SET failing_since = NULL, failures = 0 WHERE endpoint = %s"
_GIVE_UP: Final = """
UPDATE webhook_deliveries SET status = 'failed', error = %s WHERE endpoint = %s AND status = 'pending'
"""
_FORGET_MARKS: Final = "DELETE FROM webhook_low_credit WHERE endpoint = %s"
# How often each was told stays: it is part of the message's source, and a source is told once.
_UNTELL_MARKS: Final = """
UPDATE webhook_low_credit SET is_low = false WHERE endpoint = %s AND NOT amount = ANY(%s::bigint[])
"""


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """What an endpoint is to be; the URL has passed `parse_target`. `low_credit` in units."""

    organization: UUID
    url: str
    event_types: Sequence[str]
    description: str = ""
    low_credit: Sequence[int] = ()
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class IssuedEndpoint:
    """An endpoint and, for this once, the secret that was just made."""

    endpoint: Endpoint
    secret: NewSecret


def create_endpoint(cur: Cursor, new: NewEndpoint, *, author: Author) -> IssuedEndpoint:
    """This function will make an endpoint with a secret of its own.

    Raises NotFound, OrganizationClosed, InvalidField and TooManyEndpoints.
    """
    locked = lock_organization(cur, new.organization)
    require_open(locked)
    if _value(cur, _COUNT, new.organization) >= rules.MAX_ENDPOINTS:
        raise TooManyEndpoints
    identifier = new_id()
    secret = store_secret(cur, organization=new.organization, endpoint=identifier)
    endpoint = Endpoint(
        id=identifier,
        organization=new.organization,
        url=new.url,
        description=new.description,
        event_types=_types(new.event_types),
        low_credit=rules.check_low_credit(new.low_credit),
        status=rules.ENABLED if new.enabled else rules.DISABLED,
        disabled_reason=None if new.enabled else rules.MANUAL,
        disabled_at=None if new.enabled else locked.now,
        secret_ids=(str(secret.id),),
        version=1,
        created_at=locked.now,
        archived_at=None,
    )
    cur.execute(_OPEN_LANES, {"endpoint": identifier, "organization": new.organization})
    cur.execute(_OPEN_STANDING, (identifier, new.organization))
    record(cur, [rules.created(endpoint)], author=author)
    return IssuedEndpoint(endpoint, secret)


def change_endpoint(
    cur: Cursor, *, organization: UUID, endpoint: UUID, changes: Mapping[str, Any], author: Author
) -> Endpoint:
    """This function will change `url`, `description`, `event_types`, `low_credit` or `enabled`, and return it.

    Switched off, what is on its way is given up (a replay sends it); switched on, its failures are forgotten. Raises
    NotFound, InvalidField and InvalidTransition (archived).
    """
    locked = lock_organization(cur, organization)
    old = find_endpoint(cur, organization=organization, endpoint=endpoint)
    values = dict(changes)
    if "event_types" in values:
        values["event_types"] = _types(values["event_types"])
    if "low_credit" in values:
        values["low_credit"] = rules.check_low_credit(values["low_credit"])
    new, fact = rules.changed(old, values, now=locked.now)
    record(cur, [fact], author=author)
    if new.status != old.status:
        _switched(cur, new)
    if new.low_credit != old.low_credit:
        cur.execute(_UNTELL_MARKS, (endpoint, list(new.low_credit)))
    return new


def rotate_secret(
    cur: Cursor, *, organization: UUID, endpoint: UUID, overlap_seconds: int, author: Author
) -> IssuedEndpoint:
    """This function will give an endpoint a new secret; the one before signs beside it until the overlap is over.

    At most two are live: the one before that ends at once. Raises NotFound and InvalidTransition (archived).
    """
    locked = lock_organization(cur, organization)
    old = find_endpoint(cur, organization=organization, endpoint=endpoint)
    rules.require_living(old)
    secret = store_secret(cur, organization=organization, endpoint=endpoint)
    new, fact = rules.rotated(old, secret.id, now=locked.now)
    end_secrets(
        cur,
        endpoint=endpoint,
        newest=secret.id,
        overlap_seconds=overlap_seconds,
        keep=list(new.secret_ids),
    )
    record(cur, [fact], author=author)
    return IssuedEndpoint(new, secret)


def archive_endpoint(cur: Cursor, *, organization: UUID, endpoint: UUID, author: Author) -> Endpoint:
    """This function will end an endpoint and destroy its secrets; what is on its way is given up.

    Twice does nothing more. Raises NotFound.
    """
    locked = lock_organization(cur, organization)
    old = find_endpoint(cur, organization=organization, endpoint=endpoint)
    new, fact = rules.archived(old, now=locked.now)
    if fact is not None:
        record(cur, [fact], author=author)
        cur.execute("DELETE FROM webhook_secrets WHERE endpoint = %s", (endpoint,))
        cur.execute(_FORGET_MARKS, (endpoint,))
        _switched(cur, new)
    return new


def disable_endpoint(
    cur: Cursor, *, organization: UUID, endpoint: UUID, reason: str, author: Author
) -> Endpoint:
    """This function will switch off an endpoint where nobody listens, give up what is on its way, and have its owners
    written to. One that is not enabled stays as it is. Raises NotFound."""
    locked = lock_organization(cur, organization)
    old = find_endpoint(cur, organization=organization, endpoint=endpoint)
    new, fact = rules.disabled(old, reason, now=locked.now)
    if fact is not None:
        record(cur, [fact], author=author)
        _switched(cur, new)
        cur.execute("UPDATE webhook_standings SET notice_due = true WHERE endpoint = %s", (endpoint,))
    return new


def _switched(cur: Cursor, endpoint: Endpoint) -> None:
    if endpoint.status == rules.ENABLED:
        cur.execute(_HEAL, (endpoint.id,))
    else:
        cur.execute(_GIVE_UP, (f"endpoint_{endpoint.status}", endpoint.id))


def _types(patterns: Sequence[str]) -> tuple[str, ...]:
    return rules.check_event_types(patterns, [kind.name for kind in public_types()])


def _value(cur: Cursor, statement: str, *given: object) -> int:
    row = cur.execute(statement, given).fetchone()
    assert row is not None
    value: int = row[0]
    return value
