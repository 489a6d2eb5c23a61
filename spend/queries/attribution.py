"""Who spent what: usage of a period by one dimension, with an explicit bucket for what has no value there (S18, S19).

Whole hours come from usage_hourly, whole days of user, run and tool from usage_daily_fine; the edges of a period, and
days that the reader of the finer rollups has not finished, come from the records. So the sums are exact at any time.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from events.store import Cursor
from orgs.queries.subjects import keys_of
from orgs.rules.permissions import NO_LIMITS, KeyIsLimited, KeyLimits
from spend.queries.naming import decode
from spend.queries.periods import BEGINNING, recorded_since
from spend.rules.shares import FINE, tool_shares

COARSE: Final = {
    "agent": "agent_id",
    "team": "team_id",
    "workflow": "workflow_id",
    "connection": "connection_id",
    "model": "model",
    "provider": "provider",
}
DIMENSIONS: Final = (*COARSE, *FINE)
FIGURES: Final = (
    "calls",
    "input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "tool_calls",
    "cost",
    "charge",
)
MAX_ROWS: Final = 1_000
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_SUMS: Final = ", ".join(f"sum({name})" for name in FIGURES)
_RAW_SUMS: Final = ", ".join("count(*)" if name == "calls" else f"sum({name})" for name in FIGURES)
_OCCURRED: Final = (
    "x.organization = %(organization)s AND x.occurred_at >= %(start)s AND x.occurred_at < %(end)s "
    "AND x.id >= %(first_id)s AND x.recorded_at >= %(recorded)s"
)
# What a limited key is for; null: everything.
_ONLY: Final = (
    "(%(agents)s::uuid[] IS NULL OR x.agent_id = ANY(%(agents)s)) "
    "AND (%(connections)s::uuid[] IS NULL OR x.connection_id = ANY(%(connections)s))"
)

Key = tuple[str | None, str | None]
Sums = dict[Key, list[int]]
Period = tuple[datetime, datetime]


class AttributedRow(NamedTuple):
    """Usage of one value of the dimension; money in units of 10^-8. `key` None: unattributed, or all the others."""

    key: str | None
    id: str | None
    provider: str | None
    figures: dict[str, int]


class Attribution(NamedTuple):
    """Usage of a period by one dimension: rows by falling charge, the rest of them, and what has no value."""

    rows: list[AttributedRow]
    other: AttributedRow | None
    unattributed: AttributedRow
    total: dict[str, int]


def attribute(
    cur: Cursor,
    *,
    organization: UUID,
    dimension: str,
    start: datetime | None,
    end: datetime | None,
    limits: KeyLimits = NO_LIMITS,
) -> Attribution:
    """Return the organization's usage that occurred in [start, end), by agent, team, workflow, connection, model,
    provider, user, run or tool; without an edge from its first or to its last record.

    rows + other + unattributed sum to exactly the total. One snapshot: call it first in its transaction. By user, run
    and tool the figures are calls, cost and charge only; a record's cost is split exactly over its tools.

    For a limited key it is the usage of what the key is for, and the total is the total of that. By user, run and tool
    it raises KeyIsLimited: their rollups know neither agents nor connections.
    """
    if dimension in FINE and limits != NO_LIMITS:
        raise KeyIsLimited
    cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    period = _period(cur, organization, start, end)
    if dimension in FINE:
        sums = _fine(cur, organization, dimension, period)
    else:
        sums = _coarse(cur, organization, dimension, period, limits)
    figures = ("calls", "cost", "charge") if dimension in FINE else FIGURES
    rows = _named(cur, organization, dimension, _rows(sums, figures))
    return _shaped(rows, figures)


def _shaped(rows: list[AttributedRow], names: tuple[str, ...]) -> Attribution:
    named = [row for row in rows if row.key is not None]
    named.sort(key=lambda row: (-row.figures["charge"], -row.figures["cost"], row.key or "", row.id or ""))
    beyond = named[MAX_ROWS:]
    other = _sum(beyond, names) if beyond else None
    unattributed = _sum([row for row in rows if row.key is None], names)
    return Attribution(named[:MAX_ROWS], other, unattributed, _sum(rows, names).figures)


def _sum(rows: list[AttributedRow], names: tuple[str, ...]) -> AttributedRow:
    figures = {name: sum(row.figures[name] for row in rows) for name in names}
    return AttributedRow(None, None, None, figures)


def _rows(sums: Sums, names: tuple[str, ...]) -> list[AttributedRow]:
    return [
        AttributedRow(value or None, value, provider, dict(zip(names, figures, strict=True)))
        for (value, provider), figures in sums.items()
    ]


def _named(cur: Cursor, organization: UUID, dimension: str, rows: list[AttributedRow]) -> list[AttributedRow]:
    if dimension in ("agent", "team", "workflow", "connection"):
        ids = [UUID(row.key) for row in rows if row.key]
        keys = {
            str(name): key
            for name, key in keys_of(cur, dimension, organization=organization, ids=ids).items()
        }
    elif dimension == "run":
        wanted = [UUID(row.key) for row in rows if row.key]
        cur.execute(
            "SELECT id::text, key FROM runs WHERE organization = %s AND id = ANY(%s)", (organization, wanted)
        )
        keys = dict(cur.fetchall())
    else:
        return rows
    return [row._replace(key=keys.get(row.key, row.key)) if row.key else row for row in rows]


def _period(cur: Cursor, organization: UUID, start: datetime | None, end: datetime | None) -> Period:
    """The period with both edges: an absent one is the hour of the first record, or the end of that of the last."""
    if start is not None and end is not None:
        return start, end
    cur.execute("SELECT min(hour), max(hour) FROM usage_hourly WHERE organization = %s", (organization,))
    row = cur.fetchone()
    first, last = row if row is not None and row[0] is not None else (None, None)
    begin = start or first or end or BEGINNING
    finish = end or (begin if last is None else last + _HOUR)
    return min(begin, finish), finish


def _coarse(cur: Cursor, organization: UUID, dimension: str, period: Period, limits: KeyLimits) -> Sums:
    column = COARSE[dimension]
    only = {"agents": limits.ids("agent"), "connections": limits.ids("connection")}
    group = f"{column}::text, " + ("provider" if dimension == "model" else "NULL::text")
    whole, edges = _whole(period, _floor_hour, _HOUR)
    sums: Sums = {}
    if whole is not None:
        cur.execute(
            f"SELECT {group}, {_SUMS} FROM usage_hourly x WHERE organization = %(organization)s "
            f"AND hour >= %(start)s AND hour < %(end)s AND {_ONLY} GROUP BY 1, 2",
            {"organization": organization, "start": whole[0], "end": whole[1], **only},
        )
        _add(sums, cur.fetchall())
    for edge in edges:
        statement = (
            f"SELECT {group}, {_RAW_SUMS} FROM usage_records x WHERE {_OCCURRED} AND {_ONLY} GROUP BY 1, 2"
        )
        cur.execute(statement, {**_bounds(cur, organization, edge), **only})
        _add(sums, cur.fetchall())
    return sums


def _fine(cur: Cursor, organization: UUID, dimension: str, period: Period) -> Sums:
    whole, edges = _whole(period, _floor_day, _DAY)
    sums: Sums = {}
    raw = list(edges)
    if whole is not None:
        late = _unfinished_days(cur, organization, whole)
        raw += [(day, day + _DAY) for day in late]
        cur.execute(
            "SELECT NULLIF(value, ''), NULL::text, sum(calls), sum(cost), sum(charge) FROM usage_daily_fine "
            "WHERE organization = %s AND dimension = %s AND day >= %s AND day < %s AND NOT day = ANY(%s::date[]) "
            "GROUP BY 1",
            (organization, dimension, whole[0].date(), whole[1].date(), [day.date() for day in late]),
        )
        _add(sums, cur.fetchall())
    for part in raw:
        _add(sums, _fine_records(cur, organization, dimension, part))
    return sums


def _unfinished_days(cur: Cursor, organization: UUID, whole: Period) -> list[datetime]:
    """The days whose finer rollup does not yet count as many calls as the hourly one."""
    cur.execute(
        """
        SELECT h.day FROM (
            SELECT (hour AT TIME ZONE 'UTC')::date AS day, sum(calls) AS calls FROM usage_hourly
            WHERE organization = %(o)s AND hour >= %(a)s AND hour < %(b)s GROUP BY 1
        ) h LEFT JOIN (
            SELECT day, sum(calls) AS calls FROM usage_daily_fine
            WHERE organization = %(o)s AND dimension = 'user' AND day >= %(a)s::timestamptz::date
                AND day < %(b)s::timestamptz::date GROUP BY 1
        ) f ON f.day = h.day WHERE f.calls IS DISTINCT FROM h.calls ORDER BY h.day
        """,
        {"o": organization, "a": whole[0], "b": whole[1]},
    )
    return [datetime.combine(row[0], datetime.min.time(), UTC) for row in cur.fetchall()]


def _fine_records(cur: Cursor, organization: UUID, dimension: str, part: Period) -> list[tuple[Any, ...]]:
    bounds = _bounds(cur, organization, part)
    if dimension == "tool":
        return _tool_records(cur, bounds)
    column = {"user": "user_label", "run": "run_id::text"}[dimension]
    cur.execute(
        f"SELECT x.{column}, NULL::text, count(*), sum(x.cost), sum(x.charge) FROM usage_records x "
        f"WHERE {_OCCURRED} GROUP BY 1",
        bounds,
    )
    return cur.fetchall()


def _tool_records(cur: Cursor, bounds: dict[str, Any]) -> list[tuple[Any, ...]]:
    cur.execute(
        f"SELECT x.tool, x.cost, x.charge, x.detail::text FROM usage_records x WHERE {_OCCURRED}", bounds
    )
    found = []
    for tool, cost, charge, detail in cur.fetchall():
        shares = tool_shares(decode(detail) if detail else None, cost=cost, charge=charge, tool=tool)
        found += [(value or None, None, *share) for value, share in shares.items()]
    return found


def _bounds(cur: Cursor, organization: UUID, part: Period) -> dict[str, Any]:
    """The values of _OCCURRED."""
    recorded = recorded_since(cur, organization, part[0])
    return {
        "organization": organization,
        "start": part[0],
        "end": part[1],
        "recorded": recorded.at,
        "first_id": recorded.first_id,
    }


def _whole(
    period: Period, floor: Callable[[datetime], datetime], length: timedelta
) -> tuple[Period | None, list[Period]]:
    """Split a period into its whole hours or days and its edges."""
    start, end = period
    first = floor(start)
    if first < start:
        first += length
    last = floor(end)
    if first >= last:
        return None, [(start, end)] if start < end else []
    edges = [(start, first), (last, end)]
    return (first, last), [(a, b) for a, b in edges if a < b]


def _floor_hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _floor_day(moment: datetime) -> datetime:
    return _floor_hour(moment).replace(hour=0)


def _add(sums: Sums, rows: Iterable[tuple[Any, ...]]) -> None:
    for value, provider, *figures in rows:
        numbers = [int(figure or 0) for figure in figures]
        known = sums.setdefault((value, provider), [0] * len(numbers))
        known[:] = [have + more for have, more in zip(known, numbers, strict=True)]
