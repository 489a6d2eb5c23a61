"""The life of a rate limit: what it may be, and the facts of making, changing and archiving it (S48 to S51).

Target, unit, window, `per` and `direction` stay for ever: they say what its counters mean. Limit, burst, behaviour,
escalation, active hours and mode may change at any time; the next decision obeys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from common import fields
from common.errors import (
    InvalidDatetime,
    InvalidField,
    InvalidPeriod,
    InvalidQuantity,
    InvalidTransition,
    ProblemError,
    UnknownField,
    combined,
)
from common.ids import AnyId
from common.strictjson import child_pointer
from orgs.rules.facts import Fact, time_text, with_changes
from spend.rules.limits import LONGEST_BURST_NS, RateLimit, interval_of

TARGETED_SCOPES: Final = frozenset(("team", "agent", "workflow", "connection"))
MAX_BURST: Final = 10**9
MAX_DENIALS: Final = 10**6
MAX_ESCALATION_SECONDS: Final = 31 * 86_400
_CLOCK: Final = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d", re.ASCII)


class Escalation(NamedTuple):
    """After so many 429s within so many seconds the target is paused until a person resumes it."""

    denials: int
    seconds: int


class ActiveHours(NamedTuple):
    """Wall times HH:MM between which a limit holds; `until` before `start`: over midnight. Zone None: as it was."""

    start: str
    until: str
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class LimitTerms:
    """What a new rate limit is to be; `target` is a key, id or label, `limit` and `burst` are in its unit."""

    scope: str
    unit: str
    limit: int
    behaviour: str
    target: str | None = None
    window: str | None = None
    burst: int | None = None
    per: str | None = None
    direction: str | None = None
    escalate: Escalation | None = None
    active_hours: ActiveHours | None = None
    mode: str = "enforce"


def read_terms(values: Mapping[str, Any]) -> LimitTerms:
    """Return the terms that a request states, its plain fields checked one by one before.

    Raises InvalidField, InvalidId (a key's), InvalidQuantity, InvalidDatetime, InvalidPeriod and UnknownField.
    """
    terms = LimitTerms(
        scope=values["scope"],
        unit=values["unit"],
        limit=values["limit"],
        behaviour=values["behaviour"],
        target=values.get("target"),
        window=values.get("window"),
        burst=values.get("burst"),
        per=values.get("per"),
        direction=values.get("direction"),
        escalate=parse_escalation(values.get("escalate")),
        active_hours=parse_active_hours(values.get("active_hours")),
        mode=values.get("mode", "enforce"),
    )
    _check(terms)
    return terms


def parse_burst(value: object, *, pointer: str = "/burst") -> int:
    """Return how much may pass at once: a JSON integer from 1 to 10^9. Raises InvalidQuantity."""
    if type(value) is not int or not 1 <= value <= MAX_BURST:
        raise InvalidQuantity(f"This is no integer from 1 to {MAX_BURST}.", pointer=pointer)
    return value


def parse_escalation(value: object, *, pointer: str = "/escalate") -> Escalation | None:
    """Return the escalation of {"denials", "seconds"}; None: none. Raises InvalidField and UnknownField."""
    if value is None:
        return None
    given = _members(value, ("denials", "seconds"), pointer)
    read = {"denials": MAX_DENIALS, "seconds": MAX_ESCALATION_SECONDS}
    found, errors = {}, []
    for name, most in read.items():
        place = child_pointer(pointer, name)
        try:
            found[name] = fields.integer(
                _required(given, name, pointer), minimum=1, maximum=most, pointer=place
            )
        except ProblemError as error:
            errors.append(error)
    if errors:
        raise combined(errors)
    return Escalation(**found)


def parse_active_hours(value: object, *, pointer: str = "/active_hours") -> ActiveHours | None:
    """Return the hours of {"from": "09:00", "until": "17:00", "time_zone"?}; None: always.

    Raises InvalidField, InvalidDatetime (no wall time), InvalidPeriod (both the same) and UnknownField.
    """
    if value is None:
        return None
    given = _members(value, ("from", "until", "time_zone"), pointer)
    start, until = (
        _clock(_required(given, name, pointer), child_pointer(pointer, name)) for name in ("from", "until")
    )
    if start == until:
        raise InvalidPeriod("The hours end when they begin.", pointer=child_pointer(pointer, "until"))
    zone = given.get("time_zone")
    if zone is not None:
        zone = fields.time_zone(zone, pointer=child_pointer(pointer, "time_zone"))
    return ActiveHours(start, until, zone)


def created(
    terms: LimitTerms,
    *,
    identifier: UUID,
    organization: UUID,
    target_id: UUID | None,
    target_label: str | None,
    time_zone: str,
    at: datetime,
) -> tuple[RateLimit, Fact]:
    """Return a new rate limit and the fact that makes it; `time_zone`: the organization's."""
    hours, escalate = terms.active_hours, terms.escalate
    limit = RateLimit(
        id=identifier,
        organization=organization,
        scope=terms.scope,
        target_id=target_id,
        target_label=target_label,
        per=terms.per,
        unit=terms.unit,
        direction=terms.direction,
        amount_limit=terms.limit,
        window_kind=terms.window,
        burst=terms.burst or _usual_burst(terms.window, terms.limit),
        behaviour=terms.behaviour,
        escalate_denials=escalate.denials if escalate else None,
        escalate_seconds=escalate.seconds if escalate else None,
        active_from=hours.start if hours else None,
        active_until=hours.until if hours else None,
        time_zone=(hours.zone if hours else None) or time_zone,
        mode=terms.mode,
        version=1,
        created_at=at,
    )
    return limit, _fact(limit, "created", _data(limit), at)


def changed(
    limit: RateLimit, changes: Mapping[str, Any], *, at: datetime, reason: str | None = None
) -> tuple[RateLimit, Fact | None]:
    """Return the limit with another limit, burst, behaviour, escalation, active hours or mode, and the fact of it with
    old and new values; no fact when nothing would be different.

    `changes` are values as requests state them; null ends a burst, an escalation or active hours. Raises
    InvalidTransition for an archived one, InvalidField, InvalidQuantity, InvalidDatetime, InvalidPeriod and
    UnknownField.
    """
    if limit.archived_at is not None:
        raise InvalidTransition("The rate limit is archived.")
    return _next(limit, replace(limit, **_parsed(limit, changes)), "changed", at, reason)


def archived(limit: RateLimit, *, at: datetime, reason: str | None = None) -> tuple[RateLimit, Fact | None]:
    """Return the limit as it no longer limits anything, and the fact of it; no fact when it is archived already."""
    if limit.archived_at is not None:
        return limit, None
    return _next(limit, replace(limit, archived_at=at), "archived", at, reason)


def _check(terms: LimitTerms) -> None:
    """Refuse terms that do not fit each other. Raises InvalidField and InvalidId."""
    errors: list[ProblemError] = []
    if terms.unit == "concurrent":
        if terms.window is not None:
            errors.append(InvalidField("What is open now has no window.", pointer="/window"))
        if terms.burst is not None:
            errors.append(InvalidField("What is open now has no burst.", pointer="/burst"))
    elif terms.window is None:
        errors.append(InvalidField("This field is required.", pointer="/window"))
    if terms.direction is not None and terms.unit != "tokens":
        errors.append(InvalidField("Only tokens have a direction.", pointer="/direction"))
    if terms.burst is not None and terms.window is not None:
        errors += _too_long(terms.window, terms.limit, terms.burst)
    if terms.per == terms.scope:
        errors.append(InvalidField(f"The target is a {terms.scope} already.", pointer="/per"))
    if errors:
        raise combined(errors)
    if terms.scope == "key" and terms.target is not None:
        fields.uuid(terms.target, pointer="/target")


def _parsed(limit: RateLimit, changes: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: changes[name] for name in ("behaviour", "mode") if name in changes}
    amount: int = changes.get("limit", limit.amount_limit)
    values["amount_limit"] = amount
    burst = values["burst"] = _burst(limit, amount, changes)
    if burst is not None:
        for error in _too_long(limit.window_kind, amount, burst):
            raise error
    if "escalate" in changes:
        escalate = parse_escalation(changes["escalate"])
        values["escalate_denials"] = escalate.denials if escalate else None
        values["escalate_seconds"] = escalate.seconds if escalate else None
    if "active_hours" in changes:
        hours = parse_active_hours(changes["active_hours"])
        values["active_from"] = hours.start if hours else None
        values["active_until"] = hours.until if hours else None
        values["time_zone"] = (hours.zone if hours else None) or limit.time_zone
    return values


def _burst(limit: RateLimit, amount: int, changes: Mapping[str, Any]) -> int | None:
    """The burst after a change. One per second that was never told another burst has its limit's, also afterwards."""
    usual = _usual_burst(limit.window_kind, amount)
    if "burst" in changes:
        if limit.unit == "concurrent" and changes["burst"] is not None:
            raise InvalidField("What is open now has no burst.", pointer="/burst")
        return usual if changes["burst"] is None else parse_burst(changes["burst"])
    return usual if limit.burst == _usual_burst(limit.window_kind, limit.amount_limit) else limit.burst


def _too_long(window: str | None, limit: int, burst: int) -> list[ProblemError]:
    """A burst that would not come back within a century; of a limit of 0 none ever passes."""
    if not limit or burst * interval_of(window, limit) <= LONGEST_BURST_NS:
        return []
    return [
        InvalidQuantity("At this rate the burst takes more than 100 years to come back.", pointer="/burst")
    ]


def _usual_burst(window: str | None, limit: int) -> int | None:
    """A limit per second is always a GCRA: a fixed second would let twice as many pass around its end."""
    return limit or None if window == "second" else None


def _members(value: object, names: tuple[str, ...], pointer: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidField("This is not an object.", pointer=pointer)
    for name in value:
        if name not in names:
            raise UnknownField(pointer=child_pointer(pointer, name))
    return value


def _required(given: Mapping[str, Any], name: str, pointer: str) -> Any:
    if given.get(name) is None:
        raise InvalidField("This field is required.", pointer=child_pointer(pointer, name))
    return given[name]


def _clock(value: object, pointer: str) -> str:
    if type(value) is not str or not _CLOCK.fullmatch(value):
        raise InvalidDatetime("A wall time is written HH:MM, from 00:00 to 23:59.", pointer=pointer)
    return value


def _next(
    old: RateLimit, new: RateLimit, verb: str, at: datetime, reason: str | None
) -> tuple[RateLimit, Fact | None]:
    before, data = _data(old), _data(new)
    if before == data:
        return old, None
    new = replace(new, version=old.version + 1)
    said = {} if reason is None else {"reason": reason}
    return new, _fact(new, verb, with_changes(data, before) | said, at)


def _fact(limit: RateLimit, verb: str, data: Mapping[str, Any], at: datetime) -> Fact:
    return Fact(_id(limit.organization), "rate_limit", _id(limit.id), limit.version, verb, data, at)


def _id(identifier: AnyId) -> UUID:
    return identifier if isinstance(identifier, UUID) else UUID(identifier)


def _data(limit: RateLimit) -> dict[str, Any]:
    return {
        "scope": limit.scope,
        "target_id": None if limit.target_id is None else str(limit.target_id),
        "target_label": limit.target_label,
        "per": limit.per,
        "unit": limit.unit,
        "direction": limit.direction,
        "amount_limit": limit.amount_limit,
        "window_kind": limit.window_kind,
        "burst": limit.burst,
        "behaviour": limit.behaviour,
        "escalate_denials": limit.escalate_denials,
        "escalate_seconds": limit.escalate_seconds,
        "active_from": limit.active_from,
        "active_until": limit.active_until,
        "time_zone": limit.time_zone,
        "mode": limit.mode,
        "created_at": time_text(limit.created_at),
        "archived_at": time_text(limit.archived_at),
    }
