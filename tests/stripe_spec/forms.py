"""Form data by the types that the specification declares: everything arrives as text."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
_NOT = object()


def typed(value: Any, schema: Schema) -> Any:
    """Return the text or nested form as the schema's types; what does not fit stays text, for the validator to say."""
    for alternative in schema.get("anyOf", [schema]):
        found = _as(value, alternative)
        if found is not _NOT:
            return found
    return value


def _as(value: Any, schema: Schema) -> Any:
    kind = schema.get("type")
    if isinstance(value, dict):
        if kind == "array":
            return _array(value, schema)
        return _object(value, schema) if kind == "object" else _NOT
    if kind in ("array", "object"):
        return _NOT
    return _scalar(value, kind, schema)


def _array(value: dict[str, Any], schema: Schema) -> Any:
    if not all(key.isdecimal() for key in value):
        return _NOT
    return [typed(value[key], schema.get("items", {})) for key in sorted(value, key=int)]


def _object(value: dict[str, Any], schema: Schema) -> Any:
    known = schema.get("properties", {})
    other = schema.get("additionalProperties")
    free = other if isinstance(other, dict) else {}
    return {name: typed(one, known.get(name, free)) for name, one in value.items()}


def _scalar(value: str, kind: str | None, schema: Schema) -> Any:
    if "enum" in schema and value not in schema["enum"]:
        return _NOT
    if kind == "boolean":
        return {"true": True, "false": False}.get(value, _NOT)
    if kind in ("integer", "number"):
        try:
            return int(value) if kind == "integer" else float(value)
        except ValueError:
            return _NOT
    return value
