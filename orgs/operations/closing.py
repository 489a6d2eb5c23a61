"""What ends with an organization: whoever is above `orgs` ends its own before the organization is closed."""

from collections.abc import Callable
from typing import Final

from events.store import Cursor
from orgs.operations.facts import Author
from orgs.rules.rows import LockedOrganization

Ending = Callable[[Cursor, LockedOrganization, Author], None]
"""Ends something of an organization that is about to be closed, under its lock and in the same transaction."""
_endings: Final[dict[str, Ending]] = {}


def register_ending(name: str, ending: Ending) -> None:
    """This function will let something end whenever an organization is closed."""
    _endings[name] = ending


def end_all(cur: Cursor, locked: LockedOrganization, *, author: Author) -> None:
    """This function will end whatever ends with an organization. Raises what the endings raise."""
    for name in sorted(_endings):
        _endings[name](cur, locked, author)
