"""What apps above say to a new agent: who entitles a customer to so many of them knows it, and this app does not."""

from collections.abc import Callable
from typing import Final
from uuid import UUID

from events.store import Cursor

Guard = Callable[[Cursor, UUID], None]
_guards: Final[dict[str, Guard]] = {}


def register_guard(name: str, guard: Guard) -> None:
    """Ask this guard before an agent is made in an organization, under its lock; it raises when there may be none."""
    _guards[name] = guard


def check_guards(cur: Cursor, organization: UUID) -> None:
    """This function will ask all guards whether the locked organization may have one more agent. Raises what they
    raise."""
    for guard in _guards.values():
        guard(cur, organization)
