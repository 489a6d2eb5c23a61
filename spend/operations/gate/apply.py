"""The gate's one transaction: lock, read, decide each command in order, write everything at once, answer each.

One command and five hundred take the same path. A command that is refused moves nothing and does not touch the others;
commands with the same key have one effect. Round trips: the lock with the clock, the rows, the writes with the commit.
"""

import hashlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from common.errors import GateUnavailable, IdempotencyKeyReused, ProblemError, ServiceUnavailable
from common.idempotency import UNIQUE_CONSTRAINTS, packed
from common.transactions import is_conflict, problem_of
from events.store import Cursor
from events.writer import Writer
from ledger.queries.gate import ask_books
from orgs import PLATFORM_ID
from orgs.operations.locks import lock_organizations
from spend.operations.gate.connections import in_one_transaction
from spend.operations.gate.planning import Planner
from spend.operations.gate.writing import write
from spend.queries.gate_config import ConfigCache, GateConfig, load_subjects
from spend.queries.gate_state import (
    MAX_EXPIRED,
    CounterKey,
    KeptAnswer,
    ask_counters,
    ask_keys,
    ask_reservations,
    ask_usage_keys,
    read_runs,
)
from spend.rules.commands import Caller, Command, Commit, Extend, RecordUsage, Release, Reserve
from spend.rules.decide import decide_extend, decide_reserve, find_reservation, milliseconds
from spend.rules.denials import UsageIdReused
from spend.rules.effects import Answer, Effects
from spend.rules.plan import Plan
from spend.rules.settlement import Accounts, decide_commit, decide_release, decide_usage, expire
from spend.rules.state import Books, LiveAccount, OrganizationState

ATTEMPTS = 3
RACES = UNIQUE_CONSTRAINTS | {f"usage_keys_{part}_pkey" for part in range(8)}
PRICE_EPOCH = "SELECT config_epoch FROM organizations WHERE id = %s"
FUNDING_ACCOUNTS = ("customer_credit", "unbilled_receivable")
EXPIRER = Caller(actor="system:expire")

encode_body = msgspec.json.Encoder().encode
decode_body = msgspec.json.Decoder().decode
REMAINING = b'"remaining_ttl_ms":'
MONEY_CODES = frozenset(("budget_exhausted", "credit_exhausted", "run_ceiling_reached", "budget_busy"))


@dataclass(frozen=True, slots=True)
class Expire:
    """The gate's own command: free what has run out in an organization (sweeper, and before every decision)."""

    organization: UUID
    caller: Caller = EXPIRER
    key: None = None


@dataclass(slots=True)
class Batch:
    """What one transaction knows while it decides."""

    commands: Sequence[Command | Expire]
    states: dict[UUID, OrganizationState] = field(default_factory=dict)
    configs: dict[UUID, GateConfig] = field(default_factory=dict)
    planners: dict[UUID, Planner] = field(default_factory=dict)
    plans: list[Plan | None] = field(default_factory=list)
    kept: dict[tuple[UUID, str], KeptAnswer] = field(default_factory=dict)
    known_usage: dict[tuple[UUID, str, bytes], tuple[bytes, dict[str, Any]]] = field(default_factory=dict)
    effects: Effects = field(default_factory=Effects)
    new_keys: list[tuple[UUID, str, KeptAnswer]] = field(default_factory=list)


class Gate:
    """The gate of one process: its cache, and `apply`."""

    def __init__(self) -> None:
        self.cache = ConfigCache()

    def apply(
        self, connection: psycopg.Connection[Any], commands: Sequence[Command | Expire]
    ) -> list[Answer]:
        """This function will decide the commands in order, in one transaction, and answer each.

        Accepted commands are durable when it returns (S4); a refusal is an Answer with its error. Raises
        GateUnavailable when the database cannot be asked: nothing is then decided, or what was is found by the key.
        """
        attempt = 0
        while attempt < ATTEMPTS:
            attempt += 1
            try:
                return self._once(connection, commands)
            except _MoreExpired as more:
                self._once(connection, [Expire(more.organization)])
                attempt -= 1
            except psycopg.Error as error:
                if is_conflict(error, retry_unique=RACES) and attempt < ATTEMPTS:
                    time.sleep(random.uniform(0, 0.01 * 2**attempt))
                    continue
                if len(commands) > 1 and not _is_unavailable(error):
                    return [answer for command in commands for answer in self._alone(connection, command)]
                raise _meaning_of(error) from error
        raise AssertionError("the last attempt returns or raises")

    def _alone(self, connection: psycopg.Connection[Any], command: Command | Expire) -> list[Answer]:
        """One item of a batch that failed as a whole: what is wrong with one of them is not the others' fault."""
        try:
            return self.apply(connection, [command])
        except GateUnavailable:
            raise
        except ProblemError as error:
            return [Answer.refused(error)]

    def _once(
        self, connection: psycopg.Connection[Any], commands: Sequence[Command | Expire]
    ) -> list[Answer]:
        batch = Batch(commands)
        with in_one_transaction(connection), connection.cursor(binary=True) as cur:
            self._lock(connection, cur, batch)
            self._plan_new(connection, cur, batch)
            _read(connection, batch)
            _plan_commits(batch)
            answers = _decide_all(batch)
            write(Writer(connection), batch.effects, batch.new_keys)
        for config in batch.configs.values():
            for run in batch.states[config.organization].runs.values():
                if not run.is_new:
                    config.remember_run(run)
        return answers

    def _lock(self, connection: psycopg.Connection[Any], cur: Cursor, batch: Batch) -> None:
        epoch = connection.cursor().execute(PRICE_EPOCH, (PLATFORM_ID,))
        locked = lock_organizations(cur, {command.organization for command in batch.commands})
        found = epoch.fetchone()
        assert found is not None
        for row in locked.values():
            config = self.cache.get(
                cur,
                row.id,
                epochs=(row.config_epoch, found[0]),
                currency=row.currency,
                time_zone=row.time_zone,
            )
            batch.configs[row.id] = config
            books = Books(LiveAccount(config.accounts["customer_credit"]), None, [])
            batch.states[row.id] = OrganizationState(row.id, row.now, row.currency, row.status, books)

    def _plan_new(self, connection: psycopg.Connection[Any], cur: Cursor, batch: Batch) -> None:
        """Plan what needs no reservation's row; its windows say which counters to read."""
        _load_names(connection, cur, batch)
        for organization, config in batch.configs.items():
            batch.planners[organization] = Planner(cur, self.cache, config, batch.states[organization])
        for command in batch.commands:
            planner = batch.planners[command.organization]
            if isinstance(command, Reserve):
                batch.plans.append(planner.reserve(command))
            elif isinstance(command, RecordUsage):
                batch.plans.append(planner.usage(command))
            else:
                batch.plans.append(None)


def _is_unavailable(error: psycopg.Error) -> bool:
    return isinstance(problem_of(error), ServiceUnavailable) or is_conflict(error, retry_unique=RACES)


def _meaning_of(error: psycopg.Error) -> Exception:
    """What a database error says to the caller: 503, 422 for a sum out of range, or a defect of ours as it is."""
    if _is_unavailable(error):
        return GateUnavailable(retry_after=1)
    return problem_of(error) or error


class _MoreExpired(Exception):
    """Money was refused while more reservations have expired than one transaction frees: free them and decide anew."""

    def __init__(self, organization: UUID) -> None:
        self.organization = organization


def _read(connection: psycopg.Connection[Any], batch: Batch) -> None:
    """Read everything that is decided on, in one round trip."""
    accounts = []
    for config in batch.configs.values():
        accounts += [config.accounts[kind] for kind in FUNDING_ACCOUNTS if kind in config.accounts]
    fixed, rolling = _counter_keys(batch.plans)
    named = [
        (c.organization, c.reservation)
        for c in batch.commands
        if not isinstance(c, (Reserve, Expire)) and c.reservation is not None
    ]
    usages = [
        (c.organization, c.source, usage_digest(c.external_id))
        for c in batch.commands
        if isinstance(c, RecordUsage)
    ]
    books = {name: state.books for name, state in batch.states.items()}
    answers = (
        ask_keys(
            connection, [(c.organization, c.key.key) for c in batch.commands if c.key is not None], batch.kept
        ),
        ask_reservations(connection, named, batch.states),
        ask_books(connection, accounts, books, LiveAccount),
        ask_counters(connection, batch.states, fixed, rolling),
        ask_usage_keys(connection, usages, batch.known_usage),
    )
    for collect in answers:
        collect()


def _plan_commits(batch: Batch) -> None:
    for place, command in enumerate(batch.commands):
        if isinstance(command, Commit):
            found = batch.states[command.organization].reservations.get(command.reservation)
            if found is not None:
                batch.plans[place] = batch.planners[command.organization].commit(command, found)


def usage_digest(text: str) -> bytes:
    """Return the digest under which a caller's usage id is kept (16 bytes)."""
    return hashlib.sha256(text.encode()).digest()[:16]


def _load_names(connection: psycopg.Connection[Any], cur: Cursor, batch: Batch) -> None:
    """Read the subjects and runs that the commands name and that no cache holds."""
    for organization, config in batch.configs.items():
        subjects = [
            c.subject
            for c in batch.commands
            if c.organization == organization and isinstance(c, (Reserve, RecordUsage))
        ]
        for kind in ("agent", "workflow", "connection", "team"):
            names = {name for subject in subjects if (name := getattr(subject, kind)) is not None}
            if names:
                load_subjects(cur, config, kind, names)
        keys = {key for subject in subjects for key in (subject.run, subject.parent_run) if key is not None}
        missing = [(organization, key) for key in sorted(keys) if key not in config.runs]
        for _, run in read_runs(connection, missing):
            config.remember_run(run)
        state = batch.states[organization]
        for key in keys:
            if key in config.runs:
                run = config.runs[key]
                state.runs[key] = state.runs_by_id[run.id] = run


def _counter_keys(plans: Sequence[Plan | None]) -> tuple[list[CounterKey], list[CounterKey]]:
    fixed: list[CounterKey] = []
    rolling: list[CounterKey] = []
    for plan in plans:
        for place in plan.places if plan is not None else ():
            if place.first_bucket is None:
                fixed.append((place.budget.id, place.target, place.window.start))
            else:
                rolling.append((place.budget.id, place.target, place.first_bucket))
    return fixed, rolling


def _decide_all(batch: Batch) -> list[Answer]:
    full: dict[UUID, bool] = {}
    for state in batch.states.values():
        accounts = _accounts(batch.configs[state.id])
        due = [r for r in state.reservations.values() if r.status == "active" and r.expires_at <= state.now]
        for reservation in due:
            expire(state, Expire(state.id), reservation, accounts, batch.effects)
        full[state.id] = len(due) >= MAX_EXPIRED
    answers = []
    for command, plan in zip(batch.commands, batch.plans, strict=True):
        answer = _decide_one(batch, command, plan)
        if full[command.organization] and answer.error is not None and answer.error.code in MONEY_CODES:
            raise _MoreExpired(command.organization)
        answers.append(answer)
    return answers


def _decide_one(batch: Batch, command: Command | Expire, plan: Plan | None) -> Answer:
    if isinstance(command, Expire):
        return Answer(200)
    try:
        replayed = _replay(batch, command)
        if replayed is not None:
            return replayed
        answer = _judge(batch, command, plan)
    except ProblemError as error:
        return Answer.refused(error)
    if command.key is not None and answer.error is None and answer.status < 300:
        _keep(batch, command, answer)
    return answer


def _judge(batch: Batch, command: Command, plan: Plan | None) -> Answer:
    state, effects = batch.states[command.organization], batch.effects
    accounts = _accounts(batch.configs[command.organization])
    if isinstance(command, Release):
        return decide_release(state, command, accounts, effects)
    if isinstance(command, Extend):
        return decide_extend(state, command, effects)
    if isinstance(command, Commit):
        reservation = find_reservation(state, command.reservation, command.caller)
        if plan is None:  # reserved earlier in this very batch
            plan = batch.planners[command.organization].commit(command, reservation)
        if plan.error is not None and reservation.status in ("active", "expired"):
            raise plan.error
        return decide_commit(state, command, plan, accounts, effects)
    assert plan is not None
    if plan.error is not None:
        raise plan.error
    if isinstance(command, RecordUsage):
        return _usage(batch, command, plan, state, accounts)
    return decide_reserve(state, command, plan, effects)


def _usage(
    batch: Batch, command: RecordUsage, plan: Plan, state: OrganizationState, accounts: Accounts
) -> Answer:
    name = (command.organization, command.source, usage_digest(command.external_id))
    known = batch.known_usage.get(name)
    if known is not None:
        if known[0] != command.payload:
            raise UsageIdReused
        return Answer(201, known[1], replayed=True)
    if command.reservation is not None:
        find_reservation(state, command.reservation, command.caller)
    answer = decide_usage(state, command, plan, accounts, batch.effects)
    usage = batch.effects.usages[-1]
    batch.effects.usage_keys.append((*name, command.payload, usage.id))
    batch.known_usage[name] = (command.payload, answer.body or {})
    return answer


def _replay(batch: Batch, command: Command) -> Answer | None:
    if command.key is None:
        return None
    stored = batch.kept.get((command.organization, command.key.key))
    if stored is None:
        return None
    request, status = stored.request, stored.status
    if request != command.key.request:
        raise IdempotencyKeyReused
    body = stored.body()
    if REMAINING in body:
        body = _with_remaining_time(body, batch.states[command.organization].now)
    return Answer(status, packed=body, replayed=True)


def _with_remaining_time(body: bytes, now: datetime) -> bytes:
    """The stored answer with its remaining time computed anew; nothing else changes."""
    value = decode_body(body)
    until = datetime.fromisoformat(value["expires_at"])
    value["remaining_ttl_ms"] = milliseconds(until - now)
    return encode_body(value)


def _keep(batch: Batch, command: Command, answer: Answer) -> None:
    assert command.key is not None
    answer.packed = encode_body(answer.body)
    kept = KeptAnswer(command.key.request, answer.status, packed(answer.packed))
    batch.kept[command.organization, command.key.key] = kept
    batch.new_keys.append((command.organization, command.key.key, kept))


def _accounts(config: GateConfig) -> Accounts:
    ids = config.accounts
    return Accounts(
        credit=str(ids["customer_credit"]),
        line=str(ids["unbilled_receivable"]) if "unbilled_receivable" in ids else None,
        revenue=str(ids["revenue"]),
        provider_cost=str(ids["provider_cost"]),
        provider_payable=str(ids["provider_payable"]),
        breakage=str(ids["breakage"]),
    )
