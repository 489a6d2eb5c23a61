"""Endpoints: what a customer sets up to be told of events, and the facts of its life. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.errors import Forbidden, InvalidField, InvalidTransition, ProblemError
from orgs.rules.facts import Fact, time_text, with_changes
from orgs.rules.permissions import Principal, may_set_up
from orgs.rules.scopes import WEBHOOKS_WRITE

STREAM: Final = "webhook_endpoint"
ENABLED, DISABLED, ARCHIVED = "enabled", "disabled", "archived"
STATUSES: Final = (ENABLED, DISABLED, ARCHIVED)
MANUAL, GONE, FAILING = "manual", "gone", "failing"
REASONS: Final = (MANUAL, GONE, FAILING)
MAX_ENDPOINTS: Final = 20
MAX_EVENT_TYPES: Final = 50
MAX_LOW_CREDIT: Final = 5
MAX_DESCRIPTION: Final = 500
_PATTERN: Final = re.compile(r"\*|[a-z_]+(?:\.[a-z_]+)*(?:\.\*)?", re.ASCII)


class TooManyEndpoints(ProblemError):
    """An organization has at most 20 webhook endpoints; archive one."""

    code = "too_many_endpoints"
    status = 409
    title = "Too many endpoints"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an organization is told, of which types (patterns such as `invoice.*` or `*`).

    `low_credit`: amounts in units; credit that falls below one is told as `credit.low`.
    """

    id: UUID
    organization: UUID
    url: str
    description: str
    event_types: tuple[str, ...]
    low_credit: tuple[int, ...]
    status: str
    disabled_reason: str | None
    disabled_at: datetime | None
    secret_ids: tuple[str, ...]
    version: int
    created_at: datetime
    archived_at: datetime | None

    def data(self) -> dict[str, Any]:
        """Return the row as events hold it."""
        return {
            "url": self.url,
            "description": self.description,
            "event_types": list(self.event_types),
            "low_credit": list(self.low_credit),
            "status": self.status,
            "disabled_reason": self.disabled_reason,
            "disabled_at": time_text(self.disabled_at),
            "secret_ids": list(self.secret_ids),
            "created_at": time_text(self.created_at),
            "archived_at": time_text(self.archived_at),
        }

    def wants(self, event_type: str) -> bool:
        """Return whether it is told of a type."""
        return any(matches(pattern, event_type) for pattern in self.event_types)


def matches(pattern: str, event_type: str) -> bool:
    """Return whether a type is meant by a pattern: itself, everything below `name.*`, everything by `*`."""
    if pattern == "*":
        return True
    if pattern.endswith(".*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type


def check_event_types(patterns: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return distinct patterns of which each means a known type. Raises InvalidField."""
    types = list(known)
    if not 1 <= len(patterns) <= MAX_EVENT_TYPES:
        raise InvalidField(f"An endpoint has 1 to {MAX_EVENT_TYPES} event types.", pointer="/event_types")
    for place, pattern in enumerate(patterns):
        if not _PATTERN.fullmatch(pattern) or not any(matches(pattern, each) for each in types):
            raise InvalidField("There is no such event type.", pointer=f"/event_types/{place}")
    return tuple(dict.fromkeys(patterns))


def check_low_credit(amounts: Sequence[int]) -> tuple[int, ...]:
    """Return distinct amounts, highest first. Raises InvalidField."""
    if len(set(amounts)) > MAX_LOW_CREDIT:
        raise InvalidField(f"At most {MAX_LOW_CREDIT} amounts.", pointer="/low_credit")
    return tuple(sorted(set(amounts), reverse=True))


def require_write(principal: Principal) -> None:
    """Refuse whoever neither sets up the organization nor has webhooks:write. Raises Forbidden."""
    allowed = principal.has_scope(WEBHOOKS_WRITE) and not principal.is_limited
    if not may_set_up(principal) and not allowed:
        raise Forbidden(
            "Only an admin key without a member, an owner's, or one with webhooks:write sets up endpoints."
        )


def created(endpoint: Endpoint) -> Fact:
    """Return the fact that makes an endpoint."""
    return _fact(endpoint, "created", endpoint.data(), endpoint.created_at)


def changed(old: Endpoint, changes: Mapping[str, Any], *, now: datetime) -> tuple[Endpoint, Fact | None]:
    """Return the endpoint with other values, and the fact; no fact when nothing is different. `enabled` among them
    switches it on or off. Raises InvalidTransition for an archived one."""
    require_living(old)
    values = dict(changes)
    enabled = values.pop("enabled", None)
    if enabled is not None and enabled != (old.status == ENABLED):
        values |= {
            "status": ENABLED if enabled else DISABLED,
            "disabled_reason": None if enabled else MANUAL,
            "disabled_at": None if enabled else now,
        }
    return _next(old, replace(old, **values), "changed", now)


def disabled(old: Endpoint, reason: str, *, now: datetime) -> tuple[Endpoint, Fact | None]:
    """Return the endpoint as it is told of nothing any more, and the fact; no fact when it was not enabled."""
    if old.status != ENABLED:
        return old, None
    new = replace(old, status=DISABLED, disabled_reason=reason, disabled_at=now)
    return _next(old, new, "disabled", now)


def archived(old: Endpoint, *, now: datetime) -> tuple[Endpoint, Fact | None]:
    """Return the endpoint at its end, and the fact; no fact when it was archived before."""
    if old.status == ARCHIVED:
        return old, None
    return _next(old, replace(old, status=ARCHIVED, archived_at=now, secret_ids=()), "archived", now)


def rotated(old: Endpoint, secret: UUID, *, now: datetime) -> tuple[Endpoint, Fact | None]:
    """Return the endpoint with one more secret, newest first; never three. Raises InvalidTransition."""
    require_living(old)
    return _next(old, replace(old, secret_ids=(str(secret), *old.secret_ids[:1])), "rotated", now)


def require_living(endpoint: Endpoint) -> None:
    """Refuse what is archived. Raises InvalidTransition."""
    if endpoint.status == ARCHIVED:
        raise InvalidTransition("The endpoint is archived.")


def require_enabled(endpoint: Endpoint) -> None:
    """Refuse to send to what is not enabled. Raises InvalidTransition."""
    if endpoint.status != ENABLED:
        raise InvalidTransition(f"The endpoint is {endpoint.status}; enable it first.")


def _next(old: Endpoint, new: Endpoint, verb: str, now: datetime) -> tuple[Endpoint, Fact | None]:
    data, before = new.data(), old.data()
    if data == before:
        return old, None
    after = replace(new, version=old.version + 1)
    return after, _fact(after, verb, with_changes(data, before), now)


def _fact(endpoint: Endpoint, verb: str, data: Mapping[str, Any], at: datetime) -> Fact:
    return Fact(endpoint.organization, STREAM, endpoint.id, endpoint.version, verb, data, at)
