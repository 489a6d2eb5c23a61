"""What operators watch of the gate (S115): decisions, cost, tokens, holds, budgets near their limits, and who
is stopped."""

from typing import Any, Final, NamedTuple

from events.store import Cursor

WATCHED_MINUTES: Final = 5
WATCHED_BUDGETS: Final = 100

_DECISIONS: Final = """
SELECT answer, coalesce(code, ''), sum(count) FROM decisions
WHERE NOT dry AND recorded_at >= clock_timestamp() - make_interval(mins => %s) GROUP BY 1, 2 ORDER BY 1, 2
"""
_USAGE: Final = """
SELECT o.currency, sum(h.calls), sum(h.input_tokens), sum(h.output_tokens), sum(h.cost), sum(h.charge)
FROM usage_hourly h JOIN organizations o ON o.id = h.organization
WHERE h.hour >= date_trunc('day', clock_timestamp(), 'UTC') GROUP BY 1 ORDER BY 1
"""
_HELD: Final = """
SELECT o.currency, count(*), coalesce(sum(r.held), 0) FROM reservations r JOIN organizations o ON o.id = r.organization
WHERE r.status = 'active' GROUP BY 1 ORDER BY 1
"""
_BUDGETS: Final = """
SELECT c.organization::text, b.id::text, b.scope, c.target, b.unit,
    greatest(0, b.amount_limit::numeric + b.overdraft - c.held - c.spent), b.amount_limit
FROM budget_counters c JOIN budgets b ON b.id = c.budget_id
WHERE b.archived_at IS NULL AND b.mode = 'enforce' AND b.scope <> 'user' AND b.window_kind <> 'rolling'
    AND (c.target = '' OR ascii(c.target) > 31)
    AND c.window_start <= clock_timestamp() AND (c.window_end IS NULL OR c.window_end > clock_timestamp())
ORDER BY (c.held::numeric + c.spent) / greatest(b.amount_limit, 1) DESC, c.id LIMIT %s
"""
_SWITCHES: Final = """
SELECT scope, kind, mode, count(*) FROM switches WHERE lifted_at IS NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_INCIDENTS: Final = """
SELECT trigger, mode, count(*) FROM incidents WHERE released_at IS NULL GROUP BY 1, 2 ORDER BY 1, 2
"""


class Sample(NamedTuple):
    """One figure of one moment. Money in units of 10^-8 of the labelled currency."""

    name: str
    labels: dict[str, str]
    value: int


def samples(cur: Cursor) -> list[Sample]:
    """Return the gate's figures: decisions of the last five minutes by answer and code, today's usage (UTC) and what is
    held by currency, what remains of the WATCHED_BUDGETS windows that are used most, and who is stopped and why."""
    return [
        *decisions(cur), *usage(cur), *held(cur), *remaining_budgets(cur), *live_switches(cur), *open_incidents(cur),
    ]  # fmt: skip


def decisions(cur: Cursor) -> list[Sample]:
    """Return how many decisions of the last five minutes had which answer and code."""
    rows = cur.execute(_DECISIONS, (WATCHED_MINUTES,)).fetchall()
    return [Sample("gate_decisions", {"answer": row[0], "code": row[1]}, int(row[2])) for row in rows]


def usage(cur: Cursor) -> list[Sample]:
    """Return today's calls, tokens, cost and charge by currency."""
    names = ("calls", "input_tokens", "output_tokens", "cost_units", "charge_units")
    rows: list[tuple[Any, ...]] = cur.execute(_USAGE).fetchall()
    return [
        Sample(f"usage_{name}", {"currency": row[0]}, int(value))
        for row in rows
        for name, value in zip(names, row[1:], strict=True)
    ]


def held(cur: Cursor) -> list[Sample]:
    """Return how many reservations are active and what they hold, by currency."""
    found = []
    for currency, count, units in cur.execute(_HELD).fetchall():
        found.append(Sample("reservations_active", {"currency": currency}, int(count)))
        found.append(Sample("reservations_held_units", {"currency": currency}, int(units)))
    return found


def remaining_budgets(cur: Cursor) -> list[Sample]:
    """Return what remains in the current windows of the budgets that are used most, in each budget's unit; none of
    customers' users, who are persons, and many."""
    names = ("organization", "budget", "scope", "target", "unit")
    rows = cur.execute(_BUDGETS, (WATCHED_BUDGETS,)).fetchall()
    return [Sample("budget_remaining", dict(zip(names, row, strict=False)), int(row[5])) for row in rows]


def live_switches(cur: Cursor) -> list[Sample]:
    """Return how many switches stand, by scope, kind and mode."""
    rows = cur.execute(_SWITCHES).fetchall()
    names = ("scope", "kind", "mode")
    return [Sample("live_switches", dict(zip(names, row, strict=False)), int(row[3])) for row in rows]


def open_incidents(cur: Cursor) -> list[Sample]:
    """Return how many incidents nobody has released, by trigger and mode."""
    rows = cur.execute(_INCIDENTS).fetchall()
    return [Sample("open_incidents", {"trigger": row[0], "mode": row[1]}, int(row[2])) for row in rows]
