"""The API's description is true: nothing in it is an object of unknown members, and real answers are as it says."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from jsonschema import Draft202012Validator, FormatChecker

from tests.builders.gate import Customer, make_customer, make_model, usage_body
from tests.builders.incidents import open_incident
from tests.builders.limits import limited, move_to_morning
from tests.builders.observed import Made, write_decisions
from tests.builders.orgs import (
    Caller,
    caller,
    make_connection,
    make_member,
    make_team,
    make_workflow,
    platform,
    unique,
)
from tests.builders.prices import waiting_change

# What is free in truth: the provider's own usage object, an event's data, which depends on its type, and the evidence
# of an incident or a finding, which depends on the rule or the kind; the example of a type of webhook.
FREE = {
    "Event.data",
    "Incident.evidence",
    "Difference.detail",
    "Finding.detail",
    "Finding.proposed",
    "WebhookEventType.example",
    "GateCommit.provider_usage",
    "GateUsageFact.provider_usage",
    "post /v1/reservations/commit_batch request.items[].provider_usage",
}
OPEN = {"Problem"}  # its members depend on the code


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Client().get("/v1/openapi.json").content)
    return found


def untyped(schema: Any, place: str) -> Iterator[str]:
    """The places below a schema that say nothing of what stands there."""
    if not isinstance(schema, dict) or "$ref" in schema:
        return
    members = schema.get("properties") or {}
    inner = schema.get("additionalProperties")
    kinds = {"type", "enum", "const", "allOf", "anyOf", "oneOf"}
    if not kinds & set(schema) or (
        "object" in schema.get("type", ()) and not members and not isinstance(inner, dict)
    ):
        yield place
    if "array" in schema.get("type", ()) and not {"items", "prefixItems"} & set(schema):
        yield place
    for name, member in members.items():
        yield from untyped(member, f"{place}.{name}")
    if "items" in schema:
        yield from untyped(schema["items"], f"{place}[]")
    yield from untyped(inner, f"{place}{{}}")
    for group in ("allOf", "anyOf", "oneOf", "prefixItems"):
        for part in schema.get(group, ()):
            yield from untyped(part, place)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in ("get", "post", "put", "patch", "delete"):
                yield f"{method} {path}", operation


def places(document: dict[str, Any]) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        yield from untyped(schema, name)
    for name, operation in operations(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            yield from untyped(content.get("schema", {}), f"{name} request")
        for status, answer in operation["responses"].items():
            for content in answer.get("content", {}).values():
                yield from untyped(content.get("schema", {}), f"{name} {status}")


def test_nothing_is_untyped_but_what_is_free_in_truth(document: dict[str, Any]) -> None:
    found = {re.sub(r"request\.items\[\]", "request.items[]", place) for place in places(document)}
    assert found == FREE


def test_every_accepted_answer_has_a_schema(document: dict[str, Any]) -> None:
    silent = [
        f"{name} {status}"
        for name, operation in operations(document)
        for status, answer in operation["responses"].items()
        if status.startswith("2") and not answer.get("content")
    ]
    assert silent == []


class Described:
    """Calls the API and holds every answer against its description, members that it does not name included."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = strict({name: document[name] for name in ("paths", "components")}, "")
        self.seen: set[str] = set()

    def answer(self, method: str, template: str, given: Any) -> Any:
        """Check an answer to `method template`; returns its body."""
        operation = self.document["paths"][template][method]
        described = operation["responses"][str(given.status_code)]
        if "$ref" in described:
            described = self.document["components"]["responses"][described["$ref"].rsplit("/", 1)[1]]
        (content,) = described["content"].values()
        schema = {**content["schema"], "components": self.document["components"]}
        body = given.json()
        errors = [
            f"{method} {template} {given.status_code} at {error.json_path}: {error.message[:300]}"
            for error in Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(body)
        ]
        assert errors == []
        self.seen.add(f"{method} {template}")
        return body

    def get(self, who: Caller, template: str, name: object = "", **query: str) -> Any:
        path = template.replace("{name}", str(name))
        return self.answer("get", template, who.get(path, **query))

    def post(
        self, who: Caller, template: str, body: Any = None, name: object = "", key: str | None = None
    ) -> Any:
        path = template.replace("{name}", str(name)).replace("{reservation}", str(name))
        return self.answer("post", template, who.post(path, body, key=key or unique()))


def strict(schema: Any, name: str) -> Any:
    """The schema with every object closed that names its members, but for parts of an allOf."""
    if isinstance(schema, list):
        return [strict(part, name) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: value if key == "allOf" else strict(value, key) for key, value in schema.items()}
    if "properties" in closed and isinstance(closed.get("type"), str | list) and name not in OPEN:
        closed.setdefault("additionalProperties", False)
    return closed


@pytest.fixture(scope="module")
def api(document: dict[str, Any]) -> Described:
    return Described(document)


@pytest.fixture(scope="module")
def customer() -> Customer:
    made = make_customer("100", scopes=("admin", "spend:write"))
    make_team(made.id)
    make_workflow(made.id)
    make_connection(made.id)
    make_member(made.id)
    for scope, window, limit in (
        ("organization", "day", "50"),
        ("agent", "month", "20"),
        ("run", "run", "10"),
    ):
        made.budget(limit, scope=scope, window=window)
    made.budget("100000", unit="TOKENS")
    made.budget("30", window="rolling", rolling_seconds=3_600)
    return made


@pytest.fixture(scope="module")
def spent(api: Described, customer: Customer) -> Customer:
    """The customer after calls of every kind, each answer of which was checked."""
    who, model = customer.api, make_model()
    subject = {
        "agent": "bot",
        "workflow": "weekly",
        "connection": "main",
        "run": "r-1",
        "user": "u",
        "step": 1,
    }
    action = {"kind": "llm.chat", "provider": "acme", "model": model}
    estimate = {"input_tokens": 1_000, "max_output_tokens": 1_000}
    body = {"subject": {**subject, "attempt": 1}, "action": action, "estimate": estimate}
    reserve, item = "/v1/reservations", "/v1/reservations/{reservation}"
    held = api.post(who, reserve, body)
    api.post(who, f"{item}/extend", {"ttl_seconds": 3_600}, held["id"])
    usage = {
        "input_tokens": 900,
        "cache_read_input_tokens": 10,
        "output_tokens": 20,
        "reasoning_output_tokens": 5,
    }
    api.post(who, f"{item}/commit", {"outcome": "completed", "usage": usage}, held["id"])
    api.post(who, f"{item}/commit", {"outcome": "completed", "usage": usage}, held["id"])  # 409
    freed = api.post(who, reserve, {**body, "estimate": {"amount": "8"}})
    api.post(who, f"{item}/release", {"reason": "stop"}, freed["id"])
    child = {**subject, "run": "r-2", "parent_run": "r-1"}
    api.post(who, reserve, {**body, "subject": child, "estimate": {"amount": "8"}})
    assert api.post(who, reserve, {**body, "estimate": {"amount": "9"}})["code"] == "budget_busy"
    assert api.post(who, reserve, {**body, "estimate": {"amount": "900"}})["code"] == "too_large"
    assert api.post(who, reserve, {**body, "mode": "dry_run"})["decision"] == "allow"
    assert (
        api.post(who, reserve, {**body, "estimate": {"amount": "900"}, "mode": "dry_run"})["decision"]
        == "deny"
    )
    limited = caller(customer.id, "spend:write", connections=["main"])
    refused = api.post(limited, reserve, {**body, "subject": {"agent": "bot"}})
    assert refused["code"] == "not_permitted"
    items = [
        {**body, "idempotency_key": unique(), "estimate": {"amount": amount}} for amount in ("0.1", "900")
    ]
    results = api.post(who, "/v1/reservations/batch", {"items": items})["results"]
    assert [each["status"] for each in results] == [201, 402]
    done = {"outcome": "failed", "amount": "0.1", "idempotency_key": unique(), "id": results[0]["body"]["id"]}
    api.post(who, "/v1/reservations/commit_batch", {"items": [done, {**done, "idempotency_key": unique()}]})
    fact = usage_body("0.25", subject=subject)
    api.post(who, "/v1/usage", fact)
    api.post(who, "/v1/usage/batch", {"items": [fact, {**fact, "amount": "1"}]})
    return customer


def test_the_gates_answers_are_as_described(api: Described, spent: Customer) -> None:
    gate = {name for name, operation in operations(api.document) if operation["tags"] == ["gate"]}
    assert gate - api.seen == set()


def test_reads_are_as_described(api: Described, spent: Customer) -> None:
    customer, who, now = spent, spent.api, datetime.now(UTC)
    for path in (
        "reservations", "usage", "decisions", "runs", "budgets", "teams", "agents", "workflows", "connections",
        "members", "organizations", "event-log", "entries", "accounts", "adjustments", "credits/grants",
    ):  # fmt: skip
        found = api.get(who, f"/v1/{path}")
        rows = found["data"]
        assert rows or path == "adjustments", path
        if path not in ("decisions", "event-log", "adjustments"):
            for row in rows if path != "usage" else [row for row in rows if row["object"] == "usage"]:
                api.get(who, f"/v1/{path}/{{name}}", row["id"])
    budget = api.get(who, "/v1/budgets")["data"][0]["id"]
    write_decisions(
        customer.id, [Made(1, ((budget, "budget", "too_large"), (None, "loop", "loop_detected")))]
    )
    assert api.get(who, "/v1/decisions", observed="true")["data"]
    for path in ("balance", "trial-balance", "reports/uncapped", "reports/observed", "reports/estimates"):
        api.get(who, f"/v1/{path}")
    for dimension in ("agent", "model", "user", "tool"):
        api.get(who, "/v1/usage/attribution", group_by=dimension)
    assert api.get(who, "/v1/estimates", agent="bot")["call"]["samples"]
    for days in range(1, 6):
        who.post("/v1/usage", usage_body("1", occurred_at=(now - timedelta(days=days)).isoformat()))
    for query in (
        {"scope": "run"},
        {"scope": "agent", "window": "day"},
        {"scope": "organization", "window": "day"},
    ):
        assert api.get(who, "/v1/suggestions/limits", **query)["data"]
    account = api.get(who, "/v1/accounts")["data"][0]["id"]
    for row in api.get(who, "/v1/accounts", limit="100")["data"]:
        account = row["id"] if row["kind"] == "customer_credit" else account
    period = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
    assert api.get(who, "/v1/accounts/{name}/statement", account, **period)["data"]
    who.post(
        f"/v1/organizations/{customer.id}/api-keys",
        {"name": "k", "scopes": ["spend:read"], "agents": ["bot"]},
    )
    keys = api.answer(
        "get",
        "/v1/organizations/{name}/api-keys",
        who.get(f"/v1/organizations/{customer.id}/api-keys"),
    )
    assert keys["data"]


def test_switches_and_incidents_are_as_described(api: Described) -> None:
    customer = make_customer("10", scopes=("admin", "spend:write"))
    customer.reserved("1", subject={"run": "r-1"})
    who, why, switches = customer.api, {"reason": "x"}, "/v1/kill-switches"
    paths = ["/v1/agents/{name}/pause", "/v1/agents/{name}/resume"]
    paths += [f"/v1/runs/{{name}}/{verb}" for verb in ("pause", "resume", "stop", "resume")]
    told = [api.post(who, path, why, "bot" if "agents" in path else "r-1") for path in paths]
    assert told[-1]["code"] == "invalid_transition"
    assert api.get(who, "/v1/runs/{name}", "r-1")["switch"]["id"] == told[-2]["id"]
    killed = api.post(who, switches, {"scope": "organization", **why})
    assert len(api.get(who, switches)["data"]) == 4
    api.get(who, f"{switches}/{{name}}", killed["id"])
    api.post(who, f"{switches}/{{name}}/release", why, killed["id"])
    incident = open_incident(customer.id, switch="pause", evidence={"percent": 80, "levels": [50, 80]})
    assert api.get(who, "/v1/incidents", open="true")["data"]
    api.get(who, "/v1/incidents/{name}", incident.id)
    api.post(who, "/v1/incidents/{name}/release", why, incident.id)


def test_policies_are_as_described(api: Described, customer: Customer) -> None:
    who = customer.api
    loop = {"levels": [{"repeats": 5, "action": "cap"}, {"repeats": 9, "action": "stop"}]}
    body = {"scope": "agent", "target": "bot", "max_steps": 9, "attempts": {}, "loop": loop}
    made = api.post(who, "/v1/run-policies", body)
    for name in (made["id"], api.post(who, "/v1/run-policies", {"scope": "run", "max_depth": 9})["id"]):
        api.get(who, "/v1/run-policies/{name}", name)
        changed = who.patch(f"/v1/run-policies/{name}", {"max_seconds": 5, "mode": "off"})
        api.answer("patch", "/v1/run-policies/{name}", changed)
        api.post(who, "/v1/run-policies/{name}/archive", None, name)
    api.get(who, "/v1/run-policies")
    rules = {"max_steps": 4, "attempts": {"max": 1}, "loop": {"levels": [{"repeats": 2, "action": "cap"}]}}
    api.post(who, "/v1/run-policies", {"scope": "run", "target": "ruled", **rules})
    observed = {"scope": "run", "target": "ruled", "max_steps": 1, "mode": "observe"}
    api.post(who, "/v1/run-policies", observed)
    asked = {"agent": "bot", "run": "ruled", "step": 1}
    call = {"estimate": {"amount": "0.01"}, "action": {"kind": "llm.chat", "fingerprint": "same"}}
    for attempt, code in ((1, None), (2, "attempts_exceeded")):
        body = api.post(who, "/v1/reservations", {**call, "subject": {**asked, "attempt": attempt}})
        assert body.get("code") == code
    assert api.post(who, "/v1/reservations", {**call, "subject": asked})["code"] == "backoff_required"
    plain = {"subject": asked, "estimate": {"amount": "0.01"}}
    assert api.post(who, "/v1/reservations", plain)["warnings"]
    for _ in range(2):
        api.post(who, "/v1/reservations", plain)
    assert api.post(who, "/v1/reservations", plain)["code"] == "run_ceiling_reached"
    defaults = {"workflow": {"budgets": [{"window": "lifetime", "limit": "1000"}]}}
    api.answer("patch", "/v1/default-policies", who.patch("/v1/default-policies", defaults))
    assert api.get(who, "/v1/default-policies")["workflow"]["budgets"]


def test_prices_and_adjustments_are_as_described(api: Described, customer: Customer) -> None:
    us, owner, model = platform(), str(customer.id), make_model()
    _, change = waiting_change()
    api.get(us, "/v1/price-changes", status="proposed")
    api.post(us, "/v1/price-changes/{name}/approve", {"reason": "yes"}, change)
    own = {
        "organization": owner,
        "provider": "acme",
        "model": model,
        "components": {"input": "2", "output": "4"},
    }
    made = {
        "prices": api.post(us, "/v1/prices", own),
        "tool-prices": api.post(us, "/v1/tool-prices", {"pattern": unique("tool"), "amount": "1"}),
        "markups": api.post(us, "/v1/markups", {"organization": owner, "percent": "3", "reason": "x"}),
        "exchange-rates": api.post(us, "/v1/exchange-rates", {"base": "USD", "quote": "DKK", "rate": "7"}),
    }
    for path, row in made.items():
        api.get(us, f"/v1/{path}")
        api.get(us, f"/v1/{path}/{{name}}", row["id"])
        api.post(us, f"/v1/{path}/{{name}}/end", None, row["id"])
    body = {
        "organization": owner, "direction": "debit", "amount": "1", "currency": "USD", "contra": "revenue",
        "reason": "x",
    }  # fmt: skip
    api.post(us, "/v1/adjustments", body)
    api.get(us, "/v1/adjustments", organization=owner)


def test_rate_limits_are_as_described(api: Described) -> None:
    customer = limited()
    move_to_morning(customer)
    who, path = customer.api, "/v1/rate-limits"
    plain = {"scope": "organization", "unit": "requests", "limit": 9, "behaviour": "reject"}
    hours = {"from": "00:00", "until": "23:59"}
    for given in (
        {"window": "day"},
        {"window": "hour", "burst": 5, "per": "agent", "escalate": {"denials": 5, "seconds": 60}},
        {"window": None, "unit": "concurrent"},
        {"window": "billing_cycle", "unit": "tokens", "direction": "input", "active_hours": hours},
    ):
        api.post(who, path, {**plain, **given})
    customer.reserved()
    rows = api.get(who, path)["data"]
    assert sum(len(row["counters"]) for row in rows) == 3
    api.get(who, f"{path}/{{name}}", rows[0]["id"])
    changed = who.patch(f"{path}/{rows[0]['id']}", {"limit": 3, "active_hours": None})
    api.answer("patch", f"{path}/{{name}}", changed)
    api.post(who, f"{path}/{{name}}/archive", None, rows[0]["id"])
