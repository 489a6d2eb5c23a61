"""What rules in observe mode would have refused (S45), as the gate wrote it into its decisions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from spend.queries.periods import recorded_since

KINDS: Final = ("budget", "rate_limit", "run_policy", "threshold", "switch", "attempts", "loop")
MAX_RULES: Final = 1_000
MAX_AGENTS: Final = 5
"""How many agents are shown with a rule: those whose calls it would have blocked most often."""

IS_OBSERVED: Final = "(x.detail->'observed') IS NOT NULL"  # as the index decisions_observed has it
# One row per decision, rule, kind and code. A rule without an id is a default of the house: its kind names it.
_HITS: Final = """
WITH hits AS MATERIALIZED (
    SELECT DISTINCT x.id, x.at, x.agent_id, x.requested, x.count, r.charged,
        COALESCE(o.value->>'rule', o.value->>'kind') AS name, (o.value->>'rule') IS NOT NULL AS has_id,
        o.value->>'kind' AS kind, o.value->>'code' AS code
    FROM decisions x CROSS JOIN LATERAL json_array_elements(x.detail->'observed') AS o
    LEFT JOIN reservations r ON r.organization = x.organization AND r.id = x.reservation_id
    WHERE {where}
), each AS (SELECT DISTINCT ON (id, name) * FROM hits), every AS (SELECT DISTINCT ON (id) * FROM hits),
agents AS (
    SELECT name, agent_id, {sums}, row_number() OVER (
        PARTITION BY name ORDER BY sum(count) DESC, sum(requested * count::numeric) DESC, agent_id
    ) AS place
    FROM each WHERE agent_id IS NOT NULL GROUP BY name, agent_id
)
SELECT 'total', NULL, false, NULL, NULL, {sums} FROM every
UNION ALL SELECT 'rule', name, bool_or(has_id), min(kind), NULL, {sums} FROM each GROUP BY name
UNION ALL SELECT 'code', name, false, kind, code, {sums} FROM hits GROUP BY name, kind, code
UNION ALL SELECT 'agent', name, false, NULL, agent_id::text, calls, requested, charged, first_at, last_at
    FROM agents WHERE place <= {most}
"""
_SUMS: Final = """
sum(count) AS calls, sum(requested * count::numeric) AS requested, sum(charged) AS charged, min(at) AS first_at,
max(at) AS last_at
"""
_RULES: Final = """
SELECT id, 'budget', scope, target_id, target_label, mode, archived_at FROM budgets
WHERE organization = %(o)s AND id = ANY(%(ids)s)
UNION ALL SELECT id, 'rate_limit', scope, target_id, target_label, mode, archived_at FROM rate_limits
WHERE organization = %(o)s AND id = ANY(%(ids)s)
UNION ALL SELECT id, 'run_policy', scope, target_id, target_label, mode, archived_at FROM run_policies
WHERE organization = %(o)s AND id = ANY(%(ids)s)
UNION ALL SELECT id, 'switch', scope, target_id, target_label, mode, lifted_at FROM switches
WHERE organization = %(o)s AND id = ANY(%(ids)s)
"""
_NAMES: Final = """
SELECT id, key FROM agents WHERE organization = %(o)s AND id = ANY(%(ids)s)
UNION ALL SELECT id, key FROM teams WHERE organization = %(o)s AND id = ANY(%(ids)s)
UNION ALL SELECT id, key FROM workflows WHERE organization = %(o)s AND id = ANY(%(ids)s)
UNION ALL SELECT id, key FROM connections WHERE organization = %(o)s AND id = ANY(%(ids)s)
"""


class Figures(NamedTuple):
    """Calls that passed and would have been blocked, what they asked for and what those of them that are committed were
    charged in units of 10^-8, and when the first and the last of them came."""

    calls: int
    requested: int
    charged: int
    first_at: datetime | None
    last_at: datetime | None


class Rule(NamedTuple):
    """A budget, rate limit, run policy, or the pause that one of them set in observe mode, as far as the report shows
    it."""

    id: UUID
    kind: str
    scope: str
    target_id: UUID | None
    target_label: str | None
    mode: str
    archived_at: datetime | None


@dataclass(slots=True)
class ObservedRule:
    """What one rule would have blocked. `id` None: a default of the house, which has no `rule` either."""

    id: UUID | None
    kind: str
    rule: Rule | None
    target: str | None
    figures: Figures
    codes: list[tuple[str, str, Figures]] = field(default_factory=list)
    agents: list[tuple[str, Figures]] = field(default_factory=list)


class Observed(NamedTuple):
    """The rules, those that would have blocked most first, and the union of their calls."""

    rules: list[ObservedRule]
    total: Figures


class ObservedFilter(NamedTuple):
    """Which of it is shown; None: all. `start` and `end` are a period of the business clock; `only_agents`: of no
    others, and nothing without an agent."""

    start: datetime | None = None
    end: datetime | None = None
    rule: UUID | None = None
    kind: str | None = None
    only_agents: Sequence[UUID] | None = None


def observed(cur: Cursor, *, organization: UUID, wanted: ObservedFilter) -> Observed:
    """Return what observed rules would have blocked in [start, end), by rule, and in total over the union: a call that
    two rules would have blocked counts once in the total. One statement, so one snapshot.

    Only calls that passed count: for what an enforced rule refused, enforcing this one would change nothing. Dry runs
    are left out. Raises NotFound for a rule that the organization does not have.
    """
    if wanted.rule is not None:
        _rules(cur, organization, [wanted.rule], must_exist=True)
    where, values = _where(cur, organization, wanted)
    cur.execute(_HITS.format(where=where, sums=_SUMS, most=MAX_AGENTS), values)
    return _report(cur, organization, cur.fetchall())


def _where(cur: Cursor, organization: UUID, wanted: ObservedFilter) -> tuple[str, dict[str, Any]]:
    parts = ["x.organization = %(organization)s", IS_OBSERVED, "x.answer <> 'deny'", "NOT x.dry"]
    values: dict[str, Any] = {
        "organization": organization,
        "rule": None if wanted.rule is None else str(wanted.rule),
        "kind": wanted.kind,
        "start": wanted.start,
        "end": wanted.end,
        "only": wanted.only_agents,
    }
    for name, condition in (
        ("rule", "o.value->>'rule' = %(rule)s"),
        ("kind", "o.value->>'kind' = %(kind)s"),
        ("end", "x.at < %(end)s"),
        ("only", "x.agent_id = ANY(%(only)s)"),
    ):
        if values[name] is not None:
            parts.append(condition)
    if wanted.start is not None:
        recorded = recorded_since(cur, organization, wanted.start)
        parts += ["x.at >= %(start)s", "x.id >= %(first_id)s", "x.recorded_at >= %(recorded)s"]
        values |= {"first_id": recorded.first_id, "recorded": recorded.at}
    return " AND ".join(parts), values


def _report(cur: Cursor, organization: UUID, rows: list[tuple[Any, ...]]) -> Observed:
    total, found = _figures((None,) * 5), dict[str, ObservedRule]()
    ids = [UUID(name) for level, name, has_id, *_ in rows if level == "rule" and has_id]
    known = _rules(cur, organization, ids)
    agents = {UUID(label) for level, _, _, _, label, *_ in rows if level == "agent"}
    targets = {rule.target_id for rule in known.values() if rule.target_id is not None}
    names = _names(cur, organization, agents | targets)
    for level, name, has_id, kind, _label, *figures in rows:
        if level == "total":
            total = _figures(figures)
        elif level == "rule":
            rule = known.get(UUID(name)) if has_id else None
            found[name] = ObservedRule(
                UUID(name) if has_id else None, rule.kind if rule else kind, rule, _target(rule, names),
                _figures(figures),
            )  # fmt: skip
    for level, name, _, kind, label, *figures in rows:
        if level == "code":
            found[name].codes.append((kind, label, _figures(figures)))
        elif level == "agent":
            found[name].agents.append((names.get(UUID(label), label), _figures(figures)))
    for rule_found in found.values():
        rule_found.codes.sort(key=lambda row: (-row[2].calls, row[0], row[1]))
        rule_found.agents.sort(key=lambda row: (-row[1].calls, -row[1].requested, row[0]))
    ordered = sorted(found.items(), key=lambda item: (-item[1].figures.calls, item[0]))
    return Observed([rule for _, rule in ordered[:MAX_RULES]], total)


def _target(rule: Rule | None, names: dict[UUID, str]) -> str | None:
    if rule is None or rule.target_id is None:
        return None if rule is None else rule.target_label
    return names.get(rule.target_id, str(rule.target_id))


def _figures(row: Sequence[Any]) -> Figures:
    calls, requested, charged, first_at, last_at = row
    return Figures(int(calls or 0), int(requested or 0), int(charged or 0), first_at, last_at)


def _rules(
    cur: Cursor, organization: UUID, ids: Sequence[UUID], *, must_exist: bool = False
) -> dict[UUID, Rule]:
    cur.execute(_RULES, {"o": organization, "ids": list(ids)})
    found = {row[0]: Rule(*row) for row in cur.fetchall()}
    if must_exist and not found:
        raise NotFound("There is no such rule.")
    return found


def _names(cur: Cursor, organization: UUID, ids: set[UUID]) -> dict[UUID, str]:
    cur.execute(_NAMES, {"o": organization, "ids": list(ids)})
    return dict(cur.fetchall())
