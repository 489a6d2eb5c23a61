"""The one table of transitions of a payout (S101). The model's guard rail (django-fsm-2) is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from common.errors import InvalidTransition

REQUESTED, HELD, PENDING_APPROVAL, APPROVED = "requested", "held", "pending_approval", "approved"
PROCESSING, UNKNOWN = "processing", "unknown"
PAID, FAILED, REVERSED, CANCELED = "paid", "failed", "reversed", "canceled"
STATES: Final = (
    REQUESTED, HELD, PENDING_APPROVAL, APPROVED, PROCESSING, UNKNOWN, PAID, FAILED, REVERSED, CANCELED
)  # fmt: skip
WAITING: Final = frozenset({REQUESTED, HELD, PENDING_APPROVAL, APPROVED})
"""Nothing was sent yet: it may still be canceled."""
OPEN: Final = frozenset({*WAITING, PROCESSING, UNKNOWN})
"""Its money is in transit; a partner has at most one such payout."""
RETURNED: Final = frozenset({FAILED, REVERSED, CANCELED})
"""Its money is in partner_payable again."""
TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    REQUESTED: frozenset({HELD, PENDING_APPROVAL, APPROVED, CANCELED}),
    HELD: frozenset({PENDING_APPROVAL, APPROVED, CANCELED}),
    PENDING_APPROVAL: frozenset({HELD, APPROVED, CANCELED}),
    APPROVED: frozenset({HELD, PROCESSING, CANCELED}),
    # What was in doubt and is found on its way is processing again, until the bank says how it ended. What was not sent
    # for certain (the processor had too little for its transfer, or has none) is approved again.
    PROCESSING: frozenset({APPROVED, UNKNOWN, PAID, FAILED}),
    UNKNOWN: frozenset({PROCESSING, PAID, FAILED}),
    PAID: frozenset({FAILED, REVERSED}),
    FAILED: frozenset(),
    REVERSED: frozenset(),
    CANCELED: frozenset(),
}
TARGETS: Final = tuple(state for state in STATES if state != REQUESTED)


def require_transition(state: str, target: str) -> None:
    """Refuse what the table does not have. Raises InvalidTransition."""
    if target not in TRANSITIONS[state]:
        raise InvalidTransition(f"A payout that is {state} does not become {target}.")


def sources_of(target: str) -> list[str]:
    """Return the states from which a payout becomes `target`."""
    return [state for state in STATES if target in TRANSITIONS[state]]
