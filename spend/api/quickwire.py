"""The quick way from the bytes of an ordinary body to a command; whatever is not ordinary takes the exact way (`wire`).

A body is ordinary when it is plain ASCII without escapes, has only known fields of the right type and range, and is
exactly as long as its own canonical form: then no key occurs twice and no number is written in another way than ours.
For such a body the exact way gives the same command, key and digest; for all others these functions give None, and
the exact way finds the right refusal. A property test holds them to that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from common import fields, ids
from common.currencies import EXPONENTS
from common.errors import ProblemError
from common.money import MAX_COUNT, parse_amount
from spend.api.calls import MAX_BATCH, MAX_USAGE_BATCH, Call, canonical_key
from spend.api.wire import DEFAULT_TTL_SECONDS, MAX_INTEGER, MAX_LABEL, MAX_TTL_SECONDS, NO_ACTION
from spend.rules.commands import (
    Action,
    Actual,
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
from spend.rules.normalise.contract import MAX_PARTS, NAME_LENGTH, parse_tool_calls
from spend.rules.rating import Usage

Name = Annotated[str, Meta(min_length=1, max_length=fields.MAX_NAME)]
Label = Annotated[str, Meta(min_length=1, max_length=MAX_LABEL)]
Reason = Annotated[str, Meta(min_length=1, max_length=500)]
Small = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Seconds = Annotated[int, Meta(ge=1, le=MAX_TTL_SECONDS)]
Milliseconds = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Key = Annotated[str, Meta(min_length=1, max_length=255)]
Tools = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH)], Count], Meta(max_length=MAX_PARTS)
]
Outcome = Literal["completed", "failed", "blocked"]


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    """An absent field is UNSET, so that writing a body gives its canonical form again. Null is allowed where the exact
    way takes it for absent."""


class SubjectBody(_Body):
    agent: Name
    team: Name | UnsetType | None = UNSET
    workflow: Name | UnsetType | None = UNSET
    run: Label | UnsetType | None = UNSET
    parent_run: Label | UnsetType | None = UNSET
    connection: Name | UnsetType | None = UNSET
    user: Label | UnsetType | None = UNSET
    step: Small | UnsetType | None = UNSET
    attempt: Small | UnsetType | None = UNSET
    parent_task: Label | UnsetType | None = UNSET
    hop: Small | UnsetType | None = UNSET


class ActionBody(_Body):
    kind: Name | UnsetType | None = UNSET
    provider: Name | UnsetType | None = UNSET
    model: Label | UnsetType | None = UNSET
    tool: Label | UnsetType | None = UNSET
    fingerprint: Label | UnsetType | None = UNSET


class EstimateBody(_Body):
    input_tokens: Count | UnsetType = UNSET
    max_output_tokens: Count | UnsetType = UNSET
    tool_calls: Tools | UnsetType | None = UNSET
    amount: str | UnsetType = UNSET
    credits: Count | UnsetType = UNSET
    risk_points: Count | UnsetType = UNSET


class ReserveBody(_Body):
    subject: SubjectBody
    action: ActionBody | UnsetType | None = UNSET
    estimate: EstimateBody | UnsetType | None = UNSET
    currency: str | UnsetType = UNSET
    ttl_seconds: Seconds | UnsetType | None = UNSET
    mode: Literal["enforce", "dry_run"] | UnsetType | None = UNSET


class ReserveItem(ReserveBody):
    idempotency_key: Key | UnsetType = UNSET


class UsageBody(_Body):
    input_tokens: Count | UnsetType = UNSET
    cache_read_input_tokens: Count | UnsetType = UNSET
    cache_creation_input_tokens: Count | UnsetType = UNSET
    cache_creation_1h_input_tokens: Count | UnsetType = UNSET
    output_tokens: Count | UnsetType = UNSET
    reasoning_output_tokens: Count | UnsetType = UNSET
    tool_calls: Tools | UnsetType = UNSET


class ActualBody(_Body):
    usage: UsageBody | UnsetType | None = UNSET
    amount: str | UnsetType = UNSET
    latency_ms: Milliseconds | UnsetType | None = UNSET
    response_id: Label | UnsetType | None = UNSET
    credits: Count | UnsetType = UNSET
    risk_points: Count | UnsetType = UNSET
    reason: Reason | UnsetType | None = UNSET


class CommitBody(ActualBody, kw_only=True):
    outcome: Outcome


class CommitItem(CommitBody, kw_only=True):
    id: str | UnsetType
    idempotency_key: Key | UnsetType


class ReleaseBody(_Body):
    reason: Reason | UnsetType | None = UNSET
    amount: str | UnsetType = UNSET


class ExtendBody(_Body):
    ttl_seconds: Seconds


class FactBody(ActualBody, kw_only=True):
    source: Label
    id: Label | UnsetType
    subject: SubjectBody
    action: ActionBody | UnsetType | None = UNSET
    occurred_at: str
    outcome: Outcome | UnsetType | None = UNSET
    reservation: str | UnsetType | None = UNSET
    currency: str | UnsetType = UNSET


class ReserveBatch(_Body):
    items: Annotated[list[ReserveItem], Meta(min_length=1, max_length=MAX_BATCH)]


class CommitBatch(_Body):
    items: Annotated[list[CommitItem], Meta(min_length=1, max_length=MAX_BATCH)]


class FactBatch(_Body):
    items: Annotated[list[FactBody], Meta(min_length=1, max_length=MAX_USAGE_BATCH)]


class _Unusual(Exception):
    """The exact way must look at this body."""


_NOTHING_TOLD: Final = (UNSET,) * 4
_NO_ESTIMATE: Final = EstimateBody()
T = TypeVar("T")
B = TypeVar("B", bound=_Body)
_encode: Final = msgspec.json.Encoder(order="sorted").encode
_RESERVE: Final = msgspec.json.Decoder(ReserveBody).decode
_COMMIT: Final = msgspec.json.Decoder(CommitBody).decode
_RELEASE: Final = msgspec.json.Decoder(ReleaseBody).decode
_EXTEND: Final = msgspec.json.Decoder(ExtendBody).decode
_FACT: Final = msgspec.json.Decoder(FactBody).decode
_RESERVES: Final = msgspec.json.Decoder(ReserveBatch).decode
_COMMITS: Final = msgspec.json.Decoder(CommitBatch).decode
_FACTS: Final = msgspec.json.Decoder(FactBatch).decode


def reserve(raw: bytes, call: Call, _: UUID | None) -> Command:
    """The reservation of an ordinary body. All of these raise what `quick` catches."""
    body, canonical = _read(_RESERVE, raw)
    made = _reserve(body)
    call.admitted.refuse_platform()
    key = None if body.mode == "dry_run" else call.key_of_canonical(canonical, required=True)
    return Reserve(call.admitted.organization, call.admitted.caller, key, *made)


def commit(raw: bytes, call: Call, reservation: UUID | None) -> Command:
    """The commit of an ordinary body."""
    body, canonical = _read(_COMMIT, raw)
    actual = _actual(body, body.outcome)
    call.admitted.refuse_platform()
    key = call.key_of_canonical(canonical, required=True)
    assert reservation is not None
    return Commit(call.admitted.organization, call.admitted.caller, key, reservation, body.outcome, actual)


def release(raw: bytes, call: Call, reservation: UUID | None) -> Command:
    """The release of an ordinary body."""
    body, canonical = _read(_RELEASE, raw)
    amount = None if body.amount is UNSET else parse_amount(body.amount)
    call.admitted.refuse_platform()
    key = call.key_of_canonical(canonical, required=True)
    assert reservation is not None
    return Release(
        call.admitted.organization, call.admitted.caller, key, reservation, _given(body.reason) or "", amount
    )


def extend(raw: bytes, call: Call, reservation: UUID | None) -> Command:
    """The heartbeat of an ordinary body."""
    body, canonical = _read(_EXTEND, raw)
    call.admitted.refuse_platform()
    key = call.key_of_canonical(canonical, required=False)
    assert reservation is not None
    return Extend(call.admitted.organization, call.admitted.caller, key, reservation, body.ttl_seconds)


def record_usage(raw: bytes, call: Call, _: UUID | None) -> Command:
    """The fact of an ordinary body."""
    body, canonical = _read(_FACT, raw)
    made = _fact(body)
    call.admitted.refuse_platform()
    key = call.key_of_canonical(canonical, required=False)
    return RecordUsage(call.admitted.organization, call.admitted.caller, key, *made)


def reserve_batch(raw: bytes, call: Call) -> list[Command]:
    """The reservations of a batch in which every item is ordinary and good."""
    body, _ = _read(_RESERVES, raw)
    call.admitted.refuse_platform()
    organization, caller = call.admitted.organization, call.admitted.caller
    commands: list[Command] = []
    for item in body.items:
        key = None if item.mode == "dry_run" else _item_key(item, "/v1/reservations")
        commands.append(Reserve(organization, caller, key, *_reserve(item)))
    return commands


def commit_batch(raw: bytes, call: Call) -> list[Command]:
    """The commits of a batch in which every item is ordinary and good."""
    body, _ = _read(_COMMITS, raw)
    call.admitted.refuse_platform()
    organization, caller = call.admitted.organization, call.admitted.caller
    commands: list[Command] = []
    for item in body.items:
        name = ids.parse_id(item.id)
        item.id = UNSET
        key = _item_key(item, f"/v1/reservations/{name}/commit")
        commands.append(Commit(organization, caller, key, name, item.outcome, _actual(item, item.outcome)))
    return commands


def usage_batch(raw: bytes, call: Call) -> list[Command]:
    """The facts of a batch in which every item is ordinary and good."""
    body, _ = _read(_FACTS, raw)
    call.admitted.refuse_platform()
    organization, caller = call.admitted.organization, call.admitted.caller
    return [RecordUsage(organization, caller, None, *_fact(item)) for item in body.items]


def quick(read: Callable[..., T], raw: bytes, *given: Any) -> T | None:
    """What one of the functions above makes of a body; None when the exact way must look at it.

    That is also where every refusal is found, so that there is one for each mistake.
    """
    try:
        return read(raw, *given)
    except (_Unusual, msgspec.DecodeError, ProblemError):
        return None


def _read(decode: Callable[[bytes], B], raw: bytes) -> tuple[B, bytes]:
    """An ordinary body and its canonical form."""
    if b"\\" in raw or b"\x7f" in raw or not raw.isascii():
        raise _Unusual
    body = decode(raw)
    canonical = _encode(body)
    # The canonical form is the shortest there is: what is as long has no second key, and no number in another form.
    if len(canonical) != len(raw) and len(canonical) != len(msgspec.json.format(raw, indent=-1)):
        raise _Unusual
    if b'" ' in canonical:  # a text that begins with a space, and may hold nothing else
        raise _Unusual
    return body, canonical


def _given(value: Any) -> Any:
    return None if value is UNSET else value


def _reserve(body: ReserveBody) -> tuple[Any, ...]:
    """The fields of a Reserve after its key."""
    if body.currency is not UNSET and body.currency not in EXPONENTS:
        raise _Unusual
    return (
        _subject(body.subject),
        _action(body.action),
        _estimate(body.estimate),
        body.currency or "",
        body.ttl_seconds or DEFAULT_TTL_SECONDS,
        body.mode == "dry_run",
    )


def _subject(body: SubjectBody) -> Subject:
    return Subject(
        body.agent,
        _given(body.workflow),
        _given(body.run),
        _given(body.parent_run),
        _given(body.connection),
        _given(body.user),
        _given(body.team),
        _given(body.step),
        _given(body.attempt),
        _given(body.parent_task),
        _given(body.hop),
    )


def _action(body: ActionBody | UnsetType | None) -> Action:
    if not body:
        return NO_ACTION
    return Action(
        body.kind or "custom",
        _given(body.provider),
        _given(body.model),
        _given(body.tool),
        _given(body.fingerprint),
    )


def _estimate(body: EstimateBody | UnsetType | None) -> Estimate | None:
    if not body:
        return None
    if body == _NO_ESTIMATE:
        raise _Unusual
    tools, amount = body.tool_calls, body.amount
    return Estimate(
        body.input_tokens or 0,
        body.max_output_tokens or 0,
        parse_tool_calls(tools) if tools else (),
        0 if amount is UNSET else parse_amount(amount),
        body.credits or 0,
        body.risk_points or 0,
    )


def _actual(body: ActualBody, outcome: str) -> Actual:
    usage, amount = body.usage, body.amount
    told = (usage, amount, body.credits, body.risk_points)
    if outcome == "completed" and told == _NOTHING_TOLD:
        raise _Unusual
    return Actual(
        _usage(usage) if usage else None,
        None,
        0 if amount is UNSET else parse_amount(amount, allow_zero=True),
        body.credits or 0,
        body.risk_points or 0,
        _given(body.latency_ms),
        _given(body.response_id),
        _given(body.reason),
    )


def _usage(body: UsageBody) -> Usage:
    created, output = body.cache_creation_input_tokens or 0, body.output_tokens or 0
    usage = Usage(
        body.input_tokens or 0,
        body.cache_read_input_tokens or 0,
        created,
        body.cache_creation_1h_input_tokens or 0,
        output,
        body.reasoning_output_tokens or 0,
        tool_calls=parse_tool_calls(body.tool_calls) if body.tool_calls else (),
    )
    if (
        usage.cache_read_input_tokens + created > usage.input_tokens
        or usage.cache_creation_1h_input_tokens > created
        or usage.reasoning_output_tokens > output
    ):
        raise _Unusual
    return usage


def _fact(body: FactBody) -> tuple[Any, ...]:
    """The fields of a RecordUsage after its key. The body loses its id, which is no part of what was told."""
    outcome, external_id = body.outcome or "completed", body.id
    if body.currency is not UNSET and body.currency not in EXPONENTS:
        raise _Unusual
    reservation = ids.parse_id(body.reservation) if body.reservation else None
    if body.reservation == "":
        raise _Unusual
    body.id = UNSET
    return (
        body.source,
        external_id,
        hashlib.sha256(_encode(body)).digest()[:16],
        _subject(body.subject),
        _action(body.action),
        outcome,
        _actual(body, outcome),
        fields.instant(body.occurred_at),
        reservation,
        body.currency or "",
    )


def _item_key(item: ReserveItem | CommitItem, path: str) -> RequestKey:
    key = item.idempotency_key
    if key is UNSET:
        raise _Unusual
    item.idempotency_key = UNSET
    return canonical_key(key, path, _encode(item))
