"""Limits that measured spend suggests (S68), with the figures that they are taken of."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from events.store import Cursor
from orgs.queries.subjects import find_subject
from spend.queries.charges import PASSED_THE_GATE
from spend.queries.runtotals import run_totals
from spend.rules.suggesting import WINDOWS_LOOKED_AT, Suggestion, ended_windows, suggest
from spend.rules.windows import Window

COLUMNS: Final = {
    "team": "team_id",
    "agent": "agent_id",
    "workflow": "workflow_id",
    "connection": "connection_id",
}
RUNS_SINCE: Final = timedelta(days=90)
_TABLES: Final = {name: f"{name}s" for name in COLUMNS}
# An hour of the rollup belongs to the window in which it begins.
_SPENT: Final = """
SELECT {target}, width_bucket(hour, %(starts)s::timestamptz[]), sum(charge) FROM usage_hourly
WHERE organization = %(o)s AND hour >= %(first)s AND hour < %(end)s AND {condition} GROUP BY 1, 2
"""
_BUDGETS: Final = """
SELECT id, target_id, target_label, window_kind, amount_limit, mode, measure FROM budgets
WHERE organization = %s AND archived_at IS NULL AND scope = %s AND unit = %s AND target_label IS NULL
ORDER BY id
"""


class Target(NamedTuple):
    """Whom a limit is for; without id and key: the organization, or every run."""

    id: UUID | None
    key: str | None
    archived: bool = False


class Wanted(NamedTuple):
    """What is asked for: `percent` and `headroom` (hundredths) of the spend of ended windows."""

    scope: str
    window: str
    percent: int
    headroom: int
    zone: str
    currency: str
    now: datetime


class Spent(NamedTuple):
    """What was spent in one window, or in one run (`label`), in units of 10^-8."""

    start: datetime
    end: datetime | None
    amount: int
    label: str | None = None


class Present(NamedTuple):
    """A budget that limits the target now."""

    id: UUID
    target_id: UUID | None
    target_label: str | None
    window: str
    limit: int
    mode: str
    measure: str


class Suggested(NamedTuple):
    """A target with what was measured of it, the limit that follows, and the budgets that it has."""

    target: Target
    windows: list[Spent]
    suggestion: Suggestion
    budgets: list[Present]


def named_target(cur: Cursor, *, organization: UUID, scope: str, name: str) -> Target:
    """Return the team, agent, workflow or connection of this key or id. Raises NotFound."""
    found = find_subject(cur, scope, organization=organization, name=name)
    return Target(found.id, found.key, found.archived_at is not None)


def list_targets(
    cur: Cursor,
    *,
    organization: UUID,
    scope: str,
    only: Sequence[UUID] | None,
    after: UUID | None,
    limit: int,
) -> list[Target]:
    """Return up to `limit` teams, agents, workflows or connections that are not archived, in the order in which they
    were made; the organization, or every run, as one. `only`: no others; None: all."""
    if scope not in COLUMNS:
        return [] if after is not None else [Target(None, None)]
    cur.execute(
        f"SELECT id, key FROM {_TABLES[scope]} WHERE organization = %(o)s AND archived_at IS NULL "
        "AND (%(after)s::uuid IS NULL OR id > %(after)s) AND (%(only)s::uuid[] IS NULL OR id = ANY(%(only)s)) "
        "ORDER BY id LIMIT %(limit)s",
        {"o": organization, "after": after, "only": None if only is None else list(only), "limit": limit},
    )
    return [Target(*row) for row in cur.fetchall()]


def suggested_limits(
    cur: Cursor, *, organization: UUID, targets: Sequence[Target], wanted: Wanted
) -> list[Suggested]:
    """Return, for each target, the percentile of what it was charged in ended windows, times the headroom, rounded up
    (S68; source of the percentile: spend/rules/suggesting.py). At least four windows, else the reason.

    Windows are calendar windows of the organization's zone: of the last 90 days, 52 weeks or 24 months those from the
    first with a charge on, also the ones without any. Of runs: the last 200 root runs of 90 days that hold nothing.
    """
    if wanted.scope == "run":
        spent: dict[UUID | None, list[Spent]] = {None: _of_runs(cur, organization, wanted.now)}
    else:
        spent = _of_windows(cur, organization, targets, wanted)
    present = _present(cur, organization, wanted)
    found = []
    for target in targets:
        windows = spent.get(target.id, [])
        amounts = [window.amount for window in windows]
        suggestion = suggest(amounts, percent=wanted.percent, headroom=wanted.headroom)
        budgets = [budget for budget in present if budget.target_id in (None, target.id)]
        found.append(Suggested(target, windows, suggestion, budgets))
    return found


def _of_runs(cur: Cursor, organization: UUID, now: datetime) -> list[Spent]:
    totals = run_totals(cur, organization=organization, since=now - RUNS_SINCE)
    return [Spent(run.started_at, None, run.charged, run.key) for run in totals]


def _of_windows(
    cur: Cursor, organization: UUID, targets: Sequence[Target], wanted: Wanted
) -> dict[UUID | None, list[Spent]]:
    windows = ended_windows(
        wanted.window, wanted.now, ZoneInfo(wanted.zone), most=WINDOWS_LOOKED_AT[wanted.window]
    )
    column = COLUMNS.get(wanted.scope)
    values: dict[str, Any] = {
        "o": organization,
        "starts": [window.start for window in windows],
        "first": windows[0].start,
        "end": windows[-1].end,
        "targets": [target.id for target in targets],
    }
    cur.execute(
        _SPENT.format(
            target=column or "NULL::uuid",
            condition=f"{column} = ANY(%(targets)s)" if column else PASSED_THE_GATE,
        ),
        values,
    )
    by_target: dict[UUID | None, dict[int, int]] = {}
    for target, place, charge in cur.fetchall():
        by_target.setdefault(target, {})[place - 1] = int(charge)
    return {target: _from_first_charge(windows, charges) for target, charges in by_target.items()}


def _from_first_charge(windows: Sequence[Window], charges: dict[int, int]) -> list[Spent]:
    charged = [place for place, amount in charges.items() if amount]
    first = min(charged, default=len(windows))
    return [
        Spent(window.start, window.end, charges.get(place, 0))
        for place, window in enumerate(windows)
        if place >= first
    ]


def _present(cur: Cursor, organization: UUID, wanted: Wanted) -> list[Present]:
    """The budgets in money of the scope, those of the wanted window first."""
    cur.execute(_BUDGETS, (organization, wanted.scope, wanted.currency))
    found = [Present(*row) for row in cur.fetchall()]
    return sorted(found, key=lambda budget: budget.window != wanted.window)
