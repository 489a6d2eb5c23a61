"""Money that went back of a payment before that was known here: its object was foreign when it was told of, and stands
in suspense. It is applied as soon as the payment is known, however old it is: who was given the money gives it back.
"""

from __future__ import annotations

from billing import stripe_gateway
from common.errors import ProblemError
from common.transactions import run_in_transaction
from webhooks.operations.inbound.handlers import handler_of
from webhooks.operations.reconciling.noting import AUTHOR
from webhooks.queries.reconciling.rows import returns_of_known_payments
from webhooks.rules.inbound.judging import PLATFORM


def apply_returns() -> None:
    """This function will apply refunds and disputes that stand in suspense although their payment is known here, by the
    ordinary operation. What that refuses stays there. Raises ProcessorUnavailable and ProcessorRejected."""
    for name, kind in run_in_transaction(returns_of_known_payments):
        _apply(name, kind)


def _apply(name: str, kind: str) -> None:
    handler = handler_of(PLATFORM, kind)
    if handler is None:
        return
    try:
        found = handler.fetch(name, None)
        run_in_transaction(lambda cur: handler.apply(cur, found, AUTHOR))
    except (stripe_gateway.NotAtProcessor, stripe_gateway.Unreadable):
        return
    except ProblemError as error:
        if error.retryable:
            raise
