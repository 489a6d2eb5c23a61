"""The real ledger and gate beside the plain model: every answer and every sum is the same after each operation, every
threshold fires where it fires there, every limit, policy and observed rule says what it says there.
"""

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from common.errors import InvalidTransition
from common.money import format_amount
from spend.operations.gate.submit import submit
from spend.operations.ratelimits.change import change_rate_limit
from spend.rules.budgets import Threshold
from spend.rules.commands import (
    Action,
    Actual,
    Caller,
    Command,
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
from tests.builders.controls import approvals_waiting, approve, lift, make_limit, make_policy, switches_set
from tests.builders.gate import Customer, make_customer
from tests.builders.orgs import AUTHOR, unique, write
from tests.invariants import reading, violations_of
from tests.property.gate.model import SOURCES, Model
from tests.property.gate.rulemodel import HOUR, Budget, Call, Limit, Policy, Rule

OPERATIONS = int(os.environ.get("MODEL_OPERATIONS", "600"))
STEPS = 100
ENOUGH = 20_000
"""Operations in which every refusal is sure to have been met."""
CODES = (
    "paused", "loop_detected", "approval_required", "attempts_exceeded", "rate_limited", "backoff_required",
    "run_ceiling_reached", "budget_exhausted", "too_large", "credit_exhausted", "budget_busy",
    "observed paused", "observed approval_required", "observed rate_limited", "observed budget_exhausted",
)  # fmt: skip
CHECK_EVERY = int(os.environ.get("MODEL_CHECK_EVERY", "1"))
CALLER = Caller(actor="system:test")
AMOUNTS = st.one_of(st.integers(1, 40), st.sampled_from([10**8, 5 * 10**8, 10**9, 3 * 10**8 + 1]))
CREDIT = st.sampled_from([1, 10**8, 10**9, 4 * 10**9])
LIFETIMES = st.sampled_from([1, 3, 5, 23, 47])
SUBJECTS = st.fixed_dictionaries(
    {"agent": st.sampled_from(["bot", "crawler"])},
    optional={"run": st.sampled_from(["r1", "r2"]), "user": st.sampled_from(["u1", "u2"])},
)
CALLS = st.builds(
    Call, AMOUNTS, SUBJECTS, LIFETIMES, st.none() | st.integers(1, 2), st.none() | st.integers(1, 4),
    st.none() | st.sampled_from(["f1", "f2"]),
)  # fmt: skip
CHARGES = st.one_of(st.just(0), AMOUNTS)
PLACES = st.integers(0, 1_000)
NOTICE = ((50, "notify"), (100, "block"))
BUDGETS: tuple[tuple[str, str, int, str, tuple[tuple[int, str], ...]], ...] = (
    (
        "organization",
        "day",
        40 * 10**8,
        "enforce",
        ((50, "notify"), (80, "require_approval"), (100, "block")),
    ),
    ("organization", "hour", 15 * 10**8, "enforce", ((60, "notify"), (90, "block"), (100, "block"))),
    ("agent", "day", 12 * 10**8, "enforce", ((75, "pause"), (100, "block"))),
    ("user", "lifetime", 20 * 10**8, "enforce", NOTICE),
    (
        "run",
        "run",
        8 * 10**8,
        "enforce",
        ((50, "require_approval"), (75, "require_approval"), (100, "block")),
    ),
    ("organization", "lifetime", 30 * 10**8, "observe", ((40, "pause"), (100, "block"))),
    ("agent", "hour", 5 * 10**8, "observe", ((50, "notify"), (90, "require_approval"), (100, "block"))),
)
LIMITS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({"scope": "agent", "unit": "requests", "window": "hour", "limit": 5, "escalate": {"denials": 2, "seconds": 1_800}},
     {"letter": "q", "strikes": 2}),
    ({"scope": "organization", "unit": "concurrent", "limit": 8}, {"letter": "n"}),
    ({"scope": "user", "unit": "requests", "window": "hour", "limit": 2, "burst": 3}, {"letter": "q", "burst": 3}),
    ({"scope": "organization", "unit": "requests", "window": "day", "limit": 6, "mode": "observe"},
     {"letter": "q", "mode": "observe"}),
)  # fmt: skip
POLICY: dict[str, Any] = {
    "max_steps": 9,
    "attempts": {"max": 3, "first_ms": 3_600_000, "longest_ms": 7_200_000},
    "loop": {
        "window": 6,
        "levels": [
            {"repeats": 2, "action": "warn"}, {"repeats": 3, "action": "pause"}, {"repeats": 4, "action": "stop"},
        ],
    },
}  # fmt: skip


class GateBesideModel(RuleBasedStateMachine):
    """One organization in both worlds."""

    organizations: list[UUID] = []
    told: Counter[str] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.done = 0
        self.accepted: list[tuple[Command, Answer]] = []
        self.ids: list[UUID] = []

    @initialize(credit=st.sampled_from([0, 10**10, 10**11]))
    def an_organization(self, credit: int) -> None:
        """Its clock stands at ten past midnight, so that a test's minutes cross no hour."""
        self.customer: Customer = make_customer("0", agents=("bot", "crawler"))
        self.organizations.append(self.customer.id)
        self.connection = reading()
        now = self._clock()
        midnight = (now + timedelta(days=1)).replace(hour=0, minute=10, second=0, microsecond=0)
        self.customer.pass_time(seconds=(midnight - now).total_seconds() + 1)
        self.agents = dict(
            self.connection.execute(
                "SELECT key, id::text FROM agents WHERE organization = %s", (self.customer.id,)
            ).fetchall()
        )
        self.model = Model(offset=0)
        self.budgets = [
            self.customer.budget(
                format_amount(limit), scope=scope, window=window, mode=mode,
                thresholds=tuple(Threshold(action, percent) for percent, action in thresholds),
            )
            for scope, window, limit, mode, thresholds in BUDGETS
        ]  # fmt: skip
        self.model.budgets = [
            Budget(scope, window, limit, mode=mode, thresholds=thresholds)
            for scope, window, limit, mode, thresholds in BUDGETS
        ]
        self._rules()
        if credit:
            self.customer.grant(format_amount(credit))
            self.model.grant(credit, "paid", 0, None)

    def _rules(self) -> None:
        self.limits = [make_limit(self.customer, **stated) for stated, _ in LIMITS]
        self.model.limits = [
            Limit(stated["scope"], stated.get("window", "lifetime"), stated["limit"], **given)
            for stated, given in LIMITS
        ]
        self.policy = make_policy(self.customer, **POLICY)
        levels = tuple((level["repeats"], level["action"]) for level in POLICY["loop"]["levels"])
        steps = Limit("run", "lifetime", POLICY["max_steps"], "s")
        self.model.policy = Policy(steps, 3, HOUR, 2 * HOUR, POLICY["loop"]["window"], levels)

    @rule(
        amount=CREDIT,
        kind=st.sampled_from(["paid", "promotional", "included", "committed"]),
        priority=st.integers(0, 1),
        lifetime=st.none() | LIFETIMES,
        source=st.sampled_from(SOURCES),
    )
    def grant(self, amount: int, kind: str, priority: int, lifetime: int | None, source: str) -> None:
        given = {} if lifetime is None else {"lifetime": timedelta(minutes=30 * lifetime)}
        self.customer.grant(format_amount(amount), kind=kind, priority=priority, source=source, **given)
        self.model.grant(amount, kind, priority, lifetime, source)
        self._compare()

    @rule()
    def expire_grants(self) -> None:
        self.customer.expire_grants()
        self.model.expire_grants()
        self._compare()

    @rule(hours=st.sampled_from([1, 1, 2, 12, 24]))
    def pass_time(self, hours: int) -> None:
        self.customer.pass_time(hours=hours)
        self.model.now += hours * HOUR

    @rule(place=st.integers(0, len(BUDGETS) - 1), limit=st.sampled_from([10**8, 10**9, 5 * 10**9]))
    def change_budget(self, place: int, limit: int) -> None:
        self.customer.change_budget(self.budgets[place], limit=format_amount(limit))
        self.model.change(self.model.budgets[place], limit)

    @rule(place=st.integers(0, len(BUDGETS) - 1), mode=st.sampled_from(["observe", "enforce"]))
    def change_mode(self, place: int, mode: str) -> None:
        self.customer.change_budget(self.budgets[place], mode=mode)
        self.model.change_mode(self.model.budgets[place], mode)

    @rule(limit=st.integers(3, 12))
    def change_limit(self, limit: int) -> None:
        name = self.limits[1].id
        write(lambda cur: change_rate_limit(cur, self.customer.id, name, {"limit": limit}, author=AUTHOR))
        self.model.limits[1].limit = limit

    @rule()
    def approve(self) -> None:
        for approval in approvals_waiting(self.customer, self.connection):
            with suppress(InvalidTransition):
                approve(self.customer, approval)
        self.model.approve()
        self._compare()

    @rule()
    def lift(self) -> None:
        for switch in switches_set(self.customer, self.connection):
            lift(self.customer, switch)
        self.model.lift()
        self._compare()

    @rule(call=CALLS)
    def reserve(self, call: Call) -> None:
        self._submit([self._reserving(call)])

    @rule(calls=st.lists(CALLS, min_size=2, max_size=8))
    def reserve_together(self, calls: list[Call]) -> None:
        self._submit([self._reserving(call) for call in calls])

    @rule(call=CALLS)
    def ask_only(self, call: Call) -> None:
        command, _ = self._reserving(call)
        answer = submit([replace(command, dry_run=True, key=None)])[0]
        expected = deepcopy(self.model).reserve(call, dry=True)
        self.model.reclaim()
        assert answer.body is not None
        assert answer.body.get("code", "") == expected
        self._compare()

    @precondition(lambda self: self.ids)
    @rule(place=PLACES, charge=CHARGES)
    def commit(self, place: int, charge: int) -> None:
        self._submit([self._committing(place, charge)])

    @precondition(lambda self: self.ids)
    @rule(place=PLACES)
    def release(self, place: int) -> None:
        self._submit([self._releasing(place)])

    @precondition(lambda self: self.ids)
    @rule(place=PLACES, lifetime=LIFETIMES)
    def extend(self, place: int, lifetime: int) -> None:
        self._submit([self._extending(place, lifetime)])

    @rule(charge=AMOUNTS, subject=SUBJECTS, ago=st.sampled_from([0, 2, 4, 48]))
    def use(self, charge: int, subject: dict[str, str], ago: int) -> None:
        self._submit([self._using(charge, subject, ago)])

    @precondition(lambda self: self.ids)
    @rule(
        reserved=st.lists(CALLS, max_size=2),
        committed=st.lists(st.tuples(PLACES, CHARGES), max_size=2),
        released=st.lists(PLACES, max_size=1),
        extended=st.lists(st.tuples(PLACES, LIFETIMES), max_size=1),
        used=st.lists(st.tuples(AMOUNTS, SUBJECTS, st.sampled_from([0, 2])), max_size=1),
        order=st.randoms(use_true_random=False),
    )
    def do_everything_in_one_transaction(
        self, reserved: Any, committed: Any, released: Any, extended: Any, used: Any, order: Any
    ) -> None:
        """As callers are gathered who come at once."""
        asked = [self._reserving(call) for call in reserved]
        asked += [self._committing(*call) for call in committed]
        asked += [self._releasing(place) for place in released]
        asked += [self._extending(*call) for call in extended]
        asked += [self._using(*call) for call in used]
        order.shuffle(asked)
        if asked:
            self._submit(asked)

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """The same call again: the same answer, no effect."""
        command, first = data.draw(st.sampled_from(self.accepted))
        again = submit([command])[0]
        assert again.replayed
        assert again.status == first.status
        if command.key is not None and b"remaining_ttl_ms" not in (first.packed or b""):
            assert again.packed == first.packed
        self.model.reclaim()
        self._compare()

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            assert violations_of([self.customer.id], connection=self.connection) == {}
            self.connection.close()

    def _submit(self, asked: list[tuple[Any, Callable[[Answer], bool]]]) -> None:
        """Have the commands decided in one transaction; each check makes the model's move and says if it held."""
        answers = submit([command for command, _ in asked])
        for answer, (command, is_accepted) in zip(answers, asked, strict=True):
            if is_accepted(answer):
                self.accepted.append((command, answer))
        self._compare()

    def _reserving(self, call: Call) -> tuple[Reserve, Callable[[Answer], bool]]:
        def check(answer: Answer) -> bool:
            expected = self.model.reserve(call)
            self.told[expected] += 1
            self.told.update(f"observed {code}" for code in self.model.observed)
            assert (answer.error.code if answer.error else "") == expected
            if not expected:
                assert answer.body is not None
                self.ids.append(UUID(answer.body["id"]))
                warnings = [one for one in answer.body["warnings"] if one["code"] == "would_be_refused"]
                assert sorted(one["refusal"] for one in warnings) == self.model.observed
            return not expected

        subject = Subject(**call.subject, step=call.step, attempt=call.attempt)
        command = Reserve(
            self.customer.id, CALLER, self._key(), subject, Action("custom", fingerprint=call.fingerprint),
            Estimate(amount=call.amount), "USD", ttl_seconds=call.lifetime * 1_800,
        )  # fmt: skip
        return command, check

    def _committing(self, place: int, charge: int) -> tuple[Commit, Callable[[Answer], bool]]:
        number = place % len(self.ids)

        def check(answer: Answer) -> bool:
            expected = self.model.commit(number, charge)
            if expected:
                self._is_finalized(answer, expected)
                return False
            assert answer.error is None
            assert answer.body is not None
            held = self.model.reservations[number].amount
            assert answer.body["charged"] == format_amount(charge)
            assert answer.body["overage"] == format_amount(max(0, charge - held))
            return True

        actual = Actual(amount=charge)
        return Commit(self.customer.id, CALLER, self._key(), self.ids[number], "completed", actual), check

    def _releasing(self, place: int) -> tuple[Release, Callable[[Answer], bool]]:
        number = place % len(self.ids)

        def check(answer: Answer) -> bool:
            expected = self.model.release(number)
            if expected == "committed":
                self._is_finalized(answer, expected)
                return False
            assert answer.body is not None
            assert answer.body["status"] == expected
            return True

        return Release(self.customer.id, CALLER, self._key(), self.ids[number], "test"), check

    def _extending(self, place: int, lifetime: int) -> tuple[Extend, Callable[[Answer], bool]]:
        number = place % len(self.ids)

        def check(answer: Answer) -> bool:
            expected = self.model.extend(number, lifetime)
            assert (answer.error.code if answer.error else "") == expected
            return False

        return Extend(self.customer.id, CALLER, None, self.ids[number], lifetime * 1_800), check

    def _using(
        self, charge: int, subject: dict[str, str], ago: int
    ) -> tuple[RecordUsage, Callable[[Answer], bool]]:
        def check(answer: Answer) -> bool:
            assert answer.status == 201
            self.model.use(charge, subject, ago)
            return True

        command = RecordUsage(
            self.customer.id, CALLER, None, "test", unique(), b"0" * 16, Subject(**subject), Action("custom"),
            "completed", Actual(amount=charge), self._clock() - timedelta(minutes=30 * ago),
        )  # fmt: skip
        return command, check

    @staticmethod
    def _is_finalized(answer: Answer, status: str) -> None:
        assert answer.error is not None
        assert (answer.error.code, answer.error.extra["reservation_status"]) == (
            "reservation_finalized",
            status,
        )

    def _key(self) -> RequestKey:
        key = unique()
        return RequestKey(key, key.encode().ljust(32, b"0"))

    def _clock(self) -> datetime:
        row = self.connection.execute(
            "SELECT clock_timestamp() + clock_offset FROM organizations WHERE id = %s", (self.customer.id,)
        ).fetchone()
        assert row is not None
        now: datetime = row[0]
        return now

    def _compare(self) -> None:
        self.done += 1
        assert self._in_database() == self._in_model()
        if self.done % CHECK_EVERY == 0:
            assert violations_of([self.customer.id], connection=self.connection) == {}

    def _in_database(self) -> dict[str, Any]:
        with self.connection.pipeline():
            asked = {name: self.connection.execute(sql, (self.customer.id,)) for name, sql in STATE.items()}
            found = {name: cursor.fetchall() for name, cursor in asked.items()}
        counters: dict[Any, tuple[int, ...]] = {}
        gcra = self.limits[2].id
        for name, target, start, *figures in found.pop("counters"):
            if any(figures) and name != gcra and target[:1] != "\x03":
                counters[name, target, start] = tuple(figures)
        return {**found, "counters": counters}

    def _in_model(self) -> dict[str, Any]:
        model = self.model
        return {
            "account": [(model.posted, sum(grant.held for grant in model.grants), model.debt)],
            "grants": [(grant.remaining, grant.held) for grant in model.grants],
            "paid": sorted((source, paid) for source, paid in model.paid.items() if paid),
            "reservations": [(reservation.status, reservation.amount) for reservation in model.reservations],
            "switches": sorted((*self._shown(*place), kind) for place, kind in model.switches.items()),
            "happened": sorted((what, many) for what, many in model.happened.items()),
            "counters": self._counters(),
        }

    def _shown(self, mode: str, scope: str, target: str) -> tuple[str, str, str]:
        return mode, scope, self.agents[target] if scope == "agent" else target

    def _counters(self) -> dict[Any, tuple[int, ...]]:
        start = (self._clock() - timedelta(minutes=30 * self.model.now)).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        assert self.model.policy is not None
        rules: list[tuple[Any, Rule]] = [
            (row.id, one) for row, one in zip(self.budgets, self.model.budgets, strict=True)
        ]
        rules += [(row.id, one) for row, one in zip(self.limits, self.model.limits, strict=True)]
        rules.append((self.policy.id, self.model.policy.steps))
        found = {}
        for name, one in rules:
            if isinstance(one, Limit) and one.burst:
                continue
            for prefix, cells in (("", one.cells), ("\x02", one.shadow)):
                for (target, number), cell in cells.items():
                    figures = (
                        cell.held,
                        cell.spent,
                        cell.armed,
                        cell.fired + 1_000 * cell.refused,
                        cell.approved,
                    )
                    if not any(figures):
                        continue
                    shown = self.agents[target] if one.scope == "agent" else target
                    shown = f"s/{target}" if name == self.policy.id else prefix + shown
                    begins = datetime(1970, 1, 1, tzinfo=start.tzinfo)
                    if one.window in ("hour", "day"):
                        begins = start + timedelta(**{f"{one.window}s": number})
                    found[name, shown, begins] = figures
        return found


STATE = {
    "account": "SELECT posted, held, debt FROM accounts WHERE organization = %s AND kind = 'customer_credit'",
    "grants": "SELECT remaining, held FROM credit_grants WHERE organization = %s ORDER BY id",
    "paid": """SELECT part->>0, sum((part->>2)::bigint)::bigint FROM usage_records u,
        json_array_elements(u.funding) AS part WHERE u.organization = %s GROUP BY 1 ORDER BY 1""",
    "reservations": "SELECT status, held FROM reservations WHERE organization = %s ORDER BY id",
    "counters": """SELECT budget_id, target, window_start, held, spent, armed, fired, approved FROM budget_counters
        WHERE organization = %s""",
    "switches": """SELECT mode, scope, COALESCE(target_id::text, target_label, ''), kind FROM switches
        WHERE organization = %s AND lifted_at IS NULL ORDER BY 1, 2, 3""",
    "happened": """SELECT * FROM (
        SELECT CASE type WHEN 'threshold.crossed' THEN 'crossed ' || (data->>'mode') || ' ' || (data->>'action')
            ELSE 'incident ' || (data->>'mode') || ' ' || (data->>'trigger') || ' ' || (data->>'action') END AS what,
            count(*)::int FROM v_events WHERE organization = %s AND type IN ('threshold.crossed', 'incident.opened')
            GROUP BY 1) h ORDER BY what COLLATE "C" """,
}


def test_the_gate_and_the_ledger_do_what_plain_arithmetic_says() -> None:
    GateBesideModel.organizations, GateBesideModel.told = [], Counter()
    run_state_machine_as_test(
        GateBesideModel,
        settings=settings(
            max_examples=max(1, OPERATIONS // STEPS),
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            print_blob=True,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert len(GateBesideModel.organizations) >= OPERATIONS // STEPS
    assert violations_of(GateBesideModel.organizations) == {}
    print(dict(GateBesideModel.told))
    if OPERATIONS >= ENOUGH:
        assert all(GateBesideModel.told[code] for code in CODES), GateBesideModel.told
