"""The API's description holds what this app offers, beside the gate's plain views."""

import json

from django.test import Client


def test_every_address_of_this_app_is_described() -> None:
    paths = json.loads(Client().get("/v1/openapi.json").content)["paths"]
    expected = {
        "/v1/budgets": {"get", "post"},
        "/v1/budgets/{name}": {"get", "patch"},
        "/v1/budgets/{name}/archive": {"post"},
        "/v1/reservations": {"get", "post"},
        "/v1/reservations/{name}": {"get"},
        "/v1/usage": {"get", "post"},
        "/v1/usage/{name}": {"get"},
        "/v1/usage/attribution": {"get"},
        "/v1/reports/uncapped": {"get"},
        "/v1/decisions": {"get"},
        "/v1/runs": {"get"},
        "/v1/runs/{name}": {"get"},
    }
    methods = {"get", "post", "patch", "put", "delete"}
    assert {path: methods & set(paths.get(path, {})) for path in expected} == expected
    assert "/v1/kill-switches" not in paths
