"""How invoices and credit notes that go out by themselves stand."""

from typing import Final

from events.store import Cursor

_OLDEST: Final = """
SELECT coalesce(extract(epoch FROM max(clock_timestamp() - l.made_at + o.clock_offset)), 0)::float8
FROM document_letters l JOIN organizations o ON o.id = l.organization WHERE l.status = 'waiting'
"""


def oldest_letter_seconds(cur: Cursor) -> float:
    """Return for how long the document has waited that waits longest, in seconds of its customer's clock; 0 without
    one."""
    row = cur.execute(_OLDEST).fetchone()
    assert row is not None
    found: float = row[0]
    return found
