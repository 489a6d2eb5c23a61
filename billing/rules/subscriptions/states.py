"""The state machine of subscriptions: which states there are, and which follows which.

scheduled -> trialing -> active <-> past_due
                         active <-> paused
any that lives -> canceled | expired
"""

from typing import Final

from common.errors import InvalidTransition

SCHEDULED: Final = "scheduled"
TRIALING: Final = "trialing"
ACTIVE: Final = "active"
PAUSED: Final = "paused"
PAST_DUE: Final = "past_due"
CANCELED: Final = "canceled"
EXPIRED: Final = "expired"
STATES: Final = (SCHEDULED, TRIALING, ACTIVE, PAUSED, PAST_DUE, CANCELED, EXPIRED)

ENDED: Final = frozenset({CANCELED, EXPIRED})
BILLED: Final = frozenset({ACTIVE, PAST_DUE})
"""The states in which a new period is charged for."""

FOLLOWERS: Final[dict[str, frozenset[str]]] = {
    SCHEDULED: frozenset({TRIALING, ACTIVE, CANCELED}),
    TRIALING: frozenset({ACTIVE, CANCELED, EXPIRED}),
    ACTIVE: frozenset({PAUSED, PAST_DUE, CANCELED, EXPIRED}),
    PAST_DUE: frozenset({ACTIVE, CANCELED, EXPIRED}),
    PAUSED: frozenset({ACTIVE, CANCELED, EXPIRED}),
    CANCELED: frozenset(),
    EXPIRED: frozenset(),
}


def require_follower(old: str, new: str) -> None:
    """Refuse a state that does not follow another. Raises InvalidTransition."""
    if new not in FOLLOWERS[old]:
        raise InvalidTransition(f"A subscription that is {old} does not become {new}.")


def require_state(status: str, *allowed: str) -> None:
    """Refuse what only subscriptions in these states allow. Raises InvalidTransition."""
    if status not in allowed:
        raise InvalidTransition(f"The subscription is {status}.")


def require_live(status: str) -> None:
    """Refuse what is done to a subscription that has ended. Raises InvalidTransition."""
    if status in ENDED:
        raise InvalidTransition(f"The subscription is {status}; it does not change any more.")
