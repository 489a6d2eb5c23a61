"""Settings of the API's plumbing; `config.settings` takes them as they are."""

from __future__ import annotations

from typing import Any, Final

API_AUTHENTICATOR: Final = "orgs.api.authentication.authenticate"
"""The callable (HttpRequest) -> Principal that knows the API keys; it lives above this app."""

REST_FRAMEWORK: Final[dict[str, Any]] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["common.api.authentication.CredentialsAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["common.api.requests.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "common.api.requests.JsonAlways",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "common.api.openapi.ApiSchema",
    "EXCEPTION_HANDLER": "common.api.answers.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS: Final[dict[str, Any]] = {
    "TITLE": "Counterfoil",
    "DESCRIPTION": (
        "Spend gate, credit ledger and usage of AI agents. Amounts are decimal strings with a currency "
        "beside them; times are RFC 3339 with offset; errors are application/problem+json."
    ),
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENABLE_LIST_MECHANICS_ON_NON_2XX": False,
    # Without null the page would ask a validator in the internet for a badge.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "common.api.openapi.add_plain_paths",
        "common.api.openapi.add_problems",
    ],
}
