"""The gate's calls in the words of OpenAPI 3.1; `spend.api.wire` is what they are held to."""

from collections.abc import Mapping
from typing import Any, Final

AMOUNT: Final = {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,10})(\.[0-9]{1,8})?$", "examples": ["0.05"]}
COUNT: Final = {"type": "integer", "minimum": 0, "maximum": 10**12}
LABEL: Final = {"type": ["string", "null"], "maxLength": 200}
REFERENCE: Final = {"type": ["string", "null"], "description": "Key or id."}
SMALL: Final = {"type": ["integer", "null"], "minimum": 0, "maximum": 10**6}
TIME: Final = {"type": "string", "format": "date-time"}
ID: Final = {"type": "string", "format": "uuid"}
TOOL_CALLS: Final = {"type": "object", "additionalProperties": COUNT, "examples": [{"web_search": 3}]}
KEY: Final = {
    "name": "Idempotency-Key", "in": "header", "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "1 to 255 printable ASCII characters. An accepted call is kept under it for 30 days.",
}  # fmt: skip
OPTIONAL_KEY: Final = {**KEY, "required": False}
RESERVE_KEY: Final = {**OPTIONAL_KEY, "description": f"Required, except in a dry run. {KEY['description']}"}
RESERVATION: Final = {"name": "reservation", "in": "path", "required": True, "schema": ID}


def _object(properties: dict[str, Any], *, required: tuple[str, ...] = (), text: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        made["required"] = list(required)
    if text:
        made["description"] = text
    return made


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


SUBJECT: Final = _object(
    {
        "agent": {"type": "string", "description": "Key or id of the agent."},
        "team": REFERENCE, "workflow": REFERENCE, "connection": REFERENCE,
        "run": LABEL, "parent_run": LABEL, "user": LABEL, "parent_task": LABEL,
        "step": SMALL, "attempt": SMALL, "hop": SMALL,
    },
    required=("agent",),
    text="Whom the call is attributed to. A run begins with its first use; a child run draws from its root's budgets.",
)  # fmt: skip
ACTION: Final = _object(
    {
        "kind": {"type": "string", "default": "custom", "examples": ["llm.chat"]},
        "provider": LABEL, "model": LABEL, "tool": LABEL, "fingerprint": LABEL,
    },
)  # fmt: skip
ESTIMATE: Final = _object(
    {
        "input_tokens": COUNT, "max_output_tokens": COUNT, "tool_calls": TOOL_CALLS, "amount": AMOUNT,
        "credits": COUNT, "risk_points": COUNT,
    },
    text="The parts add up. Without an estimate: from history, else the model's maximum, else 422 estimate_required.",
)  # fmt: skip
USAGE: Final = _object(
    {
        "input_tokens": COUNT, "cache_read_input_tokens": COUNT, "cache_creation_input_tokens": COUNT,
        "cache_creation_1h_input_tokens": COUNT, "output_tokens": COUNT, "reasoning_output_tokens": COUNT,
        "tool_calls": TOOL_CALLS,
        "components": {
            "type": "array",
            "items": _object({"component": {"type": "string"}, "quantity": {"type": "string"}},
                             required=("component", "quantity")),
        },
    },
    text="Inclusive counts: cached tokens are part of input, reasoning tokens part of output.",
)  # fmt: skip
ACTUAL: Final = {
    "outcome": {"enum": ["completed", "failed", "blocked"]},
    "usage": _ref("GateUsage"),
    "amount": AMOUNT,
    "provider_usage": {"type": "object", "description": "The provider's own usage object, normalised here."},
    "latency_ms": {"type": "integer", "minimum": 0},
    "response_id": LABEL, "reason": LABEL, "credits": COUNT, "risk_points": COUNT,
}  # fmt: skip
RESERVE: Final = _object(
    {
        "subject": _ref("GateSubject"), "action": _ref("GateAction"), "estimate": _ref("GateEstimate"),
        "currency": {"type": "string", "description": "The organization's, else 422 currency_mismatch."},
        "ttl_seconds": {"type": "integer", "minimum": 1, "maximum": 86400, "default": 900},
        "mode": {"enum": ["enforce", "dry_run"], "default": "enforce"},
    },
    required=("subject",),
)  # fmt: skip
LAYER: Final = {
    "type": "object",
    "properties": {
        "id": ID, "scope": {"type": "string"}, "target": LABEL, "window": {"type": "string"},
        "unit": {"type": "string"}, "limit": {"type": "string"}, "spent": {"type": "string"},
        "held": {"type": "string"}, "remaining": {"type": "string"}, "resets_at": {"type": ["string", "null"]},
    },
}  # fmt: skip
CREDIT: Final = {
    "type": "object",
    "properties": {"available": {"type": "string"}, "held": {"type": "string"}},
}
RESERVED: Final = {
    "type": "object",
    "properties": {
        "id": {**ID, "type": ["string", "null"]}, "decision": {"enum": ["allow", "allow_with_caps"]},
        "status": {"enum": ["active", None], "description": "Null, like id and times, in a dry run."}, "held": AMOUNT,
        "currency": {"type": "string"}, "estimated_cost": AMOUNT, "price_version": {"type": ["string", "null"]},
        "expires_at": {**TIME, "type": ["string", "null"]}, "remaining_ttl_ms": {"type": ["integer", "null"]},
        "caps": _ref("Caps"),
        "budgets": {"type": "array", "items": _ref("GateLayer")}, "credit": CREDIT,
        "warnings": {"type": "array", "items": _ref("GateWarning")},
    },
}  # fmt: skip
WARNING: Final = {
    "type": "object",
    "description": (
        "threshold_reached: the highest notice level of a budget that spent and held have reached. loop_suspected: the "
        "run repeats a call. would_be_refused: what a rule in mode observe would have answered."
    ),
    "required": ["code"],
    "properties": {
        "code": {"enum": ["threshold_reached", "loop_suspected", "would_be_refused"]}, "budget_id": ID,
        "percent": {"type": "integer"}, "amount": {"type": "string"},
        "action": {"enum": ["warn", "cap"]}, "fingerprint": {"type": "string"}, "repeats": {"type": "integer"},
        "window": {"type": "integer"},
        "rule": {**ID, "type": ["string", "null"]}, "kind": {"type": "string"}, "refusal": {"type": "string"},
        "scope": {"type": "string"}, "target": {"type": ["string", "null"]},
    },
}  # fmt: skip
COMMITTED: Final = {
    "type": "object",
    "properties": {
        "id": ID, "status": {"const": "committed"}, "charged": AMOUNT, "released": AMOUNT, "overage": AMOUNT,
        "cost": AMOUNT, "currency": {"type": "string"}, "price_version": {"type": ["string", "null"]},
        "usage_record": ID, "credit": CREDIT, "late": {"type": "boolean"},
    },
}  # fmt: skip
FACT: Final = _object(
    {
        "source": {"type": "string"}, "id": {"type": "string"}, "subject": _ref("GateSubject"),
        "action": _ref("GateAction"), "occurred_at": TIME, "reservation": ID, "currency": {"type": "string"},
        **ACTUAL,
    },
    required=("source", "id", "subject", "occurred_at"),
    text="(source, id) is unique for ever. A CloudEvents 1.0 envelope with this as its data is taken, too.",
)  # fmt: skip
_LAYERS_IN_THE_WAY: Final = {
    "binding": _ref("Binding"),
    "also_failing": {
        "type": "array", "items": _ref("AlsoFailing"), "description": "The other layers in the way.",
    },
}  # fmt: skip
REFUSED: Final = {
    "allOf": [
        _ref("Problem"),
        {"type": "object", "required": ["binding", "also_failing"], "properties": _LAYERS_IN_THE_WAY},
    ]
}
DRY_DENIAL: Final = {
    "type": "object",
    "description": "What a dry run is answered that would be refused.",
    "required": ["decision", "code", "detail", "binding", "also_failing"],
    "properties": {
        "decision": {"const": "deny"}, "code": {"type": "string"}, "detail": {"type": "string"},
        **_LAYERS_IN_THE_WAY,
    },
}  # fmt: skip
RECORDED: Final = {
    "type": "object",
    "description": "A recorded fact, now and whenever it is sent again.",
    "properties": {
        "id": ID, "source": {"type": "string"}, "external_id": {"type": "string"},
        "outcome": {"enum": ["completed", "failed", "blocked"]}, "cost": AMOUNT, "charge": AMOUNT,
        "currency": {"type": "string"}, "price_version": {"type": ["string", "null"]}, "occurred_at": TIME,
        "adjustment": {"type": "boolean"},
    },
}  # fmt: skip
SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "GateSubject": SUBJECT, "GateAction": ACTION, "GateEstimate": ESTIMATE, "GateUsage": USAGE,
    "GateReserve": RESERVE, "GateLayer": LAYER, "GateReserved": RESERVED, "GateCommitted": COMMITTED,
    "GateCommit": _object(ACTUAL, required=("outcome",)), "GateUsageFact": FACT,
    "GateRefused": REFUSED, "GateWarning": WARNING, "GateDryDenial": DRY_DENIAL, "GateRecorded": RECORDED,
}  # fmt: skip


def _post(
    name: str,
    text: str,
    body: dict[str, Any],
    answers: dict[str, tuple[str, dict[str, Any]]],
    *,
    parameters: Any = (),
    refused: Mapping[str, tuple[str, dict[str, Any]]] | None = None,
) -> dict[str, Any]:
    answered = {
        status: {"description": said, "content": {"application/json": {"schema": schema}}}
        for status, (said, schema) in answers.items()
    }
    limited = (
        "More calls of this key than a second has room for; wait as Retry-After says",
        _ref("GateRefused"),
    )
    for status, (said, schema) in {"429": limited, **(refused or {})}.items():
        answered[status] = {"description": said, "content": {"application/problem+json": {"schema": schema}}}
    return {
        "post": {
            "operationId": name,
            "summary": text.split(".")[0],
            "description": text,
            "tags": ["gate"],
            "parameters": list(parameters),
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": answered,
        }
    }


def _batch(item: dict[str, Any], limit: int) -> dict[str, Any]:
    return _object(
        {"items": {"type": "array", "minItems": 1, "maxItems": limit, "items": item}}, required=("items",)
    )


def _keyed(name: str, more: dict[str, Any]) -> dict[str, Any]:
    """The object with more fields. Not by `allOf`: the object alone allows no field that it does not name."""
    item = SCHEMAS[name]
    key = {"type": "string", "minLength": 1, "maxLength": 255}
    needed = [*item["required"], "idempotency_key", *more]
    return {**item, "properties": {**item["properties"], "idempotency_key": key, **more}, "required": needed}


def _results(*bodies: str) -> dict[str, Any]:
    """One result per item: the body that the single call would have been answered."""
    body = {"anyOf": [_ref(name) for name in (*bodies, "GateRefused", "Problem")]}
    item = {
        "type": "object",
        "required": ["status", "body"],
        "properties": {"status": {"type": "integer"}, "body": body},
    }
    return {
        "type": "object",
        "required": ["results"],
        "properties": {"results": {"type": "array", "items": item}},
    }


# A refusal of the gate names the layer that binds; one of the request itself (a scope, a key in flight) does not.
_EITHER: Final = {"anyOf": [_ref("GateRefused"), _ref("Problem")]}
REFUSALS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "402": ("Refused for money", _ref("GateRefused")),
    "403": ("Refused for a duty, or not allowed", _EITHER),
    "409": ("Only held money is in the way, or the key is in flight", _EITHER),
}
STATUS: Final = {"type": "object", "properties": {"id": ID, "status": {"type": "string"}, "released": AMOUNT}}
EXTENDED: Final = {
    "type": "object",
    "properties": {"id": ID, "status": {"const": "active"}, "expires_at": TIME,
                   "remaining_ttl_ms": {"type": "integer"}},
}  # fmt: skip
_ONE = "/v1/reservations/{reservation}"
PATHS: Final[dict[str, dict[str, Any]]] = {
    "/v1/reservations": _post(
        "reserve",
        "Reserve before the call. Every budget that applies and the credit hold the estimate, or none does. Refusals: "
        "402 budget_exhausted, credit_exhausted, too_large, run_ceiling_reached; 409 budget_busy; 403 archived, "
        "organization_closed, not_permitted; 422 price_unknown, currency_mismatch, estimate_required. With mode "
        "dry_run the answer is 200 and nothing is held.",
        _ref("GateReserve"),
        {
            "201": ("Held", _ref("GateReserved")),
            "200": (
                "What a dry run would be answered",
                {"anyOf": [_ref("GateReserved"), _ref("GateDryDenial")]},
            ),
        },
        parameters=(RESERVE_KEY,),
        refused=REFUSALS,
    ),
    f"{_ONE}/commit": _post(
        "commit",
        "Book what the call took. The true cost is booked in full; what exceeds the hold is overage. After expiry the "
        "answer has late: true. 409 reservation_finalized after another commit or a release.",
        _ref("GateCommit"),
        {"200": ("Booked", _ref("GateCommitted"))},
        parameters=(RESERVATION, KEY),
    ),
    f"{_ONE}/release": _post(
        "release",
        "Free the hold. Nothing was used. With an amount it is the whole hold: more than is held is 422 "
        "amount_exceeds_available.",
        _object({"reason": {"type": "string", "maxLength": 500}, "amount": AMOUNT}),
        {"200": ("Free", STATUS)},
        parameters=(RESERVATION, KEY),
    ),
    f"{_ONE}/extend": _post(
        "extend",
        "Heartbeat. expires_at = max(expires_at, now + ttl_seconds), at most 24 hours after creation, else 422 "
        "ttl_limit.",
        _object(
            {"ttl_seconds": {"type": "integer", "minimum": 1, "maximum": 86400}}, required=("ttl_seconds",)
        ),
        {"200": ("Extended", EXTENDED)},
        parameters=(RESERVATION, OPTIONAL_KEY),
    ),
    "/v1/reservations/batch": _post(
        "reserve_batch",
        "Up to 500 independent reservations, each with its idempotency_key.",
        _batch(_keyed("GateReserve", {}), 500),
        {"200": ("One result per item, in order", _results("GateReserved", "GateDryDenial"))},
    ),
    "/v1/reservations/commit_batch": _post(
        "commit_batch",
        "Up to 500 independent commits, each with the reservation's id and an idempotency_key.",
        _batch(_keyed("GateCommit", {"id": ID}), 500),
        {"200": ("One result per item, in order", _results("GateCommitted"))},
    ),
    "/v1/usage": _post(
        "record_usage",
        "A cost-bearing fact after the event. Booked on every budget and the funding without a hold; older than 35 "
        "days it is an adjustment, more than 5 minutes ahead it is 400 event_in_future.",
        _ref("GateUsageFact"),
        {"201": ("Recorded, now or before", _ref("GateRecorded"))},
        parameters=(OPTIONAL_KEY,),
    ),
    "/v1/usage/batch": _post(
        "record_usage_batch",
        "Up to 1,000 facts.",
        _batch(_ref("GateUsageFact"), 1_000),
        {"200": ("One result per item, in order", _results("GateRecorded"))},
    ),
}
