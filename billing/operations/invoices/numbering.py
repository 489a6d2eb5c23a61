"""Gapless numbers per legal entity, series and year (B2)."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from events.store import Cursor

# Makes the row where there is none and locks it either way: what follows it commits or rolls back with the number.
_NEXT: Final = """
INSERT INTO invoice_numbers AS n (legal_entity, series, year, last) VALUES (%s, %s, %s, 0)
ON CONFLICT (legal_entity, series, year) DO UPDATE SET last = n.last RETURNING last + 1
"""


def next_counter(cur: Cursor, *, legal_entity: UUID, series: str, year: int) -> int:
    """This function will lock a series and return its next number, from 1. The caller's event takes it; until the
    transaction ends every other finalization of the series waits, so the caller does nothing long after it.

    Lock order: the organization before this.
    """
    row = cur.execute(_NEXT, (legal_entity, series, year)).fetchone()
    assert row is not None
    return int(row[0])
