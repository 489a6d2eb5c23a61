"""After the kills: what was acknowledged is there once, what is unknown once or not at all; its replay says which."""

import time
from collections import Counter
from uuid import UUID

from tests.builders.crowd import Client, Reply
from tests.crash.load import LOST, Call, Told
from tests.crash.stack import LEVELS, Stack, Tenant, all_ids, eventually
from tests.invariants import violations_of

EVENTS = """
SELECT organization, idempotency_key, count(*) FROM v_events
WHERE idempotency_key IS NOT NULL AND organization = ANY(%s) AND type LIKE %s GROUP BY 1, 2
"""
RESERVATIONS = "SELECT id, status, charged FROM v_reservations WHERE organization = ANY(%s)"
LATE = """
SELECT count(*) FROM v_reservations WHERE organization = ANY(%s) AND status = 'active'
    AND expires_at < clock_timestamp() - interval '1 second'
"""
MISFIRED = """
SELECT c.number, c.target, c.spent, c.held, c.fired, e.fired FROM budget_counters c JOIN budgets b ON b.id = c.budget_id
LEFT JOIN (SELECT organization, (data->>'counter')::int AS number, array_agg((data->>'rank')::int ORDER BY seq) AS fired
    FROM v_events WHERE organization = ANY(%(o)s) AND type = 'threshold.crossed' GROUP BY 1, 2) e
    ON e.organization = c.organization AND e.number = c.number
WHERE c.organization = ANY(%(o)s) AND b.mode = 'enforce' AND c.target !~ '^[\x04]' AND (
    COALESCE(e.fired, '{}') <> ARRAY(SELECT generate_series(1, c.fired))
    OR c.fired < (SELECT count(*) FROM unnest(%(levels)s::bigint[]) AS level WHERE level <= c.spent + c.held))
"""
UNSEEN = """
SELECT (SELECT COALESCE(sum(charge), 0) FROM usage_records WHERE organization = ANY(%(o)s)),
    (SELECT COALESCE(sum(charge), 0) FROM usage_daily_fine WHERE organization = ANY(%(o)s) AND dimension = 'run')
"""


def effects(stack: Stack, tenants: list[Tenant]) -> Counter[tuple[UUID, str]]:
    """How many events stand under each key."""
    with stack.reading() as connection:
        rows = connection.execute(EVENTS, (all_ids(tenants), "reservation.%")).fetchall()
    return Counter({(organization, key): count for organization, key, count in rows})


def assert_kept(stack: Stack, tenants: list[Tenant], told: Told) -> dict[str, int]:
    """Fail unless every acknowledged effect is there once, every unknown one once or not at all as its replay says."""
    before = effects(stack, tenants)
    lost = [call.key for call in told.accepted() if before[call.tenant.id, call.key] != 1]
    assert lost == []
    _assert_statuses(stack, tenants, told)
    unknown = told.unknown()
    twice = [call.key for call in unknown if before[call.tenant.id, call.key] > 1]
    assert twice == []
    replayed = 0
    for call in unknown:
        reply = _repeat(stack, call)
        was_there = before[call.tenant.id, call.key] == 1
        assert reply.status in (200, 201), (call, reply.body)
        assert ("Idempotent-Replayed" in reply.headers) == was_there, call
        replayed += was_there
    after = effects(stack, tenants)
    assert set(after.values()) == {1}
    assert set(after) == {(call.tenant.id, call.key) for call in (*told.accepted(), *unknown)}
    return {
        "acknowledged": len(told.accepted()),
        "unknown": len(unknown),
        "unknown_that_were_there": replayed,
    }


def _assert_statuses(stack: Stack, tenants: list[Tenant], told: Told) -> None:
    with stack.reading() as connection:
        rows = connection.execute(RESERVATIONS, (all_ids(tenants),)).fetchall()
    kept = {str(name): (status, charged) for name, status, charged in rows}
    for call in told.accepted():
        assert call.reply is not None
        body = call.reply.json()
        status, charged = kept[body["id"]]
        if body["status"] == "committed":
            assert (status, charged) == ("committed", _units(body["charged"])), call
        elif body["status"] == "released":
            assert status == "released", call


def assert_sound_everywhere(stack: Stack, tenants: list[Tenant]) -> None:
    """Fail unless the invariants hold of all customers, by the readers' views and by the copy's own proofs."""
    with stack.reading() as connection:
        assert violations_of(all_ids(tenants), connection=connection, within_limits=True) == {}
        named = {"o": all_ids(tenants), "levels": [level * 10**8 for level in LEVELS]}
        assert connection.execute(MISFIRED, named).fetchall() == [], (
            "each level fires once, and none is missing"
        )
    stack.prove()


def seconds_until_done(stack: Stack, tenants: list[Tenant], *, within: float) -> float:
    """How long it takes until background work has nothing left: expired holds freed, every record rolled up."""
    began = time.monotonic()

    def is_done() -> bool:
        with stack.reading() as connection:
            row = connection.execute(LATE, (all_ids(tenants),)).fetchone()
            sums = connection.execute(UNSEEN, {"o": all_ids(tenants)}).fetchone()
        return row == (0,) and sums is not None and sums[0] == sums[1]

    assert eventually(is_done, seconds=within), f"background work was lost: {_state_of_work(stack, tenants)}"
    return time.monotonic() - began


def _state_of_work(stack: Stack, tenants: list[Tenant]) -> dict[str, list[tuple[object, ...]]]:
    """What the background says of itself."""
    asked = {
        "expired": (LATE, (all_ids(tenants),)),
        "sums": (UNSEEN, {"o": all_ids(tenants)}),
        "subscribers": ("SELECT name, state, failures, last_error FROM event_subscribers", None),
        "jobs": (
            "SELECT name, clock_timestamp() - claimed_at, finished_at, failures, last_error FROM due_jobs",
            None,
        ),
        "hearts": (
            "SELECT name, clock_timestamp() - beaten_at FROM worker_heartbeats ORDER BY 2 LIMIT 5",
            None,
        ),
    }
    with stack.reading() as connection:
        return {name: connection.execute(sql, values).fetchall() for name, (sql, values) in asked.items()}


def _repeat(stack: Stack, call: Call) -> Reply:
    """The same call until somebody answers it."""
    for _ in range(20):
        client = Client(stack.http, call.tenant.secret)
        try:
            reply = client.post(call.path, call.body, key=call.key)
        except LOST:
            time.sleep(0.2)
            continue
        finally:
            client.close()
        if reply.status < 500:
            return reply
        time.sleep(0.2)
    raise AssertionError(f"nobody answers {call.key}")


def _units(text: str) -> int:
    whole, _, rest = text.partition(".")
    return int(whole) * 10**8 + int(rest.ljust(8, "0"))
