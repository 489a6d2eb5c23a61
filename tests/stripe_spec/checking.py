"""The comparison of one request or answer with Stripe's specification."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jsonschema import Draft4Validator
from jsonschema.exceptions import best_match
from referencing import Registry
from referencing.jsonschema import DRAFT4

from tests.stripe_spec.allowed import EVENTS, FIELDS, PARAMETERS
from tests.stripe_spec.document import URN, document
from tests.stripe_spec.forms import typed

_CURRENT = ("2026-10-28.endive", "2026-09-30.endive", "2026-05-27.dahlia")
_CURRENCY = re.compile(r"[a-z]{3}")
_LONGEST_MESSAGE = 300


@cache
def _registry() -> Any:
    return Registry().with_resource(URN, DRAFT4.create_resource({"components": document()["components"]}))


@cache
def _templates(method: str) -> list[tuple[re.Pattern[str], str]]:
    """Exact paths before those that vary."""
    known = sorted(document()["operations"].get(method, {}), key=lambda path: ("{" in path, path))
    return [(re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), path) for path in known]


@cache
def _template(method: str, path: str) -> str | None:
    return next((name for pattern, name in _templates(method) if pattern.fullmatch(path)), None)


@cache
def _validator(method: str, template: str, part: str) -> Draft4Validator:
    schema = document()["operations"][method][template][part]
    return Draft4Validator(schema or {}, registry=_registry())


@cache
def _object_validator(kind: str) -> Draft4Validator:
    return Draft4Validator({"$ref": f"{URN}#/components/{kind}"}, registry=_registry())


class Checker:
    """What the simulator's development mode asks; every answer is a list of what is wrong."""

    def request(self, method: str, path: str, given: dict[str, Any]) -> list[str]:
        """Compare a request's form or query with the parameters that the operation has."""
        template = _template(method, path)
        if template is None:
            return ["the specification has no such operation"]
        part = "body" if method == "POST" else "query"
        validator = _validator(method, template, part)
        allowed = PARAMETERS.get(template, frozenset()) | ({"expand"} if method == "DELETE" else set())
        wanted = {name: value for name, value in given.items() if name not in allowed}
        return _wrong(validator, typed(wanted, validator.schema)) + _wrong_currency(given)

    def answer(self, method: str, path: str, status: int, body: Any, version: str) -> list[str]:
        """Compare an answer with the operation's schema; older versions have none."""
        template = _template(method, path)
        if template is None or version not in _CURRENT:
            return []
        if status >= 400:
            return _wrong(_object_validator("error"), body)
        return _wrong(_validator(method, template, "answer"), _without_new(body))

    def event(self, type: str, subject: dict[str, Any]) -> list[str]:
        """Compare an event's type and its object."""
        wrong = [] if type in document()["types"] or type in EVENTS else [f"no such type of event: {type}"]
        kind = subject.get("object", "")
        if kind not in document()["components"]:
            return [*wrong, f"{type}: no such object: {kind}"]
        return wrong + [f"{type}: {one}" for one in _wrong(_object_validator(kind), _without_new(subject))]


def _wrong(validator: Draft4Validator, value: Any) -> list[str]:
    error = best_match(validator.iter_errors(value))
    if error is None:
        return []
    place = ".".join(str(part) for part in error.absolute_path)
    return [f"{place or 'it'}: {error.message[:_LONGEST_MESSAGE]}"]


def _without_new(value: Any) -> Any:
    """The value without the fields that the specification is too old to know."""
    if isinstance(value, list):
        return [_without_new(one) for one in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("object")
    new = FIELDS.get(kind, frozenset()) if isinstance(kind, str) else frozenset()
    return {name: _without_new(one) for name, one in value.items() if name not in new}


def _wrong_currency(given: dict[str, Any]) -> list[str]:
    value = given.get("currency")
    if isinstance(value, str) and not _CURRENCY.fullmatch(value):
        return [f"currency: {value!r} is not three small letters"]
    return []
