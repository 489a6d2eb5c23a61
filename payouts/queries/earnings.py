"""What partners earned: of whom, by what they offer, in which time; and of whom how much of it is how far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

from events.store import Cursor

GROUPS: Final[Mapping[str, str]] = {
    "day": "b.day",
    "month": "date_trunc('month', b.day)::date",
    "listing": "l.key",
    "agent": "b.agent_id",
    "customer": "b.organization",
}
"""What earnings are shown by, and the column behind it."""
_SUMS: Final = """
SELECT {columns} sum(b.gross)::bigint, sum(b.share)::bigint, sum(b.calls)::bigint
FROM earning_buckets b JOIN listings l ON l.id = b.listing_id
WHERE b.partner = %(partner)s AND (%(start)s::date IS NULL OR b.day >= %(start)s)
    AND (%(end)s::date IS NULL OR b.day < %(end)s) AND (%(listing)s::uuid IS NULL OR b.listing_id = %(listing)s)
    {group}
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which earnings: of a partner, in the days [start, end) UTC (None: no bound), of one listing or all, grouped."""

    partner: UUID
    start: date | None = None
    end: date | None = None
    listing: UUID | None = None
    groups: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Earned:
    """What was earned in a group: the charges, where several share them the partner's
    own part (`gross`), and the share of them in units, and calls. `key` are the
    values of the groups in their order, ids still those of the caller's."""

    key: tuple[Any, ...]
    gross: int
    share: int
    calls: int


def earned(cur: Cursor, wanted: Wanted) -> list[Earned]:
    """Return what was earned by group, in the order of the groups; without groups one row, the total."""
    columns = [GROUPS[name] for name in wanted.groups]
    places = ", ".join(str(place + 1) for place in range(len(columns)))
    statement = _SUMS.format(
        columns="".join(f"{column}, " for column in columns),
        group=f"GROUP BY {places} ORDER BY {places}" if columns else "",
    )
    given = {"partner": wanted.partner, "start": wanted.start, "end": wanted.end, "listing": wanted.listing}
    return [
        Earned(tuple(row[:-3]), *(figure or 0 for figure in row[-3:]))
        for row in cur.execute(statement, given).fetchall()
    ]
