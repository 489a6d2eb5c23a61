"""The OpenAPI document and its page."""

import contextlib
import re
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from pytest_django import Settings

from common.api import openapi
from tests.unit.common.api.conftest import ApiClient


@pytest.fixture
def client(settings: Settings) -> Client:
    settings.ALLOWED_HOSTS = ["testserver"]
    return Client()


@pytest.fixture
def document(client: Client) -> dict[str, Any]:
    openapi.document.cache_clear()
    found: dict[str, Any] = client.get("/v1/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in ("get", "post", "put", "patch", "delete")
    ]


class TestTheDocument:
    def test_it_is_openapi_3_1_with_a_problem_schema(self, document: dict[str, Any]) -> None:
        assert document["openapi"] == "3.1.0"
        problem = document["components"]["schemas"]["Problem"]
        assert set(problem["required"]) == {
            "type", "title", "status", "detail", "code", "request_id", "retryable",
        }  # fmt: skip

    def test_every_operation_shows_its_problems(self, document: dict[str, Any]) -> None:
        due = {"400", "401", "403", "404", "500", "502", "503"}
        assert [
            name for name, operation in operations(document) if not due <= set(operation["responses"])
        ] == []

    def test_every_reference_leads_somewhere(self, document: dict[str, Any]) -> None:
        text = openapi.document().decode()
        for reference in set(re.findall(r'"#/([^"]+)"', text)):
            target: Any = document
            for part in reference.split("/"):
                target = target[part]

    def test_a_plain_path_can_be_written_by_hand(self) -> None:
        openapi.register_paths(
            {
                "/v1/example-plain": {
                    "post": {"operationId": "plain", "responses": {"201": {"description": "x"}}}
                }
            },
            schemas={"ExamplePlain": {"type": "object"}},
        )
        try:
            openapi.document.cache_clear()
            result = openapi.add_problems(openapi.add_plain_paths({"paths": {}}))
        finally:
            openapi._plain_paths.pop("/v1/example-plain")
            openapi._plain_schemas.pop("ExamplePlain")
        operation = result["paths"]["/v1/example-plain"]["post"]
        assert operation["security"] == [{"apiKey": []}]
        assert operation["responses"]["201"] == {"description": "x"}
        assert operation["responses"]["422"] == {"$ref": "#/components/responses/Problem422"}
        assert result["components"]["schemas"]["ExamplePlain"] == {"type": "object"}


class TestWhatAViewDeclares:
    @pytest.fixture
    def paths(self, api: ApiClient) -> Any:
        schema = SchemaGenerator(urlconf="tests.unit.common.api.example").get_schema(
            request=None, public=True
        )
        return schema["paths"]

    def test_a_list_is_an_envelope_with_its_parameters(self, paths: Any) -> None:
        parameters = {parameter["name"]: parameter for parameter in paths["/v1/things"]["get"]["parameters"]}
        assert set(parameters) == {"state", "limit", "cursor"}
        assert parameters["limit"]["schema"] == {
            "type": "integer",
            "minimum": 1,
            "maximum": 100,
            "default": 20,
        }
        answer = paths["/v1/things"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert answer["$ref"] == "#/components/schemas/ThingList"

    def test_a_write_takes_an_idempotency_key_and_json(self, paths: Any) -> None:
        operation = paths["/v1/things"]["post"]
        assert [(item["name"], item["in"]) for item in operation["parameters"]] == [
            ("Idempotency-Key", "header")
        ]
        assert list(operation["requestBody"]["content"]) == ["application/json"]
        assert operation["security"] == [{"apiKey": []}]

    def test_an_amount_is_a_string_of_digits(self, api: ApiClient) -> None:
        schema = SchemaGenerator(urlconf="tests.unit.common.api.example").get_schema(
            request=None, public=True
        )
        thing = schema["components"]["schemas"]["ThingRequest"]
        assert (thing["properties"]["amount"]["type"], "total" in thing["properties"]) == ("string", False)
        assert thing["required"] == ["amount", "currency", "name"]


def test_nothing_in_the_document_is_guessed() -> None:
    with GENERATOR_STATS.silence():
        GENERATOR_STATS.reset()
        SchemaGenerator().get_schema(request=None, public=True)
    complaints = [*GENERATOR_STATS._error_cache, *GENERATOR_STATS._warn_cache]
    GENERATOR_STATS.reset()
    assert complaints == []


class TestThePage:
    def test_it_takes_nothing_from_elsewhere(self, client: Client) -> None:
        page = client.get("/v1/docs").content.decode()
        script = client.get("/v1/docs?script=").content.decode()
        assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page) == []
        assert re.findall(r"https?://", script) == []
        assert '"validatorUrl": null' in script
        assert "/v1/openapi.json" in script

    def test_its_files_are_served_by_us(self, client: Client) -> None:
        page = client.get("/v1/docs").content.decode()
        files = [path for path in re.findall(r"""(?:src|href)=["']([^"']+)""", page) if "/static/" in path]
        assert len(files) >= 3
        for path in files:
            with contextlib.closing(client.get(path)) as response:
                assert (path, response.status_code) == (path, 200)
