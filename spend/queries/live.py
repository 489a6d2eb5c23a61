"""What a stream shows of an organization: what happened since, and how its money stands now.

Small statements by index on a connection of the stream's own; they take no locks, and nothing is decided on them.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from events.reading import COLUMNS, StoredEvent, stored_events
from ledger.queries.balances import BALANCE, grant_row
from ledger.rules.grants import available
from spend.projections.minutes import READER
from spend.queries.pace import IN_THE_HOUR, MAX_ROWS, READ_TYPES, SPENT, UNSEEN, rate_of, starts, statement_of
from spend.rules.pace import STILL, BurnRate

AsyncCursor = psycopg.AsyncCursor[Any]
TOLD: Final = ("incident", "switch", "threshold", "approval")
"""Kinds of streams whose events are told one by one."""
MOST_MISSED: Final = 500
"""So many events are told to whoever comes back; before them there is a gap."""
_MOST_OPEN: Final = 10_000

_HEADS: Final = """
SELECT o.id, o.config_epoch, clock_timestamp() + o.clock_offset,
    COALESCE((SELECT e.seq FROM events e WHERE e.organization = o.id ORDER BY e.seq DESC LIMIT 1), 0),
    COALESCE((SELECT c.seq FROM event_cursors c WHERE c.name = %s), 0), o.currency
FROM organizations o WHERE o.id = ANY(%s::uuid[])
"""
# The kinds stand in the text, so that the index over exactly these events can be used.
_TOLD: Final = f"""
SELECT {COLUMNS} FROM events WHERE organization = %s AND seq > %s AND seq <= %s
    AND stream_type IN ({", ".join(f"'{name}'" for name in TOLD)})
ORDER BY seq DESC LIMIT {MOST_MISSED + 1}
"""
_OPEN: Final = f"""
SELECT r.agent_id, r.run, count(*), sum(r.held) FROM (
    SELECT agent_id, COALESCE(root_run_id, run_id) AS run, held FROM reservations
    WHERE organization = %s AND status = 'active' LIMIT {_MOST_OPEN}
) r GROUP BY 1, 2
"""
_HOURS: Final = """
SELECT COALESCE(sum(calls), 0)::bigint, COALESCE(sum(input_tokens + output_tokens), 0)::bigint,
    COALESCE(sum(cost), 0)::numeric, COALESCE(sum(charge), 0)::numeric
FROM usage_hourly WHERE organization = %s AND hour >= %s AND hour < %s AND agent_id IS NOT NULL
"""
_AGENTS: Final = "SELECT id, key FROM agents WHERE organization = %s AND id = ANY(%s::uuid[])"
_RUNS: Final = """
SELECT r.id, r.key, a.key, r.status, t.held, t.charged, t.cost, t.tokens, t.tool_calls, t.reservations, t.usages
FROM (
    SELECT x.root_id, sum(x.held) AS held, sum(x.charged) AS charged, sum(x.cost) AS cost, sum(x.tokens) AS tokens,
        sum(x.tool_calls) AS tool_calls, sum(x.reservations) AS reservations, sum(x.usage_count) AS usages
    FROM runs x WHERE x.organization = %(organization)s AND x.root_id = ANY(%(roots)s::uuid[]) GROUP BY x.root_id
) t JOIN runs r ON r.id = t.root_id LEFT JOIN agents a ON a.id = r.agent_id
"""


class Head(NamedTuple):
    """How far an organization is: its configuration, clock and last event, and the reader of the minutes."""

    id: UUID
    epoch: int
    now: datetime
    seq: int
    read: int
    currency: str


@dataclass(frozen=True, slots=True)
class Open:
    """How many reservations are open, and what they hold in units."""

    count: int = 0
    held: int = 0

    def plus(self, count: int, held: int) -> "Open":
        """Return both together."""
        return Open(self.count + count, self.held + held)


@dataclass(frozen=True, slots=True)
class RunFigures:
    """A root run with the totals of its tree. Money in units."""

    id: UUID
    key: str
    agent: str | None
    status: str
    held: int
    charged: int
    cost: int
    tokens: int
    tool_calls: int
    reservations: int
    usage_records: int
    rate: BurnRate


@dataclass(frozen=True, slots=True)
class Day:
    """Usage since midnight in UTC; money in units."""

    calls: int = 0
    tokens: int = 0
    cost: int = 0
    charge: int = 0

    def plus(self, other: "Day") -> "Day":
        """Return both together."""
        return Day(
            self.calls + other.calls,
            self.tokens + other.tokens,
            self.cost + other.cost,
            self.charge + other.charge,
        )


@dataclass(slots=True)
class Figures:
    """An organization's money at a moment; agents by id with key, open reservations and burn rate."""

    now: datetime
    seen_until: datetime
    posted: int
    held: int
    available: int
    open: Open
    today: Day
    rate: BurnRate
    agents: dict[UUID, tuple[str, Open, BurnRate]] = field(default_factory=dict)
    runs: dict[UUID, RunFigures] = field(default_factory=dict)


async def heads(cur: AsyncCursor, organizations: Iterable[UUID]) -> dict[UUID, Head]:
    """Return how far these organizations are; unknown ones are left out."""
    await cur.execute(_HEADS, (READER, list(organizations)))
    return {row[0]: Head(*row) for row in await cur.fetchall()}


@asynccontextmanager
async def of_one_moment(cur: AsyncCursor) -> AsyncIterator[None]:
    """Everything read in the block is of one moment: what is held is then the same in all figures."""
    async with cur.connection.transaction():
        await cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


async def told(
    cur: AsyncCursor, organization: UUID, *, after: int, until: int
) -> tuple[list[StoredEvent], bool]:
    """Return the last MOST_MISSED events that are told one by one, in their order, and whether there were more."""
    await cur.execute(_TOLD, (organization, after, until))
    rows = await cur.fetchall()
    return list(stored_events(reversed(rows[:MOST_MISSED]))), len(rows) > MOST_MISSED


async def hours(cur: AsyncCursor, organization: UUID, start: datetime, end: datetime) -> Day:
    """Return the usage of whole hours."""
    await cur.execute(_HOURS, (organization, start, end))
    row = await cur.fetchone()
    assert row is not None
    return Day(*(int(value) for value in row))


async def figures(cur: AsyncCursor, head: Head, *, today: Day) -> Figures:
    """Return how the organization's money stands. `today` is what was used since midnight."""
    posted, held, free = await _credit(cur, head.id)
    agents, runs = await _open(cur, head.id)
    rates = await _rates(cur, head)
    everything = Open(sum(each.count for each in agents.values()), sum(each.held for each in agents.values()))
    found = Figures(
        head.now, await _seen_until(cur, head), posted, held, free, everything, today, rates.organization
    )
    await _name_agents(cur, head.id, found, agents, rates.agents)
    await _read_runs(cur, head.id, found, runs, rates.runs)
    return found


class _Rates(NamedTuple):
    organization: BurnRate
    agents: dict[UUID, BurnRate]
    runs: dict[UUID, BurnRate]


async def _credit(cur: AsyncCursor, organization: UUID) -> tuple[int, int, int]:
    """Posted, held and available."""
    await cur.execute(BALANCE, (organization,))
    rows = await cur.fetchall()
    if not rows:
        return 0, 0, 0
    _, posted, held, debt, now = rows[0][:5]
    grants = [grant_row(row[5:]).grant for row in rows if row[5] is not None]
    return posted, held, available(grants, debt, now)


async def _open(cur: AsyncCursor, organization: UUID) -> tuple[dict[UUID, Open], dict[UUID, Open]]:
    """Open reservations by agent, and by root run."""
    await cur.execute(_OPEN, (organization,))
    agents: dict[UUID, Open] = {}
    runs: dict[UUID, Open] = {}
    for agent, run, count, held in await cur.fetchall():
        agents[agent] = agents.get(agent, Open()).plus(count, int(held))
        if run is not None:
            runs[run] = runs.get(run, Open()).plus(count, int(held))
    return agents, runs


async def _rates(cur: AsyncCursor, head: Head) -> _Rates:
    values: dict[str, Any] = {
        "organization": head.id,
        "now": head.now,
        "only": None,
        **starts(head.now),
    }
    await cur.execute(SPENT.format(target="NULL") + IN_THE_HOUR, values)
    row: Sequence[Any] = await cur.fetchone() or ()
    total = rate_of(row[1:], head.now)
    if total == STILL:
        return _Rates(total, {}, {})
    found = []
    for scope in ("agent", "run"):
        await cur.execute(statement_of(scope, is_narrowed=False), values)
        found.append({UUID(each[0]): rate_of(each[1:], head.now) for each in await cur.fetchall()})
    return _Rates(total, *found)


async def _seen_until(cur: AsyncCursor, head: Head) -> datetime:
    if head.read >= head.seq:
        return head.now
    await cur.execute(UNSEEN, (head.id, head.read, READ_TYPES))
    row = await cur.fetchone()
    return head.now if row is None else min(head.now, row[0].astimezone(UTC))


async def _name_agents(
    cur: AsyncCursor,
    organization: UUID,
    found: Figures,
    open_: dict[UUID, Open],
    rates: dict[UUID, BurnRate],
) -> None:
    ids = list({*_most(open_), *rates})
    if ids:
        await cur.execute(_AGENTS, (organization, ids))
        for name, key in await cur.fetchall():
            found.agents[name] = (key, open_.get(name, Open()), rates.get(name, STILL))


async def _read_runs(
    cur: AsyncCursor,
    organization: UUID,
    found: Figures,
    open_: dict[UUID, Open],
    rates: dict[UUID, BurnRate],
) -> None:
    ids = list({*_most(open_), *rates})
    if ids:
        await cur.execute(_RUNS, {"organization": organization, "roots": ids})
        for row in await cur.fetchall():
            values: Any = (*row[:4], *(int(value) for value in row[4:]), rates.get(row[0], STILL))
            found.runs[row[0]] = RunFigures(*values)


def _most(open_: dict[UUID, Open]) -> list[UUID]:
    """Those that hold most: as many as have a burn rate at most."""
    return sorted(open_, key=lambda name: -open_[name].held)[:MAX_ROWS]
