"""The gate's one transaction: lock, read, decide each command in order, write everything at once, answer each.

One command and five hundred take the same path. A command that is refused moves nothing and does not touch the others;
commands with the same key have one effect. Round trips: the lock with the clock, the rows, the writes with the commit.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from common.errors import GateUnavailable, IdempotencyKeyReused, ProblemError
from common.idempotency import UNIQUE_CONSTRAINTS, KeyedRequest, StoredAnswer, lookup_many
from common.idempotency import Answer as KeptAnswer
from common.transactions import is_conflict, problem_of
from events.store import Cursor
from ledger.queries.gate import read_books
from orgs import PLATFORM_ID
from orgs.operations.locks import lock_organizations
from spend.operations.gate.planning import Planner
from spend.operations.gate.writing import write
from spend.queries.gate_config import ConfigCache, GateConfig, load_subjects
from spend.queries.gate_state import MAX_EXPIRED, read_counters, read_reservations, read_runs, read_usage_keys
from spend.rules.commands import Caller, Command, Commit, Extend, RecordUsage, Release, Reserve
from spend.rules.decide import decide_extend, decide_reserve, find_reservation, milliseconds
from spend.rules.effects import Answer, Effects
from spend.rules.plan import Plan
from spend.rules.settlement import Accounts, decide_commit, decide_release, decide_usage, expire
from spend.rules.state import Books, LiveAccount, OrganizationState

ATTEMPTS = 3
RACES = UNIQUE_CONSTRAINTS | {f"usage_keys_{part}_pkey" for part in range(8)}
PRICE_EPOCH = "SELECT config_epoch FROM organizations WHERE id = %s"
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
    kept: dict[tuple[UUID, str], StoredAnswer] = field(default_factory=dict)
    known_usage: dict[tuple[UUID, str, bytes], tuple[bytes, UUID]] = field(default_factory=dict)
    effects: Effects = field(default_factory=Effects)
    new_keys: list[tuple[KeyedRequest, StoredAnswer]] = field(default_factory=list)


class Gate:
    """The gate of one process: its cache, and `apply`."""

    def __init__(self) -> None:
        self.cache = ConfigCache()

    def apply(self, connection: psycopg.Connection[Any], commands: Sequence[Command | Expire]) -> list[Answer]:
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
                if problem_of(error) is not None or is_conflict(error, retry_unique=RACES):
                    raise GateUnavailable(retry_after=1) from error
                raise
        raise AssertionError("the last attempt returns or raises")

    def _once(self, connection: psycopg.Connection[Any], commands: Sequence[Command | Expire]) -> list[Answer]:
        batch = Batch(commands)
        with connection.transaction(), connection.cursor(binary=True) as cur:
            self._lock(cur, batch)
            _read_rows(cur, batch)
            self._plan(cur, batch)
            _read_counters(cur, batch)
            answers = _decide_all(batch)
            write(cur, batch.effects, batch.new_keys)
        for config in batch.configs.values():
            for run in batch.states[config.organization].runs.values():
                if not run.is_new:
                    config.remember_run(run)
        return answers

    def _lock(self, cur: Cursor, batch: Batch) -> None:
        locked = lock_organizations(cur, {command.organization for command in batch.commands})
        price_epoch = cur.execute(PRICE_EPOCH, (PLATFORM_ID,)).fetchone()
        assert price_epoch is not None
        for row in locked.values():
            config = self.cache.get(
                cur,
                row.id,
                epochs=(row.config_epoch, price_epoch[0]),
                currency=row.currency,
                time_zone=row.time_zone,
            )
            batch.configs[row.id] = config
            books = Books(LiveAccount(config.accounts["customer_credit"]), None, [])
            batch.states[row.id] = OrganizationState(row.id, row.now, row.currency, row.status, books)

    def _plan(self, cur: Cursor, batch: Batch) -> None:
        _load_names(cur, batch)
        for organization, config in batch.configs.items():
            state = batch.states[organization]
            batch.planners[organization] = Planner(cur, self.cache, config, state)
        for command in batch.commands:
            planner = batch.planners[command.organization]
            if isinstance(command, Reserve):
                batch.plans.append(planner.reserve(command))
            elif isinstance(command, RecordUsage):
                batch.plans.append(planner.usage(command))
            elif isinstance(command, Commit):
                found = batch.states[command.organization].reservations.get(command.reservation)
                batch.plans.append(planner.commit(command, found) if found else None)
            else:
                batch.plans.append(None)


class _MoreExpired(Exception):
    """Money was refused while more reservations have expired than one transaction frees: free them and decide anew."""

    def __init__(self, organization: UUID) -> None:
        self.organization = organization


def _read_rows(cur: Cursor, batch: Batch) -> None:
    """Read what does not depend on prices or windows: stored answers, reservations, accounts and grants."""
    pairs = [(c.organization, c.key.key) for c in batch.commands if c.key is not None]
    if pairs:
        batch.kept = lookup_many(cur, pairs=pairs)
    named = [
        (c.organization, c.reservation) for c in batch.commands if isinstance(c, (Commit, Release, Extend))
    ]
    read_reservations(cur, named, batch.states)
    accounts = []
    for config in batch.configs.values():
        accounts.append((config.organization, config.accounts["customer_credit"]))
        if "unbilled_receivable" in config.accounts:
            accounts.append((config.organization, config.accounts["unbilled_receivable"]))
    read_books(cur, accounts, {name: state.books for name, state in batch.states.items()}, LiveAccount)
    usages = [
        (c.organization, c.source, usage_digest(c.external_id)) for c in batch.commands if isinstance(c, RecordUsage)
    ]
    batch.known_usage = read_usage_keys(cur, usages)


def usage_digest(text: str) -> bytes:
    """Return the digest under which a caller's usage id is kept (16 bytes)."""
    import hashlib

    return hashlib.sha256(text.encode()).digest()[:16]


def _load_names(cur: Cursor, batch: Batch) -> None:
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
        for _, run in read_runs(cur, missing):
            config.remember_run(run)
        state = batch.states[organization]
        for key in keys:
            if key in config.runs:
                run = config.runs[key]
                state.runs[key] = state.runs_by_id[run.id] = run


def _read_counters(cur: Cursor, batch: Batch) -> None:
    fixed, rolling = [], []
    for plan in batch.plans:
        for place in plan.places if plan is not None else ():
            if place.first_bucket is None:
                fixed.append((place.budget.id, place.target, place.window.start))
            else:
                rolling.append((place.budget.id, place.target, place.first_bucket))
    read_counters(cur, batch.states, fixed, rolling)


def _decide_all(batch: Batch) -> list[Answer]:
    full: dict[UUID, bool] = {}
    for state in batch.states.values():
        state.counters_by_id = {counter.id: counter for counter in state.counters.values()}
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
        reservation = find_reservation(state, command.reservation)
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
    from spend.rules.denials import UsageIdReused

    name = (command.organization, command.source, usage_digest(command.external_id))
    known = batch.known_usage.get(name)
    if known is not None:
        if known[0] != command.payload:
            raise UsageIdReused
        return Answer(201, {"id": str(known[1]), "source": command.source, "external_id": command.external_id}, replayed=True)
    answer = decide_usage(state, command, plan, accounts, batch.effects)
    usage = batch.effects.usages[-1].id
    batch.effects.usage_keys.append((*name, command.payload, usage))
    batch.known_usage[name] = (command.payload, usage)
    return answer


def _replay(batch: Batch, command: Command) -> Answer | None:
    if command.key is None:
        return None
    stored = batch.kept.get((command.organization, command.key.key))
    if stored is None:
        return None
    if stored.request.digest != command.key.request:
        raise IdempotencyKeyReused
    body = stored.answer.body
    if REMAINING in body:
        body = _with_remaining_time(body, batch.states[command.organization].now)
    return Answer(stored.answer.status, packed=body, replayed=True)


def _with_remaining_time(body: bytes, now: datetime) -> bytes:
    """The stored answer with its remaining time computed anew; nothing else changes."""
    value = decode_body(body)
    until = datetime.fromisoformat(value["expires_at"])
    value["remaining_ttl_ms"] = milliseconds(until - now)
    return encode_body(value)


def _keep(batch: Batch, command: Command, answer: Answer) -> None:
    assert command.key is not None
    request = KeyedRequest(command.organization, command.key.key, command.key.request)
    answer.packed = encode_body(answer.body)
    stored = StoredAnswer(request, KeptAnswer(answer.status, answer.packed))
    batch.kept[command.organization, command.key.key] = stored
    batch.new_keys.append((request, stored))


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
