"""Low credit: what the gate may still reserve fell below an amount that an endpoint named.

It is looked at every 10 seconds, so a fall that is made good within them is not told. Once told, it is told again only
after the credit was at the amount, or above it.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from common.clock import wall_now
from common.errors import NotFound
from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.queries.balances import credit_balance
from webhooks.operations.outbound.telling import Message, tell
from webhooks.rules.outbound.types import LOW_CREDIT

_WATCHED: Final = """
SELECT organization, id, amount::bigint FROM webhook_endpoints, jsonb_array_elements_text(low_credit) AS amount
WHERE status = 'enabled' ORDER BY organization, id, amount::bigint DESC
"""
_FELL: Final = """
INSERT INTO webhook_low_credit AS l (endpoint, amount, organization, times, is_low) VALUES (%s, %s, %s, 1, true)
ON CONFLICT (endpoint, amount) DO UPDATE SET times = l.times + 1, is_low = true WHERE NOT l.is_low RETURNING times
"""
_ROSE: Final = "UPDATE webhook_low_credit SET is_low = false WHERE endpoint = %s AND amount = %s AND is_low"


def tell_low_credit() -> int:
    """This function will tell the endpoints that asked for it of credit that fell; returns how many messages."""
    watched: dict[UUID, list[tuple[UUID, int]]] = {}
    for organization, endpoint, amount in run_in_transaction(lambda cur: cur.execute(_WATCHED).fetchall()):
        watched.setdefault(organization, []).append((endpoint, amount))
    return sum(
        run_in_transaction(partial(_look, organization=organization, marks=marks))
        for organization, marks in watched.items()
    )


def _look(cur: Cursor, *, organization: UUID, marks: list[tuple[UUID, int]]) -> int:
    try:
        credit = credit_balance(cur, organization=organization)
    except NotFound:
        return 0  # it has no books, or is without credit
    messages = []
    for endpoint, amount in marks:
        if credit.available >= amount:
            cur.execute(_ROSE, (endpoint, amount))
        elif row := cur.execute(_FELL, (endpoint, amount, organization)).fetchone():
            data = {
                "currency": credit.currency,
                "available": format_amount(credit.available),
                "threshold": format_amount(amount),
            }
            messages.append(_message(organization, endpoint, amount, row[0], data, wall_now(cur)))
    return len(tell(cur, messages))


def _message(
    organization: UUID, endpoint: UUID, amount: int, times: int, data: dict[str, str], now: datetime
) -> Message:
    return Message(
        organization, f"low_credit:{endpoint}:{amount}:{times}", LOW_CREDIT, data, now, only=endpoint
    )
