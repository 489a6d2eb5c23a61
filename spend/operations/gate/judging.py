"""The decisions of a batch, in order: replay what was answered before, judge the rest, keep what is accepted."""

from datetime import datetime
from uuid import UUID

import msgspec

from common.errors import IdempotencyKeyReused, ProblemError
from spend.operations.gate.batch import Batch, Expire, MoreExpired, usage_digest
from spend.queries.gate_state import MAX_EXPIRED, KeptAnswer, KnownUsage
from spend.rules.answers import milliseconds
from spend.rules.commands import Command, Commit, Extend, RecordUsage, Release, Reserve
from spend.rules.decide import decide_extend, decide_reserve, find_reservation
from spend.rules.denials import UsageIdReused
from spend.rules.effects import Answer
from spend.rules.plan import Plan
from spend.rules.recording import decide_usage
from spend.rules.settlement import decide_commit, decide_release, expire
from spend.rules.state import OrganizationState

encode_body = msgspec.json.Encoder().encode
decode_body = msgspec.json.Decoder().decode
REMAINING = b'"remaining_ttl_ms":'
FREED_CODES = frozenset(
    (
        "budget_exhausted", "credit_exhausted", "run_ceiling_reached", "budget_busy", "rate_limited",
        "approval_required", "not_permitted",
    )
)  # fmt: skip
"""Refusals that may come of what has expired and is not freed yet: it holds money, places and levels."""


def decide_all(batch: Batch) -> list[Answer]:
    """This function will decide every command of the batch, move its working state on and collect the effects.

    What has expired is freed first. Raises MoreExpired when a call was refused for what is held and not everything was
    freed yet.
    """
    full: dict[str, bool] = {}
    for state in batch.states.values():
        accounts = batch.planners[state.id].config.accounts
        due = [r for r in state.reservations.values() if r.status == "active" and r.expires_at <= state.now]
        for reservation in due:
            expire(state, Expire(UUID(state.id)), reservation, accounts, batch.effects)
        full[state.id] = len(due) >= MAX_EXPIRED
    answers = []
    for place, name in enumerate(batch.names):
        refused = batch.refused.get(place)
        answer = Answer.refused(refused) if refused else _decide_one(batch, place)
        if full[name] and answer.error is not None and answer.error.code in FREED_CODES:
            raise MoreExpired(name)
        answers.append(answer)
    return answers


def _decide_one(batch: Batch, place: int) -> Answer:
    name, key, command = batch.names[place], batch.keys[place], batch.commands[place]
    if isinstance(command, Expire):
        return Answer(200)
    state = batch.states[name]
    try:
        replayed = _replay(batch, state, command, key)
        if replayed is not None:
            return replayed
        answer = _judge(batch, state, command, place)
    except ProblemError as error:
        return Answer.refused(error)
    if command.key is not None and answer.error is None and answer.status < 300:
        answer.packed = encode_body(answer.body)
        kept = KeptAnswer(command.key.request, answer.status, b"", body=answer.packed)
        batch.kept[name, key] = kept
        batch.new_keys.append((name, key, kept))
    return answer


def _judge(batch: Batch, state: OrganizationState, command: Command, place: int) -> Answer:
    plan, named = batch.plans[place], batch.reservations[place]
    effects, planner = batch.effects, batch.planners[state.id]
    accounts = planner.config.accounts
    if isinstance(command, Release):
        return decide_release(
            state, command, find_reservation(state, named, command.caller), accounts, effects
        )
    if isinstance(command, Extend):
        return decide_extend(state, command, find_reservation(state, named, command.caller), effects)
    if isinstance(command, Commit):
        reservation = find_reservation(state, named, command.caller)
        if plan is None:  # reserved earlier in this very batch, so its prices are in the cache
            plan = planner.commit(command, reservation)
        if plan.error is not None and reservation.status in ("active", "expired"):
            raise plan.error
        budgets = planner.config.rules.by_id
        return decide_commit(state, command, plan, reservation, accounts, budgets, effects)
    assert plan is not None
    if plan.error is not None:
        raise plan.error
    if plan.who is not None:
        planner.check_runs(plan.who)
    if isinstance(command, RecordUsage):
        return _usage(batch, state, command, plan)
    assert isinstance(command, Reserve)
    return decide_reserve(state, command, plan, effects)


def _usage(batch: Batch, state: OrganizationState, command: RecordUsage, plan: Plan) -> Answer:
    name = (state.id, command.source, usage_digest(command.external_id))
    known = batch.known_usage.get(name)
    if known is not None:
        if known.payload != command.payload:
            raise UsageIdReused
        return Answer(201, known.body(command, state.currency), replayed=True)
    if command.reservation is not None:
        find_reservation(state, str(command.reservation), command.caller)
    accounts = batch.planners[state.id].config.accounts
    answer = decide_usage(state, command, plan, accounts, batch.effects)
    usage = batch.effects.usages[-1]
    batch.effects.usage_keys.append((*name, command.payload, usage.id))
    rest = (
        usage.external_id, usage.outcome, usage.currency, usage.price_version, usage.occurred_at, usage.adjustment
    )  # fmt: skip
    batch.known_usage[name] = KnownUsage(command.payload, usage.id, usage.cost, usage.charge, rest)
    return answer


def _replay(batch: Batch, state: OrganizationState, command: Command, key: str) -> Answer | None:
    if command.key is None:
        return None
    stored = batch.kept.get((state.id, key))
    if stored is None:
        return None
    if stored.request != command.key.request:
        raise IdempotencyKeyReused
    body = stored.body()
    if REMAINING in body:
        body = _with_remaining_time(body, state.now)
    return Answer(stored.status, packed=body, replayed=True)


def _with_remaining_time(body: bytes, now: datetime) -> bytes:
    """The stored answer with its remaining time computed anew; nothing else changes."""
    value = decode_body(body)
    until = datetime.fromisoformat(value["expires_at"])
    value["remaining_ttl_ms"] = milliseconds(until - now)
    return encode_body(value)
