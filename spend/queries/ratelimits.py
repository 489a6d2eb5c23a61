"""Rate limits: as the gate reads them, and as people read them with what their current windows hold."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.errors import NotFound
from common.fields import is_id
from events.store import Cursor
from orgs.queries.subjects import keys_of
from orgs.rules.permissions import NO_LIMITS, KeyLimits, PolicyLevel, policy_level
from spend.queries.budgets import ID_LENGTH, narrowed
from spend.rules.limitfacts import TARGETED_SCOPES
from spend.rules.limits import RateLimit
from spend.rules.meters import SHADOW, STRIKES, meter_of_limit, meter_start
from spend.rules.windows import EPOCH

_COLUMNS: Final = (
    "id, organization, scope, target_id, target_label, per, unit, direction, amount_limit, window_kind, burst, "
    "behaviour, escalate_denials, escalate_seconds, active_from, active_until, time_zone, mode, version, created_at, "
    "archived_at"
)
_READ: Final = f"SELECT {_COLUMNS} FROM rate_limits"
LIVE: Final = _READ + " WHERE organization = %s AND archived_at IS NULL AND mode <> 'off' ORDER BY id"
MAX_COUNTERS: Final = 20
"""How many targets of one limit are shown with it: those that use the most."""
_LONGEST: Final = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=2),
    "hour": timedelta(hours=3),
    "day": timedelta(days=2),
    "billing_cycle": timedelta(days=33),
}
"""No window of this kind is longer, also when the clocks change: how far back its counter may begin."""
# A meter (GCRA) and what is open now have one counter for ever; a fixed window has one of its own.
_COUNTERS: Final = f"""
SELECT w.b, c.target, c.window_start, c.window_end, c.held, c.spent
FROM unnest(%(limits)s::uuid[], %(since)s::timestamptz[], %(fixed)s::boolean[], %(observed)s::boolean[])
    AS w(b, s, fixed, observed)
JOIN LATERAL (
    SELECT x.target, x.window_start, x.window_end, x.held, x.spent FROM budget_counters x
    WHERE x.budget_id = w.b AND x.window_start BETWEEN w.s AND CASE WHEN w.fixed THEN %(now)s ELSE w.s END
        AND (x.window_end > %(now)s) IS NOT DISTINCT FROM CASE WHEN w.fixed THEN true END
        AND left(x.target, 1) <> %(strikes)s AND (left(x.target, 1) = %(shadow)s) = w.observed
        AND (%(only)s::text[] IS NULL OR left(ltrim(x.target, %(shadow)s), {ID_LENGTH}) = ANY(%(only)s))
    ORDER BY x.held + x.spent DESC, x.target LIMIT {MAX_COUNTERS}
) c ON true
"""
_TEAMS_OF_AGENTS: Final = "SELECT team_id FROM agents WHERE organization = %s AND id = %s"


class LimitFilter(NamedTuple):
    """Which rate limits a list shows; None: all."""

    scope: str | None = None
    unit: str | None = None
    archived: bool | None = None
    limits: KeyLimits = NO_LIMITS


class LimitCounter(NamedTuple):
    """What one target holds and has used in a limit's current window; of a meter `spent` is its arrival time."""

    target: str
    window_start: datetime
    window_end: datetime | None
    held: int
    spent: int


def load_limits(cur: Cursor, organization: UUID) -> list[RateLimit]:
    """Return every rate limit of the organization that the gate judges or observes, oldest first; ids are texts."""
    cur.execute(LIVE, (organization,))
    return [_of_texts(row) for row in cur.fetchall()]


def load_named(cur: Cursor, organization: UUID, limits: Iterable[str]) -> list[RateLimit]:
    """Return these rate limits of the organization, also those that are archived or off; ids are texts."""
    cur.execute(_READ + " WHERE organization = %s AND id = ANY(%s::uuid[])", (organization, list(limits)))
    return [_of_texts(row) for row in cur.fetchall()]


def find_rate_limit(
    cur: Cursor, *, organization: UUID, limit: UUID, limits: KeyLimits = NO_LIMITS
) -> RateLimit:
    """Return a rate limit of the organization, also an archived one. Raises NotFound, also for one that a limited key
    is not for."""
    statement, values = narrowed(_READ + " WHERE organization = %(organization)s AND id = %(limit)s", limits)
    row = cur.execute(statement, {"organization": organization, "limit": limit, **values}).fetchone()
    if row is None:
        raise NotFound("There is no such rate limit.")
    return RateLimit(*row)


def organization_of_rate_limit(cur: Cursor, limit: UUID) -> UUID:
    """Return whose rate limit this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM rate_limits WHERE id = %s", (limit,)).fetchone()
    if row is None:
        raise NotFound("There is no such rate limit.")
    owner: UUID = row[0]
    return owner


def list_rate_limits(
    cur: Cursor, *, organization: UUID, wanted: LimitFilter, before: UUID | None, limit: int
) -> list[RateLimit]:
    """Return up to `limit` rate limits, newest first, made before `before`."""
    statement = _READ + " WHERE organization = %(organization)s"
    if before is not None:
        statement += " AND id < %(before)s"
    if wanted.scope is not None:
        statement += " AND scope = %(scope)s"
    if wanted.unit is not None:
        statement += " AND unit = %(unit)s"
    if wanted.archived is not None:
        statement += " AND archived_at IS NOT NULL" if wanted.archived else " AND archived_at IS NULL"
    statement, values = narrowed(statement, wanted.limits)
    values |= {"organization": organization, "before": before, "limit": limit}
    values |= {"scope": wanted.scope, "unit": wanted.unit}
    cur.execute(statement + " ORDER BY id DESC LIMIT %(limit)s", values)
    return [RateLimit(*row) for row in cur.fetchall()]


def default_rate_limits(cur: Cursor, *, organization: UUID, scopes: Sequence[str]) -> list[RateLimit]:
    """Return the limits that give every one of these scopes its own and are not archived, oldest first (S44)."""
    cur.execute(
        _READ
        + " WHERE organization = %s AND scope = ANY(%s) AND target_id IS NULL AND target_label IS NULL"
        + " AND archived_at IS NULL ORDER BY id",
        (organization, list(scopes)),
    )
    return [RateLimit(*row) for row in cur.fetchall()]


def level_of(cur: Cursor, limit: RateLimit) -> PolicyLevel:
    """Return whose policy a rate limit is: the organization's, or a team's (its own, or one of its agents')."""
    team, target = None, _uuid(limit.target_id)
    if limit.scope == "agent" and target is not None:
        row = cur.execute(_TEAMS_OF_AGENTS, (limit.organization, target)).fetchone()
        team = row[0] if row is not None else None
    return policy_level(scope=limit.scope, target_id=target, target_team_id=team)


def current_counters(
    cur: Cursor, limits: Sequence[RateLimit], now: datetime, *, only: Sequence[UUID] | None = None
) -> dict[str, list[LimitCounter]]:
    """Return, by limit, what its targets hold and have used in the window of `now`; at most MAX_COUNTERS each, those
    that use the most. An observed limit has shadow counters. `only`: of no other targets; None: of all."""
    found: dict[str, list[LimitCounter]] = {str(limit.id): [] for limit in limits}
    if not limits:
        return found
    cur.execute(
        _COUNTERS,
        {
            "limits": [limit.id for limit in limits],
            "since": [_earliest_start(limit, now) for limit in limits],
            "fixed": [has_fixed_window(limit) for limit in limits],
            "observed": [limit.mode == "observe" for limit in limits],
            "now": now,
            "shadow": SHADOW,
            "strikes": STRIKES,
            "only": None if only is None else [str(name) for name in only],
        },
    )
    for name, target, *rest in cur.fetchall():
        found[str(name)].append(LimitCounter(target.removeprefix(SHADOW), *rest))
    return found


def has_fixed_window(limit: RateLimit) -> bool:
    """Whether a limit counts in windows that begin anew: neither a GCRA nor what is open now."""
    return limit.window_kind is not None and limit.burst is None


def target_names(
    cur: Cursor, organization: UUID, limits: Sequence[RateLimit], targets: Sequence[str]
) -> dict[str, str]:
    """Return the keys of the teams, agents, workflows and connections that these limits and counters name by id."""
    wanted = {str(limit.target_id) for limit in limits if limit.target_id is not None} | set(targets)
    ids = [UUID(name[:ID_LENGTH]) for name in wanted if is_id(name[:ID_LENGTH])]
    kinds = {kind for limit in limits for kind in (limit.scope, limit.per or "")} & TARGETED_SCOPES
    found: dict[str, str] = {}
    for kind in sorted(kinds):
        keys = keys_of(cur, kind, organization=organization, ids=ids)
        found |= {str(name): key for name, key in keys.items()}
    return found


def _earliest_start(limit: RateLimit, now: datetime) -> datetime:
    if limit.unit == "concurrent":
        return EPOCH
    if not has_fixed_window(limit):
        return meter_start(meter_of_limit(limit))
    return now - _LONGEST[limit.window_kind or "billing_cycle"]


def _uuid(identifier: object) -> UUID | None:
    return None if identifier is None else UUID(str(identifier))


def _of_texts(row: tuple[Any, ...]) -> RateLimit:
    target = None if row[3] is None else str(row[3])
    values: Any = (str(row[0]), str(row[1]), row[2], target, *row[4:])
    return RateLimit(*values)
