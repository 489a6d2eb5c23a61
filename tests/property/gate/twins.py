"""Two organizations that are alike in everything but ids and times, and what is to be compared of them."""

import json
import os
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg

from orgs.operations.archive import archive_subject
from orgs.operations.locks import lock_organization
from spend.operations.budgets.archive import archive_budget
from spend.rules.budgets import Caps, Threshold
from tests.builders.controls import make_limit, make_policy
from tests.builders.gate import Customer, make_customer
from tests.builders.orgs import AUTHOR, make_agent, make_connection, make_team, make_workflow, write

UUID_TEXT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
PASSING = frozenset(("request_id", "remaining_ttl_ms"))
DECISIONS = """
SELECT answer, code, binding_scope, a.key, requested, dry, sum(count)::int, array_agg(DISTINCT detail->>'run')
FROM decisions d LEFT JOIN agents a ON a.id = d.agent_id WHERE d.organization = %s
GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
"""
STATE = {
    "events": """SELECT type, version, actor IS NOT NULL, idempotency_key, stream_id::text, data::text FROM events
        WHERE organization = %s AND stream_type IN ('reservation', 'run', 'usage', 'budget_counter', 'threshold',
            'approval', 'incident', 'switch', 'strike', 'run_mark') ORDER BY seq""",
    "balances": "SELECT account_kind, posted, held FROM v_balances WHERE organization = %s ORDER BY 1",
    "grants": "SELECT remaining, held FROM credit_grants WHERE organization = %s ORDER BY id",
    "budgets": """SELECT b.scope, b.window_kind, COALESCE(a.key, c.target), c.number, c.held, c.spent, c.armed,
            c.fired, c.approved FROM budget_counters c LEFT JOIN budgets b ON b.id = c.budget_id
            LEFT JOIN agents a ON a.id::text = c.target
        WHERE c.organization = %s ORDER BY c.number""",
    "reservations": "SELECT status, held, charged FROM reservations WHERE organization = %s ORDER BY id",
    "runs": """SELECT r.key, o.key, p.key FROM runs r LEFT JOIN runs o ON o.id = r.root_id
        LEFT JOIN runs p ON p.id = r.parent_id WHERE r.organization = %s ORDER BY r.key""",
    "usage": "SELECT charge, outcome, adjustment FROM usage_records WHERE organization = %s ORDER BY id",
    "rolled up": "SELECT sum(calls), sum(charge) FROM usage_hourly WHERE organization = %s",
    "tried": "SELECT run_key, step, attempt, stopped FROM run_steps WHERE organization = %s ORDER BY 1, 2",
    "traced": "SELECT run_key, cardinality(recent), level FROM run_traces WHERE organization = %s ORDER BY 1",
    "keys": "SELECT status, count(*) FROM api_idempotency_keys WHERE organization = %s GROUP BY 1 ORDER BY 1",
    "decisions": DECISIONS,
}


POLICY: dict[str, Any] = {
    "max_steps": 7,
    "attempts": {"max": 3, "first_ms": 3_600_000, "longest_ms": 7_200_000},
    "loop": {
        "window": 5,
        "levels": [
            {"repeats": 2, "action": "warn"}, {"repeats": 3, "action": "pause"}, {"repeats": 4, "action": "stop"},
        ],
    },
}  # fmt: skip
LONG = 60
"""Seconds to wait that depend on how long a story took."""


@dataclass
class Twin:
    """An organization with something in every state; `names` are ids by the name that they have in a story."""

    customer: Customer
    names: dict[str, str] = field(default_factory=dict)

    def id(self, name: str) -> str:
        """The id of a name; what has none stands for itself."""
        return self.names.get(name, name)


def make_twin(foreign: str, *, ruled: bool = False) -> Twin:
    """Credit for a handful of calls, budgets that bind, one whose window has passed, one that is archived; agents and
    a workflow that are archived; reservations that are active, run out, committed, released, and another's.

    `ruled`: with rate limits, thresholds of every action and observed rules; without a GCRA, whose figures tell how
    long a story took. All have a policy of runs.
    """
    customer = make_customer("30", agents=("bot", "crawler", "old"))
    twin = Twin(customer, {"foreign": foreign, "crawler": agent_id(customer.id, "crawler")})
    now = write(lambda cur: lock_organization(cur, customer.id).now)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=10, second=0, microsecond=0)
    customer.pass_time(seconds=(midnight - now).total_seconds())  # no window ends while a story is told
    make_team(customer.id, "research")
    make_agent(customer.id, "member", "Member", team="research")
    for name in ("weekly", "gone"):
        make_workflow(customer.id, name)
    make_connection(customer.id, "own", billing="own_key")
    customer.budget("4", scope="organization", window="hour")
    customer.budget("20", scope="organization", window="day")
    customer.budget("9", scope="agent", window="month", target="bot")
    customer.budget("3", scope="run", window="run")
    customer.budget("5", scope="user", window="rolling", rolling_seconds=86_400)
    archived = customer.budget("0", scope="organization", window="lifetime")
    write(lambda cur: archive_budget(cur, customer.id, archived.id, author=AUTHOR))
    for name in ("committed", "released", "expired", "lapsed"):
        twin.names[name] = customer.reserved("1", key=name, ttl_seconds=3_600 if name != "lapsed" else 5_400)[
            "id"
        ]
    customer.commit(twin.names["committed"], "0.5", key="used")
    customer.release(twin.names["released"], key="let go")
    customer.pass_time(minutes=61)  # the hour's budget begins anew
    customer.sweep()
    for name in ("active", "other"):
        twin.names[name] = customer.reserved("0.75", key=name, subject={"run": "r0"}, ttl_seconds=7_200)["id"]
    customer.pass_time(minutes=30)  # "lapsed" is freed by whoever comes first
    for kind, name in (("agent", "old"), ("workflow", "gone")):
        write(
            lambda cur, k=kind, n=name: archive_subject(
                cur, k, organization=customer.id, name=n, author=AUTHOR
            )
        )
    make_policy(customer, **POLICY)
    if ruled:
        _add_rules(customer)
    return twin


def _add_rules(customer: Customer) -> None:
    make_limit(
        customer,
        scope="agent",
        unit="requests",
        window="day",
        limit=4,
        escalate={"denials": 2, "seconds": 86_400},
    )
    make_limit(customer, scope="organization", unit="concurrent", limit=6)
    make_limit(customer, scope="organization", unit="requests", window="day", limit=3, mode="observe")
    capped = Threshold("cap", 20, caps=Caps(steps=3, models=("small",)))
    harder = (
        Threshold("require_approval", 50),
        Threshold("pause", 80),
        Threshold("block", 90),
        Threshold("block", 100),
    )
    customer.budget("6", scope="user", window="day", thresholds=(capped, *harder))
    customer.budget("8", scope="agent", window="day", thresholds=harder[1:])
    customer.budget("3", scope="organization", window="month", mode="observe", thresholds=harder)


class Names:
    """Ids as numbers in the order in which they appear, times as T."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def of(self, value: Any) -> Any:
        """The value with every id and time replaced."""
        text = json.dumps(value, sort_keys=True, default=str)
        text = UUID_TEXT.sub(lambda found: self.known.setdefault(found[0], f"#{len(self.known)}"), text)
        return json.loads(TIME_TEXT.sub("T", text))


def told(answers: list[tuple[int, dict[str, Any]]]) -> list[Any]:
    """Answers without what differs from call to call."""
    names = Names()
    return [
        [
            status,
            names.of({name: _lasting(name, value) for name, value in body.items() if name not in PASSING}),
        ]
        for status, body in answers
    ]


def _lasting(name: str, value: Any) -> Any:
    return min(value, LONG) if name == "retry_after" else value


def recorded(organization: UUID) -> dict[str, Any]:
    """The organization's events, in order, and all that follows from them."""
    names = Names()
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as connection:
        found = {name: connection.execute(sql, (organization,)).fetchall() for name, sql in STATE.items()}
    state: dict[str, Any] = names.of(found)
    return state


def agent_id(organization: UUID, key: str) -> str:
    """The id of an agent."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as connection:
        row = connection.execute(
            "SELECT id::text FROM agents WHERE organization = %s AND key = %s", (organization, key)
        ).fetchone()
    assert row is not None
    name: str = row[0]
    return name
