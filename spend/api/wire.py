"""Bodies of the gate's calls to commands. Everything that the request alone shows to be wrong is a 400 here."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from common import fields
from common.bodies import BodyReader
from common.errors import InvalidField, ProblemError
from common.strictjson import canonical_digest
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
from spend.rules.normalise.contract import parse_tool_calls, parse_usage

SUBJECT_FIELDS = frozenset(
    (
        "agent",
        "team",
        "workflow",
        "run",
        "parent_run",
        "connection",
        "user",
        "step",
        "attempt",
        "parent_task",
        "hop",
    )
)
ACTION_FIELDS = frozenset(("kind", "provider", "model", "tool", "fingerprint"))
ESTIMATE_FIELDS = frozenset(
    ("input_tokens", "max_output_tokens", "tool_calls", "amount", "credits", "risk_points")
)
RESERVE_FIELDS = frozenset(("subject", "action", "estimate", "currency", "ttl_seconds", "mode"))
ACTUAL_FIELDS = frozenset(
    (
        "outcome",
        "usage",
        "amount",
        "provider_usage",
        "latency_ms",
        "response_id",
        "credits",
        "risk_points",
        "reason",
    )
)
USAGE_FIELDS = ACTUAL_FIELDS | {"source", "id", "subject", "action", "occurred_at", "reservation", "currency"}
OUTCOMES = ("completed", "failed", "blocked")
MODES = ("enforce", "dry_run")
MAX_TTL_SECONDS = 86_400
DEFAULT_TTL_SECONDS = 900
MAX_LABEL = 200
MAX_INTEGER = 10**6
NO_ACTION = Action(kind="custom")
BATCH_KEY = frozenset(("idempotency_key",))


def read_reserve(
    body: Mapping[str, Any],
    *,
    organization: UUID,
    caller: Caller,
    key: RequestKey | None,
    extra: frozenset[str] = frozenset(),
) -> Reserve:
    """Return the reservation that a body asks for. Raises the 400 of everything that is wrong in it."""
    reader = BodyReader(body, allowed=RESERVE_FIELDS | extra)
    command = Reserve(
        organization=organization,
        caller=caller,
        key=key,
        subject=_subject(reader),
        action=_action(reader),
        estimate=_estimate(reader),
        currency=reader.defaulted("currency", fields.currency, ""),
        ttl_seconds=reader.defaulted(
            "ttl_seconds", fields.integer, DEFAULT_TTL_SECONDS, minimum=1, maximum=MAX_TTL_SECONDS
        ),
        dry_run=reader.defaulted("mode", fields.choice, "enforce", options=MODES) == "dry_run",
    )
    reader.check()
    return command


def read_commit(
    body: Mapping[str, Any],
    *,
    organization: UUID,
    caller: Caller,
    key: RequestKey | None,
    reservation: UUID,
    extra: frozenset[str] = frozenset(),
) -> Commit:
    """Return the commit that a body asks for."""
    reader = BodyReader(body, allowed=ACTUAL_FIELDS | extra)
    outcome = reader.required("outcome", fields.choice, options=OUTCOMES)
    actual = _actual(reader, body, outcome)
    reader.check()
    return Commit(organization, caller, key, reservation, outcome, actual)


def read_release(
    body: Mapping[str, Any], *, organization: UUID, caller: Caller, key: RequestKey | None, reservation: UUID
) -> Release:
    """Return the release that a body asks for; its reason is optional, and so is the amount: the whole hold."""
    reader = BodyReader(body, allowed=("reason", "amount"))
    reason = reader.defaulted("reason", fields.text, "", max_length=500, multiline=True)
    amount = reader.optional("amount", fields.amount)
    reader.check()
    return Release(organization, caller, key, reservation, reason, amount)


def read_extend(
    body: Mapping[str, Any], *, organization: UUID, caller: Caller, key: RequestKey | None, reservation: UUID
) -> Extend:
    """Return the heartbeat that a body asks for."""
    reader = BodyReader(body, allowed=("ttl_seconds",))
    ttl = reader.required("ttl_seconds", fields.integer, minimum=1, maximum=MAX_TTL_SECONDS)
    reader.check()
    return Extend(organization, caller, key, reservation, ttl)


def read_usage(
    body: Mapping[str, Any], *, organization: UUID, caller: Caller, key: RequestKey | None
) -> RecordUsage:
    """Return the fact after the event that a body states, plain or in a CloudEvents 1.0 envelope."""
    body = _unwrapped(body)
    reader = BodyReader(body, allowed=USAGE_FIELDS, read_only=("organization", "status", "created_at"))
    outcome = reader.defaulted("outcome", fields.choice, "completed", options=OUTCOMES)
    command = RecordUsage(
        organization=organization,
        caller=caller,
        key=key,
        source=reader.required("source", fields.text, max_length=MAX_LABEL),
        external_id=reader.required("id", fields.text, max_length=MAX_LABEL),
        payload=canonical_digest({name: value for name, value in body.items() if name != "id"})[:16],
        subject=_subject(reader),
        action=_action(reader),
        outcome=outcome,
        actual=_actual(reader, body, outcome),
        occurred_at=reader.required("occurred_at", fields.instant),
        reservation=reader.optional("reservation", fields.uuid),
        currency=reader.defaulted("currency", fields.currency, ""),
    )
    reader.check()
    return command


def _unwrapped(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """A CloudEvents envelope's data, with its source, id and time where the data has none of its own."""
    if "specversion" not in body:
        return body
    reader = BodyReader(
        body,
        allowed=(
            "specversion",
            "id",
            "source",
            "type",
            "time",
            "data",
            "subject",
            "datacontenttype",
            "dataschema",
        ),
    )
    reader.required("specversion", fields.choice, options=("1.0",))
    reader.required("type", fields.text, max_length=MAX_LABEL)
    data = body.get("data")
    if not isinstance(data, dict):
        reader.refuse(InvalidField("data is an object.", pointer="/data"))
    reader.check()
    assert isinstance(data, dict)
    envelope = {"id": body.get("id"), "source": body.get("source"), "occurred_at": body.get("time")}
    return {**{name: value for name, value in envelope.items() if value is not None}, **data}


def _subject(reader: BodyReader) -> Subject:
    inner = reader.required_object("subject", allowed=SUBJECT_FIELDS)
    small = {"minimum": 0, "maximum": MAX_INTEGER}
    return Subject(
        agent=inner.required("agent", fields.text),
        team=inner.optional("team", fields.text),
        workflow=inner.optional("workflow", fields.text),
        run=inner.optional("run", fields.text, max_length=MAX_LABEL),
        parent_run=inner.optional("parent_run", fields.text, max_length=MAX_LABEL),
        connection=inner.optional("connection", fields.text),
        user=inner.optional("user", fields.text, max_length=MAX_LABEL),
        step=inner.optional("step", fields.integer, **small),
        attempt=inner.optional("attempt", fields.integer, **small),
        parent_task=inner.optional("parent_task", fields.text, max_length=MAX_LABEL),
        hop=inner.optional("hop", fields.integer, **small),
    )


def _action(reader: BodyReader) -> Action:
    inner = reader.object("action", allowed=ACTION_FIELDS)
    if inner is None:
        return NO_ACTION
    return Action(
        kind=inner.defaulted("kind", fields.text, "custom"),
        provider=inner.optional("provider", fields.text),
        model=inner.optional("model", fields.text, max_length=MAX_LABEL),
        tool=inner.optional("tool", fields.text, max_length=MAX_LABEL),
        fingerprint=inner.optional("fingerprint", fields.text, max_length=MAX_LABEL),
    )


def _estimate(reader: BodyReader) -> Estimate | None:
    inner = reader.object("estimate", allowed=ESTIMATE_FIELDS)
    if inner is None:
        return None
    estimate = Estimate(
        input_tokens=inner.defaulted("input_tokens", fields.quantity, 0),
        max_output_tokens=inner.defaulted("max_output_tokens", fields.quantity, 0),
        tool_calls=inner.defaulted("tool_calls", _tool_calls, ()),
        amount=inner.defaulted("amount", fields.amount, 0),
        credits=inner.defaulted("credits", fields.quantity, 0),
        risk_points=inner.defaulted("risk_points", fields.quantity, 0),
    )
    if not any(name in inner for name in ESTIMATE_FIELDS):
        inner.refuse(InvalidField("An estimate has at least one part.", pointer="/estimate"))
    return estimate


def _actual(reader: BodyReader, body: Mapping[str, Any], outcome: str) -> Actual:
    actual = Actual(
        usage=reader.optional("usage", _usage),
        raw=reader.optional("provider_usage", fields.free_object),
        amount=reader.defaulted("amount", fields.amount, 0, allow_zero=True),
        credits=reader.defaulted("credits", fields.quantity, 0),
        risk_points=reader.defaulted("risk_points", fields.quantity, 0),
        latency_ms=reader.optional("latency_ms", fields.integer, minimum=0, maximum=2**31 - 1),
        response_id=reader.optional("response_id", fields.text, max_length=MAX_LABEL),
        reason=reader.optional("reason", fields.text, max_length=500, multiline=True),
    )
    told = any(name in body for name in ("usage", "amount", "provider_usage", "credits", "risk_points"))
    if outcome == "completed" and not told:
        reader.refuse(
            InvalidField("A completed call states usage, provider_usage or amount.", pointer="/usage")
        )
    return actual


def _usage(value: object, *, pointer: str = "") -> Any:
    return parse_usage(value, pointer)


def _tool_calls(value: object, *, pointer: str = "") -> Any:
    return parse_tool_calls(value, pointer)


__all__ = ["ProblemError", "read_commit", "read_extend", "read_release", "read_reserve", "read_usage"]
