"""What is asked together is answered as it would be alone, one after the other: batches over HTTP, and commands of all
kinds and of two organizations in one transaction, as a lane gathers them.

Each story is told twice, to organizations that are alike but for ids and times: item by item, and at once. All answers
are equal but for ids and times, and so are afterwards all events in their order, balances, counters, reservations,
runs, usage, keys and decisions.
"""

import asyncio
import json
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import pytest
from django.conf import settings as django_settings
from hypothesis import HealthCheck, Phase, example, given, settings

from common.errors import ProblemError, problem
from orgs.operations.locks import lock_organization
from spend.operations.gate.apply import Gate
from spend.operations.gate.lanes import read_aside
from spend.operations.gate.wire import Wire
from spend.rules.commands import (
    Action,
    Actual,
    Caller,
    Commit,
    Estimate,
    Extend,
    RecordUsage,
    Release,
    RequestKey,
    Reserve,
    Subject,
)
from spend.rules.effects import Answer
from tests.builders.gate import make_customer
from tests.builders.orgs import write
from tests.invariants import assert_sound
from tests.property.gate.twins import Twin, make_twin, recorded, told

STORIES = max(10, int(os.environ.get("MODEL_OPERATIONS", "1000")) // 100)
OFTEN = settings(
    max_examples=STORIES,
    deadline=None,
    database=None,
    print_blob=True,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
KEYS = st.sampled_from(["k1", "k2", "k3", "k4", "used"])
AGENTS = st.sampled_from(["bot"] * 4 + ["crawler", "member", "old", "nobody"])
RUNS = st.none() | st.sampled_from(["r0", "r1", "r2", "r3"])
AMOUNTS = st.sampled_from(
    ["1", "0.5", "2", "2.00000001", "4", "0.00000001", "92233720368.54775807", "60000000000"]
)
RESERVATIONS = st.sampled_from(
    ["active", "other", "expired", "lapsed", "committed", "released", "foreign", "unknown"]
)
UNKNOWN = "01900000-0000-7000-8000-000000000000"


def some(values: dict[str, Any]) -> dict[str, Any]:
    """Without what is None."""
    return {name: value for name, value in values.items() if value is not None}


SUBJECTS = st.builds(
    lambda agent, workflow, team, connection, run, parent, user, step, attempt: some(
        {
            "agent": agent, "workflow": workflow, "team": team, "connection": connection, "run": run,
            "parent_run": parent, "user": user, "step": step, "attempt": attempt,
        }
    ),
    AGENTS, st.sampled_from([None, None, "weekly", "gone", "nothing"]), st.sampled_from([None, None, "research", "no"]),
    st.sampled_from([None, None, "own"]), RUNS, RUNS, st.sampled_from([None, "u1", "u2"]),
    st.sampled_from([None, 1]), st.sampled_from([None, 1, 1, 2, 4]),
)  # fmt: skip
MALFORMED = st.sampled_from(
    [
        {"estimate": {"amount": "1e5"}}, {"estimate": {"amount": 5}}, {"estimate": {"amount": "-1"}}, {"colour": "red"},
        {"estimate": {"amount": "100000000000"}}, {"ttl_seconds": 0}, {"subject": {}}, {"subject": "bot"},
        {"mode": "odd"}, {"currency": "EUR"}, {"estimate": {"tool_calls": {"": -1}}},
    ]
)  # fmt: skip
ACTIONS = st.sampled_from(["f1", "f2"]).map(lambda name: {"action": {"kind": "custom", "fingerprint": name}})
RESERVE_ITEMS = st.builds(
    lambda subject, amount, key, action, wrong, mode: {
        "subject": subject, "estimate": {"amount": amount}, "currency": "USD", "ttl_seconds": 7_200,
        "idempotency_key": key, **action, **mode, **wrong,
    },
    SUBJECTS, AMOUNTS, KEYS, st.just({}) | ACTIONS, st.just({}) | st.just({}) | MALFORMED,
    st.sampled_from([{}] * 4 + [{"mode": "dry_run"}]),
)  # fmt: skip
COMMIT_ITEMS = st.builds(
    lambda name, amount, key, wrong: {
        "id": name, "outcome": "completed", "amount": amount, "idempotency_key": key, **wrong,
    },
    RESERVATIONS | st.integers(0, 3), AMOUNTS, KEYS | st.sampled_from(["c1", "c2", "c3", "c4"]),
    st.sampled_from([{}] * 5 + [{"amount": "-1"}, {"outcome": "odd"}, {"usage": {"input_tokens": -1}}]),
)  # fmt: skip


def of_runs(*runs: tuple[str, str | None, str]) -> list[dict[str, Any]]:
    """Reservations in runs: run, parent, amount."""
    return [
        {
            "subject": some({"agent": "crawler", "run": run, "parent_run": parent}), "estimate": {"amount": amount},
            "idempotency_key": f"run-{place}",
        }
        for place, (run, parent, amount) in enumerate(runs)
    ]  # fmt: skip


REFUSED = "60000000000"
A_RUN_THAT_ONE_SAYS_HAS_A_PARENT = of_runs(("r1", "r2", REFUSED), ("r1", None, "1"), ("r2", None, "1"))
A_RUN_THAT_ONE_SAYS_HAS_NONE = of_runs(("r1", None, REFUSED), ("r1", "r2", "1"), ("r3", "r2", "1"))
A_PARENT_THAT_ONE_SAYS_HAS_A_PARENT = of_runs(("r1", "r2", REFUSED), ("r3", "r1", "1"), ("r2", None, "1"))
A_PARENT_THAT_BECOMES_A_CHILD = of_runs(("r1", "r2", REFUSED), ("r2", "r3", "1"), ("r1", "r2", "1"))


@pytest.fixture(scope="module")
def foreign(django_db_setup: None) -> str:
    """Another organization's reservation."""
    name: str = make_customer("5").reserved("1")["id"]
    return name


def alone(twin: Twin, items: Sequence[dict[str, Any]], path: str) -> list[tuple[int, dict[str, Any]]]:
    """The answers to the items as calls of their own."""
    answers = []
    for item in items:
        body = {name: value for name, value in item.items() if name not in ("idempotency_key", "id")}
        where = path.format(**item) if "id" in item else path
        key = None if item.get("mode") == "dry_run" else item["idempotency_key"]
        reply = twin.customer.api.post(where, body, key=key)
        answers.append((reply.status_code, reply.json()))
    return answers


def together(twin: Twin, items: Sequence[dict[str, Any]], path: str) -> list[tuple[int, dict[str, Any]]]:
    """The answers to the items of a batch."""
    if not items:
        return []
    reply = twin.customer.api.post(path, {"items": items})
    assert reply.status_code == 200, reply.content
    return [(result["status"], result["body"]) for result in reply.json()["results"]]


def named(
    twin: Twin, items: Sequence[dict[str, Any]], granted: Sequence[tuple[int, dict[str, Any]]]
) -> list[Any]:
    """Items to commit, by the ids that their reservations have here; a number is one that was just granted."""
    new = [body["id"] for status, body in granted if status == 201]
    return [
        {**item, "id": twin.id(item["id"]) if isinstance(item["id"], str) else new[item["id"] % len(new)]}
        for item in ({**item, "id": UNKNOWN} if item["id"] == "unknown" else item for item in items)
        if isinstance(item["id"], str) or new
    ]


def repeated(many: int, amount: str = "0.5", **subject: str) -> list[dict[str, Any]]:
    """The same call so often, each under a key of its own."""
    return [
        {
            "subject": {"agent": "crawler", **subject}, "estimate": {"amount": amount},
            "action": {"kind": "custom", "fingerprint": "f1"}, "idempotency_key": f"same-{place}",
        }
        for place in range(many)
    ]  # fmt: skip


@OFTEN
@example(reserved=A_RUN_THAT_ONE_SAYS_HAS_A_PARENT, committed=[], ruled=False)
@example(reserved=A_RUN_THAT_ONE_SAYS_HAS_NONE, committed=[], ruled=False)
@example(reserved=A_PARENT_THAT_ONE_SAYS_HAS_A_PARENT, committed=[], ruled=False)
@example(reserved=A_PARENT_THAT_BECOMES_A_CHILD, committed=[], ruled=False)
@example(reserved=repeated(7, run="r1"), committed=[], ruled=True)
@example(reserved=repeated(7), committed=[], ruled=True)
@example(reserved=repeated(6, "1", user="u1"), committed=[], ruled=True)
@given(
    reserved=st.lists(RESERVE_ITEMS, min_size=1, max_size=8),
    committed=st.lists(COMMIT_ITEMS, max_size=8),
    ruled=st.booleans(),
)
def test_a_batch_answers_each_item_as_it_would_be_alone(
    foreign: str, reserved: list[dict[str, Any]], committed: list[dict[str, Any]], ruled: bool
) -> None:
    one, other = make_twin(foreign, ruled=ruled), make_twin(foreign, ruled=ruled)
    first = alone(one, reserved, "/v1/reservations")
    second = together(other, reserved, "/v1/reservations/batch")
    assert told(second) == told(first)
    last = alone(one, named(one, committed, first), "/v1/reservations/{id}/commit")
    at_last = together(other, named(other, committed, second), "/v1/reservations/commit_batch")
    assert told(at_last) == told(last)
    assert recorded(other.customer.id) == recorded(one.customer.id)
    assert_sound(one.customer.id, other.customer.id)


COMMANDS = st.one_of(
    st.tuples(st.just("reserve"), SUBJECTS, AMOUNTS | st.none(), KEYS),
    st.tuples(st.just("reserve"), SUBJECTS, AMOUNTS, KEYS),
    st.tuples(st.just("commit"), RESERVATIONS, AMOUNTS, KEYS),
    st.tuples(st.just("release"), RESERVATIONS, st.none() | AMOUNTS, KEYS),
    st.tuples(st.just("extend"), RESERVATIONS, st.sampled_from([60, 40_000, 90_000]), st.none() | KEYS),
    st.tuples(st.just("use"), SUBJECTS, AMOUNTS, st.sampled_from(["x1", "x2"])),
)
CALLERS = st.sampled_from(["everything"] * 4 + ["crawler only"])


def command(twin: Twin, kind: str, what: Any, amount: Any, key: str | None, who: str) -> Any:
    """A command of a story for this organization."""
    caller = Caller(
        "system:test", agent_ids=None if who == "everything" else frozenset([UUID(twin.names["crawler"])])
    )
    units = (
        None
        if amount is None or type(amount) is int
        else int(float(amount) * 10**8)
        if "." not in amount
        else _exact(amount)
    )
    story = repr((kind, what, amount)).encode()
    request = None if key is None else RequestKey(key, (story * 8)[:32].ljust(32))
    organization = twin.customer.id
    if kind == "reserve":
        estimate = None if units is None else Estimate(amount=units)
        return Reserve(
            organization, caller, request, Subject(**what), Action("custom"), estimate, "USD", 7_200
        )
    if kind == "use":
        now = write(lambda cur: lock_organization(cur, organization).now)
        return RecordUsage(
            organization, caller, None, "export", key or "", story[:16].ljust(16), Subject(**what), Action("custom"),
            "completed", Actual(amount=units or 0), now - timedelta(minutes=100),
        )  # fmt: skip
    reservation = UUID(UNKNOWN if what == "unknown" else twin.names[what])
    if kind == "commit":
        return Commit(organization, caller, request, reservation, "completed", Actual(amount=units or 0))
    if kind == "release":
        return Release(organization, caller, request, reservation, "test", units)
    return Extend(organization, caller, request, reservation, amount)


def _exact(text: str) -> int:
    whole, _, rest = text.partition(".")
    return int(whole) * 10**8 + int(rest.ljust(8, "0"))


def decided(commands: Sequence[Any], *, at_once: bool) -> list[tuple[int, dict[str, Any]]]:
    """The answers of a gate of its own to all in one transaction, or to one after the other."""

    async def story() -> list[Answer]:
        gate = Gate(read_aside)
        wire = await Wire.connect(django_settings.GATE_DATABASE_URL, lock_timeout_ms=2_000)
        try:
            if at_once:
                return await gate.apply(wire, commands)
            return [await _alone(gate, wire, each) for each in commands]
        finally:
            wire.close()

    return [_shown(answer) for answer in asyncio.run(story())]


async def _alone(gate: Gate, wire: Wire, command: Any) -> Answer:
    try:
        return (await gate.apply(wire, [command]))[0]
    except ProblemError as error:  # a sum that no row can hold
        return Answer.refused(error)


def _shown(answer: Answer) -> tuple[int, dict[str, Any]]:
    if answer.error is not None:
        status, body, _ = problem(answer.error, "")
        return status, json.loads(body)
    body = answer.packed if answer.packed is not None else json.dumps(answer.body, default=str).encode()
    return answer.status, {**json.loads(body), "replayed": answer.replayed}


@OFTEN
@given(
    story=st.lists(st.tuples(st.integers(0, 1), COMMANDS, CALLERS), min_size=2, max_size=10),
    ruled=st.booleans(),
)
def test_a_transaction_answers_each_command_as_it_would_be_alone(
    foreign: str, story: list[tuple[int, Any, str]], ruled: bool
) -> None:
    pairs = []
    for at_once in (False, True):
        pair = (make_twin(foreign, ruled=ruled), make_twin(foreign, ruled=ruled))
        commands = [command(pair[place], *asked, who) for place, asked, who in story]
        answers = decided(commands, at_once=at_once)
        pairs.append((told(answers), [recorded(twin.customer.id) for twin in pair]))
        assert_sound(*(twin.customer.id for twin in pair))
    assert pairs[1] == pairs[0]
