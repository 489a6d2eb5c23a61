"""The guard rail of the model, which every change of a payout's state passes before its event is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django_fsm import TransitionNotAllowed

from common.errors import InvalidTransition
from payouts.models import Payout
from payouts.rules.paying import states

_GUARDS: Final[dict[str, Callable[[Payout], None]]] = {
    states.HELD: Payout.hold_it,
    states.PENDING_APPROVAL: Payout.await_approval,
    states.APPROVED: Payout.approve,
    states.PROCESSING: Payout.process,
    states.UNKNOWN: Payout.doubt,
    states.PAID: Payout.pay,
    states.FAILED: Payout.fail,
    states.REVERSED: Payout.reverse,
    states.CANCELED: Payout.cancel,
}


def pass_guard(state: str, target: str) -> None:
    """Move a copy of the row by django-fsm. Raises InvalidTransition for what it does not allow."""
    row = Payout(state=state)
    try:
        _GUARDS[target](row)
    except TransitionNotAllowed as error:
        raise InvalidTransition(f"A payout that is {state} does not become {target}.") from error
