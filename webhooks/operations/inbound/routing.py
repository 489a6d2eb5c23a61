"""Which operation each kind of object is handed to. Rows for connected accounts come with payouts."""

from __future__ import annotations

from billing.operations.mirroring.applying import apply_invoice, apply_subscription
from billing.stripe_gateway import mirrored
from webhooks.operations.inbound.handlers import Handler, register
from webhooks.rules.inbound.judging import PLATFORM


def register_all() -> None:
    """This function will register the handlers of what billing applies."""
    for handler in _of_mirrors():
        register(handler)


def _of_mirrors() -> list[Handler]:
    return [
        Handler(
            PLATFORM,
            "subscription",
            lambda name, account: mirrored.subscription(name, account=account),
            lambda cur, found, author: apply_subscription(cur, found, author=author),
        ),
        Handler(
            PLATFORM,
            "invoice",
            lambda name, account: mirrored.invoice(name, account=account),
            lambda cur, found, author: apply_invoice(cur, found, author=author),
        ),
    ]
