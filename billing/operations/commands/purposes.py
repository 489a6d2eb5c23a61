"""What commands are for: which call each makes, and what follows from its outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from billing.rules.payments.commands import Command
from billing.rules.payments.outcomes import Outcome
from events.store import Cursor

Settle = Callable[[Cursor, Command, Outcome], None]
Check = Callable[[Cursor, Command], str | None]


Doubt = Callable[[Cursor, Command], None]


def _is_wanted(cur: Cursor, command: Command) -> str | None:
    return None


def _is_no_matter(cur: Cursor, command: Command) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a command is for. `resource` and `verb` are the SDK's: `client.v1.<resource>.<verb>`.

    `settle(cur, command, outcome)` does what follows, in the transaction that records the outcome, under the
    organization's lock; it is called for Succeeded and Refused. One that lapses is asked for anew and settles nothing.
    `check(cur, command)` is asked before the command is sent for the first time: a text says why it is not wanted
    any more, and withdraws it; then `settle` gets Refused("withdrawn").
    `doubt(cur, command)` is told when nobody knows any more whether it was done (unknown, or stopped for a person).
    """

    name: str
    resource: str
    verb: str
    settle: Settle
    check: Check = _is_wanted
    doubt: Doubt = _is_no_matter


_purposes: Final[dict[str, Purpose]] = {}


def register_purpose(purpose: Purpose) -> None:
    """This function will make a purpose known; apps do it in `ready()`."""
    _purposes[purpose.name] = purpose


def purpose_of(name: str) -> Purpose:
    """This function will return a purpose. Raises KeyError."""
    return _purposes[name]
