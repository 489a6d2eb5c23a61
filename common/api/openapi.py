"""The OpenAPI document: what the framework knows of its views, the paths past it, and the problems of all."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from common.api.answers import JSON_MEDIA_TYPE, json_bytes
from common.api.paging import PAGE_PARAMETERS
from common.api.views import ApiView
from common.errors import PROBLEM_MEDIA_TYPE

_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})
_PROBLEMS: Final = {
    "400": "The request alone is wrong",
    "401": "No valid credentials",
    "403": "Not allowed",
    "404": "Not there, or not yours",
    "405": "Another method is due",
    "409": "The state, or a race, stands against it",
    "413": "The body is too large",
    "415": "The media type or encoding is another than JSON in UTF-8",
    "422": "Well formed, but it contradicts something stored",
    "500": "Something failed here; repeating the same idempotency key tells what became of the call",
    "502": "The process behind ended in the middle of the call; repeat it with the same idempotency key",
    "503": "Cannot decide at the moment; repeat it with the same idempotency key",
}
_ONLY_WITH_BODY: Final = frozenset({"409", "413", "415", "422"})
_PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "RFC 9457. Further members depend on the code.",
    "required": ["type", "title", "status", "detail", "code", "request_id", "retryable"],
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": ["urn:counterfoil:problem:invalid_amount"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "examples": ["invalid_amount"]},
        "request_id": {"type": "string"},
        "retryable": {"type": "boolean"},
        "retry_after": {"type": "integer", "description": "Seconds to wait"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer into the body (RFC 6901)"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
    "additionalProperties": True,
}
_IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x20-\\x7e]+$"},
    OpenApiParameter.HEADER,
    description="An accepted call is stored 30 days under its key and answered the same when it is repeated.",
)
_LIMIT = OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20})
_CURSOR = OpenApiParameter("cursor", {"type": "string"}, description="`next_cursor` of the page before")

_plain_paths: dict[str, dict[str, Any]] = {}
_plain_schemas: dict[str, dict[str, Any]] = {}


def register_paths(
    paths: Mapping[str, Mapping[str, Any]], *, schemas: Mapping[str, Mapping[str, Any]] | None = None
) -> None:
    """Add hand-written path items, such as `{"/v1/reservations": {"post": {...}}}`, and component schemas.

    For plain views, from the `ready()` of an app. Problems and the security scheme are added to them as to
    all.
    """
    for path, item in paths.items():
        _plain_paths.setdefault(path, {}).update(item)
    for name, schema in (schemas or {}).items():
        _plain_schemas[name] = dict(schema)


def add_plain_paths(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: the registered paths and schemas."""
    paths = result.setdefault("paths", {})
    for path, item in _plain_paths.items():
        operations = {
            method: {"security": [{"apiKey": []}], **operation} if method in _METHODS else operation
            for method, operation in item.items()
        }
        paths[path] = {**paths.get(path, {}), **operations}
    result["paths"] = dict(sorted(paths.items()))
    components = result.setdefault("components", {})
    components.setdefault("schemas", {}).update(_plain_schemas)
    components.setdefault("securitySchemes", {})["apiKey"] = _SECURITY_SCHEME
    return result


def add_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: the problem+json answers of every operation."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = _PROBLEM_SCHEMA
    components["responses"] = {**components.get("responses", {}), **_problem_responses()}
    for item in result["paths"].values():
        for method in _METHODS & item.keys():
            _add_problems_to(item[method], with_body=method != "get")
    return result


class _Envelope:
    """How a list is answered, in the words of drf-spectacular's paginators."""

    def get_paginated_response_schema(self, items: dict[str, Any]) -> dict[str, Any]:
        """The envelope around the items."""
        return {
            "type": "object",
            "required": ["data", "next_cursor"],
            "properties": {"data": items, "next_cursor": {"type": ["string", "null"]}},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """None here: `limit` and `cursor` stand among the view's own parameters."""
        return []


class ApiSchema(AutoSchema):
    """Adds what `ApiView` declares: query parameters, paging, and the idempotency key of writes."""

    def get_override_parameters(self) -> list[Any]:
        """The parameters that no serializer shows."""
        view = self.view
        if not isinstance(view, ApiView):
            return []
        if self.method in ("POST", "PATCH", "PUT", "DELETE"):
            return [_with_required(_IDEMPOTENCY_KEY, required=view.money_moves and self.method == "POST")]
        named = view.parameters_for(self.method) - PAGE_PARAMETERS
        paging = [_LIMIT, _CURSOR] if self._is_list_view() else []
        return [OpenApiParameter(name, {"type": "string"}) for name in sorted(named)] + paging

    def map_parsers(self) -> list[Any]:
        """The one parser takes every media type in order to refuse it itself."""
        return [JSON_MEDIA_TYPE]

    def get_paginated_name(self, serializer_name: str) -> str:
        """The name of a list's schema."""
        return f"{serializer_name}List"

    def _is_list_view(self, serializer: Any = None) -> bool:
        return isinstance(self.view, ApiView) and self.view.paged and self.method == "GET"

    def _get_paginator(self) -> _Envelope:
        return _Envelope()


class CredentialsScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes the bearer key to drf-spectacular, which finds this class by its existence."""

    target_class = "common.api.authentication.CredentialsAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """The security scheme."""
        return _SECURITY_SCHEME


_SECURITY_SCHEME: Final[dict[str, Any]] = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "cfk_…",
    "description": "An API key of an organization or of the platform",
}


@functools.lru_cache(maxsize=1)
def document() -> bytes:
    """The OpenAPI document of this process; it does not change while it runs."""
    return json_bytes(SchemaGenerator().get_schema(request=None, public=True))  # type: ignore[no-untyped-call]


@require_safe
def openapi_json(request: HttpRequest) -> HttpResponse:
    """GET /v1/openapi.json."""
    return HttpResponse(document(), content_type=JSON_MEDIA_TYPE, headers={"Cache-Control": "max-age=300"})


def _problem_responses() -> dict[str, Any]:
    content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        f"Problem{status}": {"description": description, "content": content}
        for status, description in _PROBLEMS.items()
    }


def _add_problems_to(operation: dict[str, Any], *, with_body: bool) -> None:
    responses = operation.setdefault("responses", {})
    for status in _PROBLEMS:
        if with_body or status not in _ONLY_WITH_BODY:
            responses.setdefault(status, {"$ref": f"#/components/responses/Problem{status}"})


def _with_required(parameter: OpenApiParameter, *, required: bool) -> OpenApiParameter:
    return OpenApiParameter(
        parameter.name,
        parameter.type,
        parameter.location,
        required=required,
        description=parameter.description,
    )
