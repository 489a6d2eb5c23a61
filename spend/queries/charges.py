"""What an operation reads to charge an amount outside of the gate, under the organization's lock."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from events.store import Cursor
from ledger.queries.balances import open_grants
from spend.queries.gate_state import MAX_EXPIRED, RESERVATION_COLUMNS
from spend.rules.state import Books, LiveAccount, Reservation

PASSED_THE_GATE: Final = "agent_id IS NOT NULL"
"""True of usage records that the gate wrote: an invoice rates these, and never what was charged for a meter (B1)."""
_ACCOUNTS: Final = """
SELECT kind, id::text, posted, held, debt, credit_limit FROM accounts
WHERE organization = %s AND currency = %s AND kind IN ('customer_credit', 'unbilled_receivable')
    AND counterparty IS NULL
"""
_EXPIRED: Final = f"""
SELECT {RESERVATION_COLUMNS} FROM reservations r
WHERE r.organization = %s AND r.status = 'active' AND r.expires_at <= %s ORDER BY r.expires_at LIMIT {MAX_EXPIRED}
"""
_KNOWN: Final = """
SELECT k.payload_digest, k.usage_id, (e.data->'funding')::text FROM usage_keys k
JOIN events e ON e.organization = k.organization AND e.stream_id = k.usage_id AND e.version = 1
WHERE k.organization = %s AND k.source = %s AND k.id_digest = %s
"""
_ACTION, _FUNDING = 19, 22
_decode = msgspec.json.Decoder().decode


def read_books(cur: Cursor, *, organization: UUID, currency: str) -> Books:
    """Return the funding side of an organization, as the gate works on it."""
    found: dict[str, LiveAccount] = {}
    for kind, *figures in cur.execute(_ACCOUNTS, (organization, currency)).fetchall():
        found[kind] = LiveAccount(*figures)
    credit, line = found["customer_credit"], found.get("unbilled_receivable")
    if line is not None and line.credit_limit == 0 and not (line.posted or line.held):
        line = None  # a prepaid customer has none
    grants = [replace(row.grant, id=str(row.grant.id)) for row in open_grants(cur, account=UUID(credit.id))]
    return Books(credit, line, grants)


def expired_reservations(cur: Cursor, *, organization: UUID, now: datetime) -> list[Reservation]:
    """Return reservations whose time is over and that still hold something, at most MAX_EXPIRED."""
    rows = cur.execute(_EXPIRED, (organization, now)).fetchall()
    return [_reservation(row) for row in rows]


def known_charge(
    cur: Cursor, *, organization: UUID, source: str, digest: bytes
) -> tuple[bytes, UUID, list[list[Any]]] | None:
    """Return (digest, usage record, receipt) of what was charged under a key before."""
    row = cur.execute(_KNOWN, (organization, source, digest)).fetchone()
    return None if row is None else (bytes(row[0]), row[1], _decode(row[2]))


def _reservation(row: tuple[Any, ...]) -> Reservation:
    values: list[Any] = [str(value) if isinstance(value, UUID) else value for value in row]
    values[_ACTION], values[_FUNDING] = _decode(row[_ACTION]), _decode(row[_FUNDING])
    return Reservation(*values)
