"""GET /v1/stream in the words of OpenAPI 3.1; `spend.api.live` is what it is held to."""

from collections.abc import Mapping
from typing import Any, Final

from spend.api.gate_schema import AMOUNT, ID, TIME

SIGNED: Final = {"type": "string", "examples": ["12.5", "-0.01"]}
COUNT: Final = {"type": "integer", "minimum": 0}
CURRENCY: Final = {"type": "string", "pattern": "^[A-Z]{3}$"}


def _object(properties: dict[str, Any], text: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {**made, "description": text} if text else made


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _rows(name: str, text: str) -> dict[str, Any]:
    left = {"type": "array", "items": ID, "description": "Ids of rows that are no longer shown."}
    return _object({"data": {"type": "array", "items": _ref(name)}, "left": left}, text)


SCHEMAS: Final[Mapping[str, Mapping[str, Any]]] = {
    "StreamTotals": _object(
        {
            "at": TIME, "seen_until": TIME, "currency": CURRENCY,
            "credit": _object({"posted": SIGNED, "held": AMOUNT, "available": SIGNED}),
            "held": AMOUNT, "open_reservations": COUNT,
            "today": _object({"charge": AMOUNT, "cost": AMOUNT, "calls": COUNT, "tokens": COUNT}),
            "burn_rate": _ref("BurnRate"),
        },
        "Event `totals`: the organization's money now, and its usage since midnight (UTC).",
    ),
    "StreamAgent": _object(
        {"id": ID, "key": {"type": "string"}, "held": AMOUNT, "open_reservations": COUNT, "burn_rate": _ref("BurnRate")}
    ),
    "StreamRun": _object(
        {
            "id": ID, "key": {"type": "string"}, "agent": {"type": ["string", "null"]}, "status": {"type": "string"},
            "held": AMOUNT, "charged": AMOUNT, "cost": AMOUNT, "tokens": COUNT, "tool_calls": COUNT,
            "reservations": COUNT, "usage_records": COUNT, "burn_rate": _ref("BurnRate"),
        },
        "A root run with the totals of everything below it.",
    ),
    "StreamAgents": _rows("StreamAgent", "Event `agents`: those that hold or burn, as far as they are different."),
    "StreamRuns": _rows("StreamRun", "Event `runs`: those that hold or burn, as far as they are different."),
    "StreamGap": _object(
        {"after": COUNT, "before": COUNT},
        "Event `gap`: events between these numbers are not told here; `GET /v1/event-log?since=` has them.",
    ),
}  # fmt: skip
_EVENTS: Final = ", ".join(
    (
        "`totals` (StreamTotals)", "`agents` (StreamAgents)", "`runs` (StreamRuns)",
        "`incident`, `switch`, `threshold`, `approval` (each an Event of the event log)", "`gap` (StreamGap)",
        "`end` (Problem: why the stream ends)",
    )
)  # fmt: skip
PATHS: Final[Mapping[str, Mapping[str, Any]]] = {
    "/v1/stream": {
        "get": {
            "operationId": "stream",
            "tags": ["live"],
            "summary": "Server-sent events of an organization",
            "description": (
                "At first everything as it stands, then once a second what is different. The data of each event is one "
                f"JSON value: {_EVENTS}. A comment comes every 15 seconds. `id` is the number of an event of the event "
                "log: whoever comes back with it as Last-Event-ID is told what happened meanwhile. Needs spend:read; a "
                "key that is limited to agents or connections is refused. At most 5 streams of a key in a process; who "
                "does not read is dropped."
            ),
            "parameters": [
                {"name": "organization", "in": "query", "schema": ID,
                 "description": "Of a platform key: whose stream it is."},
                {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
                 "description": "The last `id` that was received."},
            ],
            "responses": {
                "200": {
                    "description": "The stream",
                    "content": {"text/event-stream": {"schema": {"type": "string"}}},
                },
                "429": {
                    "description": "Too many streams are open",
                    "content": {"application/problem+json": {"schema": _ref("Problem")}},
                },
            },
        }
    }
}  # fmt: skip
