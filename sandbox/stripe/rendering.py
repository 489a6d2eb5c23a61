"""From what is stored to what is answered: private fields go, ids are expanded, older versions get their shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.stripe.errors import NotExecuted
from sandbox.stripe.versions import in_version
from sandbox.stripe.world import Body, Call

_DEEPEST = 4
INCLUDABLE: dict[tuple[str, str], Callable[[Call, Body], Any]] = {}
"""(object, field) that is absent unless it is expanded -> how it is made."""


def includable(kind: str, field: str) -> Callable[[Callable[[Call, Body], Any]], Callable[[Call, Body], Any]]:
    """Register how a field is made that an object has only when it is asked for."""

    def register(make: Callable[[Call, Body], Any]) -> Callable[[Call, Body], Any]:
        INCLUDABLE[kind, field] = make
        return make

    return register


def rendered(call: Call, body: Body, expand: list[str] | None = None) -> Body:
    """Return the answer's body in the caller's version."""
    tree = _tree(expand or [])
    return _render(call, body, tree)


def public(body: Any, version: str) -> Any:
    """Return the object as an event shows it: nothing expanded, in the version asked for."""
    if isinstance(body, list):
        return [public(one, version) for one in body]
    if not isinstance(body, dict):
        return body
    if body.get("object") == "event":
        return body  # is in its own version already
    shaped = in_version(body, version) if isinstance(body.get("object"), str) else body
    return {name: public(value, version) for name, value in shaped.items() if not name.startswith("_")}


def _tree(paths: list[str]) -> Body:
    tree: Body = {}
    for path in paths:
        parts = path.split(".")
        if len([part for part in parts if part != "data"]) > _DEEPEST:
            raise NotExecuted(f"You cannot expand more than {_DEEPEST} levels: {path}", param="expand")
        place = tree
        for part in parts:
            place = place.setdefault(part, {})
    return tree


def _render(call: Call, body: Body, tree: Body) -> Body:
    answer = public(body, call.version)
    kind = body.get("object", "")
    if kind == "list":
        inner = tree.get("data", {})
        answer["data"] = [_render(call, one, inner) for one in body["data"]]
        return dict(answer)
    for name, inner in tree.items():
        answer[name] = _expanded(call, body, name, inner, answer)
    return dict(answer)


def _expanded(call: Call, body: Body, name: str, inner: Body, answer: Body) -> Any:
    make = INCLUDABLE.get((body.get("object", ""), name))
    value = make(call, body) if make else body.get(name, answer.get(name))
    if value is None and name not in answer:
        raise NotExecuted(f"This property cannot be expanded ({name}).", param="expand")
    if isinstance(value, str):
        found = call.find(value) or _elsewhere(call, value)
        if found is None:
            raise NotExecuted(f"This property cannot be expanded ({name}).", param="expand")
        return _render(call, found, inner)
    if isinstance(value, dict):
        return _render(call, value, inner) if "object" in value else _plain(call, value, inner)
    return public(value, call.version)


def _plain(call: Call, value: Body, inner: Body) -> Body:
    """A part of an object that has no kind of its own: `invoice_settings.default_payment_method`."""
    answer = public(value, call.version)
    for name, deeper in inner.items():
        answer[name] = _expanded(call, value, name, deeper, answer)
    return dict(answer)


def _elsewhere(call: Call, id: str) -> Body | None:
    """A connected account is an object of the platform."""
    return call.on("").find(id) if id.startswith("acct_") else None
