"""Burn rates: money per minute of the organization, its agents and its runs, as far as the reader of the minutes is."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from orgs.rules.permissions import KeyIsLimited, KeyLimits
from spend.projections.minutes import READER
from spend.queries.naming import subject_id
from spend.queries.runs import RunRow, find_run, tree_of
from spend.rules.pace import STILL, WINDOWS, BurnRate, Slices, burn_rate, minute_of

SCOPES: Final = ("organization", "agent", "run")
MAX_ROWS: Final = 100
_MINUTES: Final = {"one": WINDOWS[0], "five": WINDOWS[1], "sixty": WINDOWS[2]}
SLICES: Final = ", ".join(
    f"COALESCE(sum(u.charge) FILTER (WHERE u.minute > %({name})s), 0),"
    f" COALESCE(sum(u.charge) FILTER (WHERE u.minute = %({name})s), 0)"
    for name in _MINUTES
)
"""What each window of WINDOWS holds whole, and of its first minute; `starts` gives the values."""
SPENT: Final = f"SELECT {{target}}::text, {SLICES} FROM usage_by_minute u"
IN_THE_HOUR: Final = (
    " WHERE u.organization = %(organization)s AND u.minute >= %(sixty)s AND u.minute <= %(now)s"
)

# The clock is read first and the figures last, so that the figures hold at least what `seen_until` says.
_SEEN: Final = """
SELECT clock_timestamp() + o.clock_offset, COALESCE((SELECT seq FROM event_cursors WHERE name = %s), 0), o.currency
FROM organizations o WHERE o.id = %s
"""
UNSEEN: Final = """
SELECT occurred_at FROM events WHERE organization = %s AND seq > %s AND type = ANY(%s) ORDER BY seq LIMIT 1
"""
READ_TYPES: Final = ["reservation.committed", "usage.recorded"]
_NAMES: Final = {
    "agent": "SELECT id::text, key, NULL FROM agents WHERE organization = %s AND id = ANY(%s::uuid[])",
    "run": "SELECT r.id::text, r.key, a.key FROM runs r LEFT JOIN agents a ON a.id = r.agent_id "
    "WHERE r.organization = %s AND r.id = ANY(%s::uuid[])",
}


class Seen(NamedTuple):
    """The business clock, and until when every usage record is in the minutes."""

    now: datetime
    until: datetime
    currency: str


class Burning(NamedTuple):
    """One target with its burn rate; `agent`: of a run. The organization has no key."""

    id: UUID
    key: str | None
    agent: str | None
    rate: BurnRate


class BurnRates(NamedTuple):
    """The burn rates of one scope, the fastest of the last five minutes first."""

    seen: Seen
    rows: list[Burning]


def how_far(cur: Cursor, organization: UUID) -> Seen:
    """Return the organization's clock, and until when the reader of the minutes has seen its usage. Raises NotFound."""
    row = cur.execute(_SEEN, (READER, organization)).fetchone()
    if row is None:
        raise NotFound("There is no such organization.")
    now, position, currency = row
    unseen = cur.execute(UNSEEN, (organization, position, READ_TYPES)).fetchone()
    return Seen(now, now if unseen is None else min(now, unseen[0]), currency)


def starts(now: datetime) -> dict[str, datetime]:
    """Return the minute in which each window that ends now began, by its name in SLICES."""
    return {name: minute_of(now) - timedelta(minutes=minutes) for name, minutes in _MINUTES.items()}


def rate_of(row: Sequence[Any], now: datetime) -> BurnRate:
    """Return the burn rate of SLICES."""
    figures = [int(value) for value in row]
    return burn_rate([Slices(*figures[place : place + 2]) for place in range(0, len(figures), 2)], now)


def burn_rates(
    cur: Cursor, *, organization: UUID, scope: str, target: str | None, limits: KeyLimits
) -> BurnRates:
    """Return the burn rate of the organization, or of one agent or root run by key or id; without a target of every
    agent or root run that was charged in the last hour, at most MAX_ROWS.

    A limited key may ask for its agents only. Raises NotFound, also for an agent that the key is not for, and
    KeyIsLimited.
    """
    if limits.ids("connection") is not None or (limits.ids("agent") is not None and scope != "agent"):
        raise KeyIsLimited
    seen = how_far(cur, organization)
    if scope == "organization":
        return BurnRates(seen, _of_organization(cur, organization, target, seen.now))
    if scope == "run" and target is not None:
        run = find_run(cur, organization=organization, name=target)
        return BurnRates(seen, [Burning(run.id, run.key, run.agent, rate_of_run(cur, run, seen.now))])
    agent = subject_id(cur, "agent", organization, target, limits) if scope == "agent" else None
    only = limits.ids("agent") if agent is None else [agent]
    return BurnRates(seen, _of(cur, organization, scope, seen.now, only))


def rate_of_run(cur: Cursor, run: RunRow, now: datetime) -> BurnRate:
    """Return what a run and all below it burn together."""
    column, ids = "root_run_id", [run.id]
    if run.id != run.root_id:
        column, ids = "run_id", [each.id for each in tree_of(cur, run)]
    statement = f"{SPENT.format(target='NULL')}{IN_THE_HOUR} AND u.{column} = ANY(%(only)s::uuid[])"
    return _one(cur, statement, _values(run.organization, now, ids))


def statement_of(scope: str, *, is_narrowed: bool) -> str:
    """Return the SQL of the burn rates by agent, or by root run with all below it, the fastest first; its values are
    `starts`, organization, now and only."""
    column = "u.agent_id" if scope == "agent" else "u.root_run_id"
    only = f"{column} = ANY(%(only)s::uuid[])" if is_narrowed else f"{column} IS NOT NULL"
    return (
        f"{SPENT.format(target=column)}{IN_THE_HOUR} AND {only} GROUP BY {column} "
        f"ORDER BY 4 DESC, 6 DESC, 1 LIMIT {MAX_ROWS}"
    )


def _of_organization(cur: Cursor, organization: UUID, target: str | None, now: datetime) -> list[Burning]:
    if target not in (None, str(organization)):
        raise NotFound("There is no such organization.")
    statement = SPENT.format(target="NULL") + IN_THE_HOUR
    return [Burning(organization, None, None, _one(cur, statement, _values(organization, now, None)))]


def _one(cur: Cursor, statement: str, values: dict[str, Any]) -> BurnRate:
    row = cur.execute(statement, values).fetchone()
    assert row is not None
    return rate_of(row[1:], values["now"])


def _of(cur: Cursor, organization: UUID, scope: str, now: datetime, only: list[UUID] | None) -> list[Burning]:
    """The rows of agents or runs; those that are asked for also when they stand still."""
    cur.execute(statement_of(scope, is_narrowed=only is not None), _values(organization, now, only))
    rates = {UUID(row[0]): rate_of(row[1:], now) for row in cur.fetchall()}
    ids = list(rates) if only is None else only
    names = {
        name: (key, agent) for name, key, agent in cur.execute(_NAMES[scope], (organization, ids)).fetchall()
    }
    rows = [Burning(name, *names.get(str(name), (None, None)), rates.get(name, STILL)) for name in ids]
    return sorted(rows, key=lambda row: (-row.rate.five, -row.rate.sixty, str(row.id)))[:MAX_ROWS]


def _values(organization: UUID, now: datetime, only: list[UUID] | None) -> dict[str, Any]:
    return {"organization": organization, "now": now, "only": only, **starts(now)}
