"""Metered use that was taken back, as the lines say that did it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from billing.rules.takingback import Part, read_back, read_returned
from events.store import Cursor

# A line that a void invoice left behind is billed again as it was: it took back once.
_BACK: Final = """
SELECT DISTINCT ON (l.detail->>'charge_id') l.service_end, l.detail::text FROM invoice_lines l
WHERE l.organization = %s AND l.kind = 'metered' AND l.detail->'back' IS NOT NULL
ORDER BY l.detail->>'charge_id', l.invoice_id
"""


@dataclass(frozen=True, slots=True)
class UseBack:
    """A line that took metered use of a period until `end` back: who had paid for it, in units, and what of that went
    back to grants of commitments."""

    end: datetime
    parts: Sequence[Part]
    returned: Counter[UUID]


def use_back(cur: Cursor, organization: UUID) -> list[UseBack]:
    """Return what took metered use back, also on invoices that are void by now, each charge once."""
    found = []
    for end, text in cur.execute(_BACK, (organization,)).fetchall():
        detail = json.loads(text)
        found.append(UseBack(end, read_back(detail)[0], read_returned(detail)))
    return found


def returned_to(back: Iterable[UseBack]) -> Counter[UUID]:
    """Return what went back to each grant of a commitment, in units."""
    found: Counter[UUID] = Counter()
    for one in back:
        found.update(one.returned)
    return found


def back_within(back: Iterable[UseBack], start: datetime, end: datetime) -> Counter[str]:
    """Return what was taken back of use in [start, end), in units by source: a period is charged for its last
    moment."""
    found: Counter[str] = Counter()
    for one in back:
        if start < one.end <= end:
            for source, _, units in one.parts:
                found[source] += units
    return found
