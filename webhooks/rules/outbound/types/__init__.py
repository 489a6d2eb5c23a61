"""The public event types, in one table: ours -> outside, each with its builder and a documented example."""

from __future__ import annotations

from typing import Final

from events.publictypes import PublicType, register
from webhooks.rules.outbound.types.billing import BILLING_TYPES
from webhooks.rules.outbound.types.house import HOUSE_TYPES
from webhooks.rules.outbound.types.payments import PAYMENT_TYPES
from webhooks.rules.outbound.types.spend import SPEND_TYPES

TEST: Final = "webhook.test"
DENIED: Final = "spend.denied"
LOW_CREDIT: Final = "credit.low"

TABLE: Final[tuple[PublicType, ...]] = (*SPEND_TYPES, *BILLING_TYPES, *PAYMENT_TYPES, *HOUSE_TYPES)


def register_all() -> None:
    """This function will register the types of this table; other apps register theirs themselves."""
    for kind in TABLE:
        register(kind)
