"""A client of the example API."""

import json
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings


class ApiClient:
    """Calls the example API as one of its callers."""

    def __init__(self) -> None:
        self.client = Client(raise_request_exception=False)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        caller: str | None = "Bearer one",
        content_type: str = "application/json",
        **headers: str,
    ) -> Any:
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        known = {name.replace("_", "-"): value for name, value in headers.items()}
        if caller is not None:
            known.setdefault("Authorization", caller)
        return self.client.generic(method, path, data, content_type=content_type, headers=known)

    def refused(self, *args: Any, **keywords: Any) -> tuple[int, str]:
        """Status and code of a refusal, which must be a well-formed problem."""
        response = self.call(*args, **keywords)
        assert response.headers["Content-Type"] == "application/problem+json"
        members = response.json()
        assert members["status"] == response.status_code
        assert members["request_id"] == response.headers["X-Request-Id"]
        assert "secret" not in response.content.decode()
        assert "Traceback" not in response.content.decode()
        return response.status_code, members["code"]


@pytest.fixture
def api(settings: Settings) -> ApiClient:
    """The example API, with its own callers."""
    settings.ROOT_URLCONF = "tests.unit.common.api.example"
    settings.API_AUTHENTICATOR = "tests.unit.common.api.example.authenticate"
    settings.ALLOWED_HOSTS = ["testserver"]
    return ApiClient()
