"""The one table of transitions of a dunning case (S90). The model's guard rail (django-fsm-2) is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from common.errors import InvalidTransition

PAST_DUE, GRACE, SUSPENDED = "past_due", "grace", "suspended"
CANCELED, WRITTEN_OFF, CLOSED = "canceled", "written_off", "closed"
STATES: Final = (PAST_DUE, GRACE, SUSPENDED, CANCELED, WRITTEN_OFF, CLOSED)
"""In the order of severity; closed is the end of each."""
TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    PAST_DUE: frozenset({GRACE, SUSPENDED, CANCELED, WRITTEN_OFF, CLOSED}),
    GRACE: frozenset({SUSPENDED, CANCELED, WRITTEN_OFF, CLOSED}),
    SUSPENDED: frozenset({CANCELED, WRITTEN_OFF, CLOSED}),
    CANCELED: frozenset({WRITTEN_OFF, CLOSED}),
    WRITTEN_OFF: frozenset({CLOSED}),
    CLOSED: frozenset(),
}
TARGETS: Final = (GRACE, SUSPENDED, CANCELED, WRITTEN_OFF, CLOSED)
"""What a case may become; past_due is only what it begins as."""


def require_transition(state: str, target: str) -> None:
    """Refuse what the table does not have. Raises InvalidTransition."""
    if target not in TRANSITIONS[state]:
        raise InvalidTransition(f"A dunning case that is {state} does not become {target}.")


def sources_of(target: str) -> list[str]:
    """Return the states from which a case becomes `target`."""
    return [state for state in STATES if target in TRANSITIONS[state]]
