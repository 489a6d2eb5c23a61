"""The guard rail of the model, which every change of a case's state passes before its event is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django_fsm import TransitionNotAllowed

from billing.models import DunningCase
from billing.rules.dunning.states import CANCELED, CLOSED, GRACE, SUSPENDED, WRITTEN_OFF
from common.errors import InvalidTransition

_GUARDS: Final[dict[str, Callable[[DunningCase], None]]] = {
    GRACE: DunningCase.throttle,
    SUSPENDED: DunningCase.suspend,
    CANCELED: DunningCase.cancel,
    WRITTEN_OFF: DunningCase.write_off,
    CLOSED: DunningCase.close,
}


def pass_guard(state: str, target: str) -> None:
    """Move a copy of the row by django-fsm. Raises InvalidTransition for what it does not allow."""
    row = DunningCase(state=state)
    try:
        _GUARDS[target](row)
    except TransitionNotAllowed as error:
        raise InvalidTransition(f"A dunning case that is {state} does not become {target}.") from error
