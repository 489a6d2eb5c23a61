"""The answers of clocks, simulations and what-ifs are as the description says."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from jsonschema import Draft202012Validator, FormatChecker

from tests.builders.billing import billed
from tests.builders.gate import make_model
from tests.builders.orgs import platform
from tests.builders.simulated import decide
from tests.builders.subscribed import fee
from tests.builders.subscriptions import now_of, sell, subscribe


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Client().get("/v1/openapi.json").content)
    return found


def as_described(document: dict[str, Any], method: str, template: str, answer: Any) -> dict[str, Any]:
    """The body of an answer of 200 that is as its description says."""
    assert answer.status_code == 200, answer.content
    described = document["paths"][template][method]["responses"]["200"]["content"]["application/json"][
        "schema"
    ]
    schema = {**described, "components": document["components"]}
    body: dict[str, Any] = answer.json()
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(body)
    return body


def test_clocks_and_simulations(document: dict[str, Any]) -> None:
    made, who = billed(), platform()
    subscribe(decide(made), sell(fee("49"), credits=[{"amounts": {"USD": "20"}}]))
    path = f"/v1/organizations/{made.id}/clock"
    as_described(document, "get", "/v1/organizations/{name}/clock", who.get(path))
    moved = who.post(f"{path}/advance", {"seconds": 60})
    as_described(document, "post", "/v1/organizations/{name}/clock/advance", moved)
    until = (now_of(made.id) + timedelta(days=40)).isoformat()
    answer = who.post("/v1/simulations", {"organization": str(made.id), "until": until})
    told = as_described(document, "post", "/v1/simulations", answer)
    assert any(one["entries"] for one in told["happenings"])


def test_usage_on_other_prices(document: dict[str, Any]) -> None:
    made, who, model = billed(), platform(), make_model()
    made.use("1")
    now = datetime.now(UTC)
    body = {
        "from": (now - timedelta(days=1)).isoformat(), "to": (now + timedelta(days=1)).isoformat(),
        "organizations": [str(made.id)],
        "prices": [{"provider": "acme", "model": model, "components": {"input": "1", "output": "1"}}],
    }  # fmt: skip
    told = as_described(document, "post", "/v1/what-if/re-rate", who.post("/v1/what-if/re-rate", body))
    assert len(told["data"]) == 1
