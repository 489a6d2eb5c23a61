"""What of the events may be told outside: public types, each with how its data is made from an event of ours.

Apps register theirs in `ready()`; outbound webhooks (the app webhooks) tell them. It stands here, at the bottom, so
that every app can add its own without knowing who tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from events.rules.facts import Event

Builder = Callable[[Event], Mapping[str, Any] | None]
"""Returns the public data of an event, or None where this event is none of the type's. Pure; JSON values only; amounts
as decimal strings with their currency; no personal data and no internals (accounts, counters, holds, versions)."""


@dataclass(frozen=True, slots=True)
class PublicType:
    """One type that customers may be told of, such as `invoice.opened`.

    `sources`: the builder for each type of our events that may mean it; empty where it is not told from events.
    `example` is the documented data.
    """

    name: str
    description: str
    example: Mapping[str, Any]
    sources: Mapping[str, Builder] = field(default_factory=dict)


_types: dict[str, PublicType] = {}


def register(kind: PublicType) -> None:
    """Add a public type."""
    _types[kind.name] = kind


def public_types() -> Iterable[PublicType]:
    """Return all public types by their names' order."""
    return [_types[name] for name in sorted(_types)]


def public_type(name: str) -> PublicType:
    """Return one public type. Raises KeyError."""
    return _types[name]


def told(event: Event) -> list[tuple[str, Mapping[str, Any]]]:
    """Return what an event means outside: public types with their data; mostly nothing."""
    found = []
    for kind in _types.values():
        build = kind.sources.get(event.type)
        data = None if build is None else build(event)
        if data is not None:
            found.append((kind.name, data))
    return found
