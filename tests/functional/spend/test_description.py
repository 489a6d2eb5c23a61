"""The API's description holds what this app offers, beside the gate's calls."""

import json

from django.test import Client

PUBLISHED = ("prices", "tool-prices", "markups", "exchange-rates")


def test_every_address_of_this_app_is_described() -> None:
    paths = json.loads(Client().get("/v1/openapi.json").content)["paths"]
    expected = {
        "/v1/budgets": {"get", "post"},
        "/v1/budgets/{name}": {"get", "patch"},
        "/v1/budgets/{name}/archive": {"post"},
        "/v1/run-policies": {"get", "post"},
        "/v1/run-policies/{name}": {"get", "patch"},
        "/v1/run-policies/{name}/archive": {"post"},
        "/v1/default-policies": {"get", "patch"},
        "/v1/reservations": {"get", "post"},
        "/v1/reservations/{name}": {"get"},
        "/v1/usage": {"get", "post"},
        "/v1/usage/{name}": {"get"},
        "/v1/usage/attribution": {"get"},
        "/v1/reports/uncapped": {"get"},
        "/v1/reports/observed": {"get"},
        "/v1/reports/estimates": {"get"},
        "/v1/suggestions/limits": {"get"},
        "/v1/estimates": {"get"},
        "/v1/decisions": {"get"},
        "/v1/runs": {"get"},
        "/v1/runs/{name}": {"get"},
        **{f"/v1/runs/{{name}}/{verb}": {"post"} for verb in ("pause", "resume", "stop")},
        **{f"/v1/agents/{{name}}/{verb}": {"post"} for verb in ("pause", "resume")},
        "/v1/kill-switches": {"get", "post"},
        "/v1/kill-switches/{name}": {"get"},
        "/v1/kill-switches/{name}/release": {"post"},
        "/v1/incidents": {"get"},
        "/v1/incidents/{name}": {"get"},
        "/v1/incidents/{name}/release": {"post"},
        "/v1/price-changes": {"get"},
        "/v1/price-changes/{name}": {"get"},
        "/v1/price-changes/{name}/approve": {"post"},
        "/v1/price-changes/{name}/reject": {"post"},
        **{f"/v1/{name}": {"get", "post"} for name in PUBLISHED},
        **{f"/v1/{name}/{{name}}": {"get"} for name in PUBLISHED},
        **{f"/v1/{name}/{{name}}/end": {"post"} for name in PUBLISHED},
    }
    methods = {"get", "post", "patch", "put", "delete"}
    assert {path: methods & set(paths.get(path, {})) for path in expected} == expected


def test_a_refused_reservation_is_described_with_the_layer_that_binds() -> None:
    document = json.loads(Client().get("/v1/openapi.json").content)
    answers = document["paths"]["/v1/reservations"]["post"]["responses"]
    shown = answers["402"]["content"]["application/problem+json"]["schema"]
    assert shown == {"$ref": "#/components/schemas/GateRefused"}
    assert {"binding", "also_failing"} == set(
        document["components"]["schemas"]["GateRefused"]["allOf"][1]["properties"]
    )


def test_every_call_of_the_gate_may_be_too_fast() -> None:
    paths = json.loads(Client().get("/v1/openapi.json").content)["paths"]
    calls = [item["post"] for item in paths.values() if item.get("post", {}).get("tags") == ["gate"]]
    assert len(calls) == 8
    for call in calls:
        shown = call["responses"]["429"]["content"]["application/problem+json"]["schema"]
        assert shown == {"$ref": "#/components/schemas/GateRefused"}


def test_an_item_of_a_batch_allows_the_key_that_it_needs() -> None:
    document = json.loads(Client().get("/v1/openapi.json").content)
    body = document["paths"]["/v1/reservations/batch"]["post"]["requestBody"]["content"]["application/json"][
        "schema"
    ]
    item = body["properties"]["items"]["items"]
    assert "idempotency_key" in item["properties"]
    assert item["required"] == ["subject", "idempotency_key"]
    assert item["additionalProperties"] is False


def test_a_parameter_that_must_be_given_says_so() -> None:
    paths = json.loads(Client().get("/v1/openapi.json").content)["paths"]
    needed = {
        (path, parameter["name"])
        for path in ("/v1/usage/attribution", "/v1/accounts/{name}/statement", "/v1/suggestions/limits")
        for parameter in paths[path]["get"]["parameters"]
        if parameter.get("required") and parameter["in"] == "query"
    }
    assert needed == {
        ("/v1/usage/attribution", "group_by"),
        ("/v1/accounts/{name}/statement", "from"),
        ("/v1/accounts/{name}/statement", "to"),
        ("/v1/suggestions/limits", "scope"),
    }
