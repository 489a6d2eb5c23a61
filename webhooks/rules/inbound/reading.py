"""A verified body to what we need of it: ids, type, mode and version. Nothing else of it is ever used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from common.errors import ProblemError
from webhooks.rules.inbound.routes import is_reference

THIN: Final = "v2.core.event"
_TYPE = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+){1,5}(?:\[[a-z0-9_.]+\])?(?:\.[a-z0-9_]+)*", re.ASCII)
_VERSION = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\.([a-z]+))?", re.ASCII)
_SHOWN = re.compile(r"[A-Za-z0-9._-]{1,40}", re.ASCII)
"""What is kept of a version, known or not."""
RELEASES: Final = frozenset({"acacia", "basil", "clover", "dahlia", "endive"})
OLDEST_VERSION: Final = "2020-08-27"
FIRST_RELEASE: Final = "2024-09-30"
"""From here on a version's date has a release's name behind it."""
MOST_LEVELS: Final = 64


class InvalidPayload(ProblemError):
    """The signed body is not an event."""

    code = "invalid_payload"
    status = 400


@dataclass(frozen=True, slots=True)
class Hint:
    """What a delivery says. `account` is empty for the platform's own events; `found` is the event's object (of a
    thin event: what it relates to). `version` and `is_live` are None where it says none."""

    event: str
    type: str
    account: str
    is_live: bool | None
    is_thin: bool
    version: str | None
    created: datetime
    found: Mapping[str, Any] = field(default_factory=dict)


class _Data(msgspec.Struct):
    object: dict[str, Any]


class _Event(msgspec.Struct):
    id: str
    object: str
    type: str
    created: int | str
    livemode: bool | None = None
    api_version: str | None = None
    account: str | None = None
    context: str | None = None
    data: _Data | msgspec.UnsetType = msgspec.UNSET
    related_object: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Event).decode


def read_event(body: bytes) -> Hint:
    """Return what a signed body says. Raises InvalidPayload for what is not JSON, not an event, or nests too deep."""
    if _levels(body) > MOST_LEVELS:
        raise InvalidPayload("The body nests too deep.")
    try:
        event = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise InvalidPayload from None
    if event.object not in ("event", THIN) or not is_reference(event.id) or not _is_type(event.type):
        raise InvalidPayload
    is_thin = event.object == THIN
    account = (event.context if is_thin else event.account) or ""
    if account and not is_reference(account):
        raise InvalidPayload
    found = (event.related_object if is_thin else _object(event)) or {}
    if account and not isinstance(found.get("account"), str):
        found = {**found, "account": account}
    version = event.api_version if _SHOWN.fullmatch(event.api_version or "") else None
    return Hint(
        event.id, event.type, account, event.livemode, is_thin, version, _moment(event.created), found
    )


def is_known_version(version: str | None) -> bool:
    """Whether events of this version have the shapes that are read here: from OLDEST_VERSION on, of a release that is
    known by its name, or of the time before releases had names."""
    parts = _VERSION.fullmatch(version or "")
    if parts is None:
        return False
    day, release = parts.groups()
    if release is None:
        return OLDEST_VERSION <= day < FIRST_RELEASE
    return release in RELEASES


def _object(event: _Event) -> Mapping[str, Any] | None:
    return event.data.object if isinstance(event.data, _Data) else None


def _is_type(text: str) -> bool:
    return len(text) <= 120 and _TYPE.fullmatch(text) is not None


def _moment(created: int | str) -> datetime:
    try:
        if isinstance(created, int):
            return datetime.fromtimestamp(created, UTC)
        found = datetime.fromisoformat(created)
    except (ValueError, OverflowError, OSError):
        raise InvalidPayload from None
    if found.tzinfo is None:
        raise InvalidPayload
    return found.astimezone(UTC)


_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_TO_SQUARE = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))


def _levels(body: bytes) -> int:
    """How deep a body nests, found out before it is parsed."""
    if body.count(b"[") + body.count(b"{") <= MOST_LEVELS:
        return 0
    depth = deepest = 0
    for each in _STRINGS.sub(b"", body).translate(_TO_SQUARE, _NOT_BRACKETS):
        depth += 1 if each == 0x5B else -1
        deepest = max(deepest, depth)
    return deepest
