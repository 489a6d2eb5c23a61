"""Which operation an object of Stripe's is handed to: one fetch and one operation for each kind.

`fetch(object id, account)` runs outside any transaction and returns the object as it is now; `apply(cur, found,
author)` runs in the transaction that marks the event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from events.store import Cursor
from orgs.operations.facts import Author


class Applied(Protocol):
    """What an operation says it did: applied, unchanged, parked or foreign; and in words."""

    @property
    def outcome(self) -> str: ...
    @property
    def detail(self) -> str | None: ...


Fetch = Callable[[str, str | None], Any]
Apply = Callable[[Cursor, Any, Author], Applied]


@dataclass(frozen=True, slots=True)
class Handler:
    """How one kind of object is fetched and applied, for events of one kind of endpoint. `calls`: how many requests the
    fetch takes, one after the other: so long a worker has the object."""

    source: str
    kind: str
    fetch: Fetch
    apply: Apply
    calls: int = 1


_handlers: Final[dict[tuple[str, str], Handler]] = {}


def register(handler: Handler) -> None:
    """This function will add a handler; the last one of a kind counts."""
    _handlers[handler.source, handler.kind] = handler


def handler_of(source: str, kind: str) -> Handler | None:
    """Return the handler of a kind of object."""
    return _handlers.get((source, kind))


def handled() -> frozenset[tuple[str, str]]:
    """Return what there are handlers for."""
    return frozenset(_handlers)
