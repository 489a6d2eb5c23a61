"""Checks of meter events by other code than their writers', for `verify_ledger` (B1: nothing counts twice)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from events.integrity import register_check
from events.store import Cursor

# Each gives (organization, what, what is wrong).
_CANCELLED_TWICE: Final = """
SELECT organization, 'meter event ' || cancels, 'is taken back ' || count(*) || ' times' FROM meter_events
WHERE cancels IS NOT NULL GROUP BY organization, cancels HAVING count(*) > 1
"""
_CANCELS_ANOTHER: Final = """
SELECT c.organization, 'meter event ' || c.id, 'takes back what stands otherwise, or nowhere' FROM meter_events c
LEFT JOIN meter_events f ON f.id = c.cancels AND f.organization = c.organization AND f.sign = 1
WHERE c.cancels IS NOT NULL AND (f.id IS NULL
    OR (c.occurred_at, c.type, c.event_id, c.source, c.external_id, c.data::text)
        IS DISTINCT FROM (f.occurred_at, f.type, f.event_id, f.source, f.external_id, f.data::text)
    OR c.backfill_id IS DISTINCT FROM f.backfill_id)
"""
_COUNTS_TWICE: Final = """
SELECT organization, 'event ' || event_id, 'counts ' || sum(sign) || ' times' FROM meter_events
WHERE event_id IN (SELECT event_id FROM meter_events WHERE event_id <> id)
GROUP BY organization, event_id HAVING sum(sign) NOT IN (0, 1)
"""
_WITHOUT_KEY: Final = """
SELECT f.organization, 'meter event ' || f.id, 'has no key of its own' FROM meter_events f
LEFT JOIN meter_event_keys k ON k.organization = f.organization AND k.source = f.source
    AND k.id_digest = substr(sha256(convert_to(f.external_id, 'UTF8')), 1, 16)
WHERE f.event_id = f.id AND k.event_id IS DISTINCT FROM f.id
"""
_REVERTED_COUNTS: Final = """
SELECT b.organization, 'backfill ' || b.id, 'is reverted, and ' || sum(f.sign) || ' of it count' FROM event_backfills b
JOIN meter_events f ON f.backfill_id = b.id WHERE b.status = 'reverted'
GROUP BY b.organization, b.id HAVING sum(f.sign) <> 0
"""
STATEMENTS: Final = (
    ("billing.events_are_taken_back_once", _CANCELLED_TWICE),
    ("billing.what_is_taken_back_stands_so", _CANCELS_ANOTHER),
    ("billing.events_count_once", _COUNTS_TWICE),
    ("billing.events_have_their_keys", _WITHOUT_KEY),
    ("billing.reverted_backfills_count_nothing", _REVERTED_COUNTS),
)


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with whose events."""

    organization: Any
    what: str
    detail: str

    def __str__(self) -> str:
        return f"B1: {self.what} of {self.organization} {self.detail}"


def register_checks() -> None:
    """This function will make every check here part of `verify_ledger`."""
    for name, statement in STATEMENTS:
        register_check(name, _check(statement))


def violations(cur: Cursor) -> list[Violation]:
    """This function will return what is wrong."""
    return [one for _, statement in STATEMENTS for one in _check(statement)(cur)]


def _check(statement: str) -> Callable[[Cursor], list[Violation]]:
    return lambda cur: [Violation(*row) for row in cur.execute(statement).fetchall()]
