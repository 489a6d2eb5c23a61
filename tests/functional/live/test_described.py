"""What is live is as the description says: burn rates, velocity rules, and every event of a stream."""

import json
from typing import Any

import pytest
from django.test import Client
from jsonschema import Draft202012Validator, FormatChecker

from tests.builders.gate import body_of, make_customer
from tests.builders.orgs import make_key
from tests.builders.pace import judged, read_minutes, steady, with_past
from tests.builders.streams import Listening

EVENTS = {
    "totals": "StreamTotals", "agents": "StreamAgents", "runs": "StreamRuns", "incident": "Event", "switch": "Event",
    "threshold": "Event", "gap": "StreamGap", "end": "Problem",
}  # fmt: skip


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Client().get("/v1/openapi.json").content)
    return found


def errors(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    whole = {**schema, "components": document["components"]}
    found = Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(value)
    return [f"{error.json_path}: {error.message[:200]}" for error in found]


def answer_of(
    document: dict[str, Any], path: str, method: str = "get", status: str = "200"
) -> dict[str, Any]:
    (content,) = document["paths"][path][method]["responses"][status]["content"].values()
    schema: dict[str, Any] = content["schema"]
    return schema


def test_burn_rates_and_rules(document: dict[str, Any]) -> None:
    customer = make_customer(scopes=("admin", "spend:write"))
    held = customer.reserved("2", subject={"run": "r-1"})
    body_of(customer.commit(held["id"], "2"), 200)
    read_minutes()
    for scope in ("organization", "agent", "run"):
        found = body_of(customer.api.get("/v1/burn-rates", scope=scope), 200)
        assert found["data"]
        assert errors(document, answer_of(document, "/v1/burn-rates"), found) == []
    run = body_of(customer.api.get("/v1/runs/r-1"), 200)
    assert errors(document, answer_of(document, "/v1/runs/{name}"), run) == []
    made = body_of(customer.api.post("/v1/velocity-rules", {"scope": "agent", "target": "bot"}), 201)
    assert errors(document, answer_of(document, "/v1/velocity-rules", "post", "201"), made) == []
    listed = body_of(customer.api.get("/v1/velocity-rules"), 200)
    assert errors(document, answer_of(document, "/v1/velocity-rules"), listed) == []


def test_every_event_of_a_stream(document: dict[str, Any], web: str) -> None:
    customer = with_past(2)
    steady(customer, "1.2", days=2)
    customer.budget("10")
    body_of(customer.api.post("/v1/velocity-rules", {"scope": "organization", "action": "pause"}), 201)
    issued = make_key(customer.id, "spend:read")
    with Listening(web, issued.secret) as stream:
        customer.reserved("0.5", subject={"run": "loop"})
        stream.until("runs", lambda told: bool(told.data["data"]))
        for _ in range(12):
            held = customer.reserved("0.5", subject={"run": "loop"})
            body_of(customer.commit(held["id"], "0.5"), 200)
        judged()
        stream.until("switch")
        customer.api.post(f"/v1/organizations/{customer.id}/api-keys/{issued.key.id}/revoke")
        stream.until("end")
    seen = {told.name for told in stream.seen}
    assert seen == set(EVENTS) - {"gap"}
    for told in stream.seen:
        assert errors(document, {"$ref": f"#/components/schemas/{EVENTS[told.name]}"}, told.data) == [], (
            told.name
        )
