"""Budgets: as the gate reads them, and as people read them with what their current windows hold."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from common.errors import NotFound
from common.fields import is_id
from events.store import Cursor
from orgs.queries.subjects import keys_of
from orgs.rules.permissions import NO_LIMITS, KeyIsLimited, KeyLimits, PolicyLevel, policy_level
from spend.rules.budgetfacts import TARGETED_SCOPES, Budget, definition_of
from spend.rules.budgets import BudgetDefinition
from spend.rules.meters import SHADOW
from spend.rules.state import Counter
from spend.rules.thresholds import from_stored
from spend.rules.windows import first_bucket_at, rolling_reset, window_at

DEFINITIONS: Final = """
SELECT id, scope, target_id, target_label, window_kind, rolling_seconds, unit, measure, amount_limit, overdraft, mode,
    time_zone, thresholds::text, version, arming
FROM budgets WHERE organization = %s AND archived_at IS NULL ORDER BY id
"""
ID_LENGTH: Final = 36
LAST_MARK: Final = 31
"""A counter that is not of a budget's own window (see `meters`) has a target that begins with a control character."""
MAX_COUNTERS: Final = 20
"""How many targets of one budget are shown with it: those that use the most."""

# As text: whether jsonb arrives decoded depends on the connection, Django's or the gate's.
_decode = msgspec.json.Decoder(list[dict[str, Any]]).decode
_READ: Final = """
SELECT id, organization, scope, target_id, target_label, window_kind, rolling_seconds, unit, measure, amount_limit,
    overdraft, mode, time_zone, thresholds::text, version, created_at, archived_at, arming
FROM budgets
"""
_COUNTERS: Final = f"""
SELECT w.b, c.target, c.first, c.last, c.oldest, c.held, c.spent
FROM unnest(%s::uuid[], %s::timestamptz[], %s::boolean[]) AS w(b, s, rolling)
JOIN LATERAL (
    SELECT x.target, min(x.window_start) AS first, max(x.window_end) AS last,
        min(x.window_end) FILTER (WHERE x.held > 0 OR x.spent > 0) AS oldest,
        sum(x.held)::bigint AS held, sum(x.spent)::bigint AS spent
    FROM budget_counters x
    WHERE x.budget_id = w.b AND x.window_start >= w.s AND (w.rolling OR x.window_start = w.s)
        AND (x.target = '' OR ascii(x.target) > {LAST_MARK})
        AND (%s::text[] IS NULL OR left(x.target, {ID_LENGTH}) = ANY(%s))
    GROUP BY x.target ORDER BY sum(x.held) + sum(x.spent) DESC, x.target LIMIT {MAX_COUNTERS}
) c ON true
"""
_STANDING: Final = """
SELECT number, budget_id::text, target, window_start, window_end, held, spent, armed, fired, approved
FROM budget_counters WHERE budget_id = %(budget)s AND window_start >= %(start)s
    AND (%(rolling)s OR (window_start = %(start)s AND held + spent >= %(least)s))
    AND CASE WHEN %(shadow)s THEN left(target, 1) = %(mark)s ELSE target = '' OR ascii(target) > %(last)s END
    AND NOT (%(shadow)s AND ascii(substr(target, 2)) BETWEEN 1 AND %(last)s)
"""
_TEAMS_OF_AGENTS: Final = "SELECT team_id FROM agents WHERE organization = %s AND id = %s"
_NOW: Final = "SELECT clock_timestamp() + clock_offset FROM organizations WHERE id = %s"


class LiveCounter(NamedTuple):
    """What one target holds and has spent in a budget's current window, in the budget's unit."""

    target: str
    window_start: datetime
    window_end: datetime | None
    resets_at: datetime | None
    held: int
    spent: int


class BudgetFilter(NamedTuple):
    """Which budgets a list shows; None: all."""

    scope: str | None = None
    archived: bool | None = None
    limits: KeyLimits = NO_LIMITS


def load_definitions(cur: Cursor, organization: UUID) -> list[BudgetDefinition]:
    """Return every budget of the organization that is not archived, oldest first."""
    cur.execute(DEFINITIONS, (organization,))
    return [definition(row) for row in cur.fetchall()]


def definition(row: tuple[Any, ...]) -> BudgetDefinition:
    """Return the definition that a row of DEFINITIONS is."""
    target = None if row[2] is None else str(row[2])
    zone, thresholds = ZoneInfo(row[11]), from_stored(_decode(row[12]))
    values: Any = (str(row[0]), row[1], target, *row[3:11], zone, thresholds, *row[13:])
    return BudgetDefinition(*values)


def business_now(cur: Cursor, organization: UUID) -> datetime:
    """Return the organization's business clock without a lock: for showing, never for deciding. Raises NotFound."""
    row = cur.execute(_NOW, (organization,)).fetchone()
    if row is None:
        raise NotFound("There is no such organization.")
    now: datetime = row[0]
    return now


def find_budget(cur: Cursor, *, organization: UUID, budget: UUID, limits: KeyLimits = NO_LIMITS) -> Budget:
    """Return a budget of the organization, also an archived one. Raises NotFound, also for one that a limited key is
    not for."""
    statement, values = narrowed(_READ + " WHERE organization = %(organization)s AND id = %(budget)s", limits)
    row = cur.execute(statement, {"organization": organization, "budget": budget, **values}).fetchone()
    if row is None:
        raise NotFound("There is no such budget.")
    return _budget(row)


def organization_of_budget(cur: Cursor, budget: UUID) -> UUID:
    """Return whose budget this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM budgets WHERE id = %s", (budget,)).fetchone()
    if row is None:
        raise NotFound("There is no such budget.")
    owner: UUID = row[0]
    return owner


def list_budgets(
    cur: Cursor, *, organization: UUID, wanted: BudgetFilter, before: UUID | None, limit: int
) -> list[Budget]:
    """Return up to `limit` budgets, newest first, made before `before`."""
    statement = _READ + " WHERE organization = %(organization)s"
    if before is not None:
        statement += " AND id < %(before)s"
    if wanted.scope is not None:
        statement += " AND scope = %(scope)s"
    if wanted.archived is not None:
        statement += " AND archived_at IS NOT NULL" if wanted.archived else " AND archived_at IS NULL"
    statement, values = narrowed(statement, wanted.limits)
    values |= {"organization": organization, "before": before, "scope": wanted.scope, "limit": limit}
    cur.execute(statement + " ORDER BY id DESC LIMIT %(limit)s", values)
    return [_budget(row) for row in cur.fetchall()]


def narrowed(statement: str, limits: KeyLimits) -> tuple[str, dict[str, Any]]:
    """The budgets whose counters tell of nothing but what a limited key is for: of its agents, or of its connections.

    What an agent spends over all connections is more than a key for one connection is for, and the other way round.
    """
    kinds = [kind for kind in ("agent", "connection") if limits.ids(kind) is not None]
    if not kinds:
        return statement, {}
    if len(kinds) > 1:
        raise KeyIsLimited
    mine = " AND scope = %(only_scope)s AND (target_id IS NULL OR target_id = ANY(%(only_targets)s))"
    return statement + mine, {"only_scope": kinds[0], "only_targets": limits.ids(kinds[0])}


def default_budgets(cur: Cursor, *, organization: UUID, scopes: Sequence[str]) -> list[Budget]:
    """Return the budgets that give every one of these scopes its own and are not archived, oldest first (S44)."""
    cur.execute(
        _READ
        + " WHERE organization = %s AND scope = ANY(%s) AND target_id IS NULL AND target_label IS NULL"
        + " AND archived_at IS NULL ORDER BY id",
        (organization, list(scopes)),
    )
    return [_budget(row) for row in cur.fetchall()]


def level_of(cur: Cursor, budget: Budget) -> PolicyLevel:
    """Return whose policy a budget is: the organization's, or a team's (its own, or one of its agents')."""
    team = None
    if budget.scope == "agent" and budget.target_id is not None:
        row = cur.execute(_TEAMS_OF_AGENTS, (budget.organization, budget.target_id)).fetchone()
        team = row[0] if row is not None else None
    return policy_level(scope=budget.scope, target_id=budget.target_id, target_team_id=team)


def current_counters(
    cur: Cursor, budgets: Sequence[Budget], now: datetime, *, only: Sequence[UUID] | None = None
) -> dict[UUID, list[LiveCounter]]:
    """Return, by budget, what its targets hold and have spent in the window of `now`; at most MAX_COUNTERS each,
    those that use the most. A rolling budget's buckets are added up. `only`: of no other targets; None: of all."""
    places = [(budget.id, _first_start(budget, now), budget.window_kind == "rolling") for budget in budgets]
    if not places:
        return {}
    targets = None if only is None else [str(name) for name in only]
    cur.execute(_COUNTERS, [*(list(column) for column in zip(*places, strict=True)), targets, targets])
    found: dict[UUID, list[LiveCounter]] = {budget.id: [] for budget in budgets}
    by_id = {budget.id: budget for budget in budgets}
    for name, target, first, last, oldest, held, spent in cur.fetchall():
        resets = _resets_at(by_id[name], last, oldest)
        found[name].append(LiveCounter(target, first, last, resets, held, spent))
    return found


def standing_counters(cur: Cursor, budget: Budget, now: datetime) -> list[Counter]:
    """Return the counters of the window of `now`, of an observed budget those of its shadow; of a rolling one all
    living buckets, of others only those that have reached its lowest level."""
    definition = definition_of(budget)
    values = {
        "budget": budget.id,
        "start": _first_start(budget, now),
        "rolling": budget.window_kind == "rolling",
        "least": definition.levels[0][0] if definition.levels else 0,
        "shadow": budget.mode == "observe",
        "mark": SHADOW,
        "last": LAST_MARK,
    }
    return [Counter(*row) for row in cur.execute(_STANDING, values).fetchall()]


def target_names(
    cur: Cursor, organization: UUID, budgets: Sequence[Budget], targets: Sequence[str]
) -> dict[str, str]:
    """Return the keys of the teams, agents, workflows and connections that these budgets and counters name by id."""
    wanted = {str(budget.target_id) for budget in budgets if budget.target_id is not None} | set(targets)
    return names_of(cur, organization, scopes={budget.scope for budget in budgets}, targets=wanted)


def names_of(
    cur: Cursor, organization: UUID, *, scopes: Collection[str], targets: Iterable[str]
) -> dict[str, str]:
    """Return the keys of the teams, agents, workflows and connections of these scopes whose ids counters begin with."""
    ids = [UUID(name[:ID_LENGTH]) for name in targets if is_id(name[:ID_LENGTH])]
    found: dict[str, str] = {}
    for kind in sorted(TARGETED_SCOPES.intersection(scopes)):
        keys = keys_of(cur, kind, organization=organization, ids=ids)
        found |= {str(name): key for name, key in keys.items()}
    return found


def _first_start(budget: Budget, now: datetime) -> datetime:
    if budget.window_kind == "rolling":
        return first_bucket_at(now, budget.rolling_seconds or 1)
    return window_at(budget.window_kind, now, definition_of(budget).zone).start


def _resets_at(budget: Budget, last: datetime | None, oldest: datetime | None) -> datetime | None:
    if budget.window_kind != "rolling":
        return last
    return None if oldest is None else rolling_reset(oldest, budget.rolling_seconds or 1)


def _budget(row: tuple[Any, ...]) -> Budget:
    values = list(row)
    values[13] = from_stored(_decode(values[13]))
    return Budget(*values)
