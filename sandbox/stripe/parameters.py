"""What a call may say: a small language for tables of parameters, and the check against them.

    amount:int! currency:str! metadata:map expand:list created:range card{number:str! cvc:str} lines[]{id:str}

`!` is required, `a|b` is one of these words, `any` is taken as it is, `range` is a number or gt/gte/lt/lte.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sandbox.stripe.errors import NotExecuted

_TOKEN = re.compile(r"([A-Za-z_0-9.|]+)(\[\])?(?::([A-Za-z_|0-9.]+))?(!)?(\{)?|(\})(!)?")
_WHOLE = re.compile(r"-?\d{1,18}")
_BOUNDS = ("gt", "gte", "lt", "lte")
_EVERYWHERE = "expand:list"
_PAGED = "limit:int starting_after:str ending_before:str"


@dataclass(frozen=True)
class Parameter:
    """One parameter: its type and, of an object or a list of objects, its fields."""

    kind: str
    required: bool = False
    fields: dict[str, Parameter] | None = None


@cache
def table(text: str) -> dict[str, Parameter]:
    """Return the parameters that the text describes, with those that every call takes."""
    tokens = list(_TOKEN.finditer(f"{text} {_EVERYWHERE}"))
    return _fields(tokens, [0])


def paged(text: str = "") -> str:
    """Return the text of a list's parameters."""
    return f"{text} {_PAGED}"


def _fields(tokens: list[re.Match[str]], at: list[int]) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {}
    while at[0] < len(tokens):
        name, is_list, kind, required, opens, closes, _ = tokens[at[0]].groups()
        at[0] += 1
        if closes:
            break
        if opens:
            found[name] = Parameter("objects" if is_list else "object", bool(required), _fields(tokens, at))
        else:
            found[name] = Parameter(kind or "str", bool(required))
    return found


def checked(given: dict[str, Any], wanted: dict[str, Parameter], inside: str = "") -> dict[str, Any]:
    """Return what was given with its types. Raises NotExecuted for what is unknown, missing or of another type."""
    for name in given:
        if name not in wanted:
            full = f"{inside}[{name}]" if inside else name
            raise NotExecuted(f"Received unknown parameter: {full}", code="parameter_unknown", param=full)
    found = {}
    for name, parameter in wanted.items():
        full = f"{inside}[{name}]" if inside else name
        if name in given:
            found[name] = _typed(given[name], parameter, full)
        elif parameter.required:
            raise NotExecuted(f"Missing required param: {full}.", code="parameter_missing", param=full)
    return found


def _typed(value: Any, parameter: Parameter, name: str) -> Any:
    kind = parameter.kind
    if value == "" and kind != "str":
        return None
    if kind in _READERS:
        return _READERS[kind](value, name)
    if kind == "object":
        return checked(_object(value, name), parameter.fields or {}, name)
    if kind == "objects":
        return [checked(_object(one, name), parameter.fields or {}, f"{name}[{number}]")
                for number, one in enumerate(_in_order(value, name))]  # fmt: skip
    words = kind.split("|")
    if value not in words:
        raise NotExecuted(f"Invalid {name}: must be one of {', '.join(words)}", param=name)
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise NotExecuted(f"Invalid string: {name}", param=name)
    return value


def _whole(value: Any, name: str) -> int:
    if not isinstance(value, str) or not _WHOLE.fullmatch(value):
        raise NotExecuted(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
    return int(value)


def _truth(value: Any, name: str) -> bool:
    if value not in ("true", "false"):
        raise NotExecuted(f"Invalid boolean: {value}", param=name)
    return bool(value == "true")


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotExecuted(f"Invalid object: {name}", param=name)
    return value


def _map(value: Any, name: str) -> dict[str, str]:
    found = {key: _text(one, f"{name}[{key}]") for key, one in _object(value, name).items()}
    for key, one in found.items():
        if len(key) > 40 or len(one) > 500:
            raise NotExecuted(f"Metadata {key} is too long", param=f"{name}[{key}]")
    return found


def _in_order(value: Any, name: str) -> list[Any]:
    given = _object(value, name)
    if not all(key.isdecimal() for key in given):
        raise NotExecuted(f"Invalid array: {name}", param=name)
    return [given[key] for key in sorted(given, key=int)]


def _list(value: Any, name: str) -> list[str]:
    return [_text(one, name) for one in _in_order(value, name)]


def _range(value: Any, name: str) -> dict[str, int]:
    if isinstance(value, str):
        return {"eq": _whole(value, name)}
    return {key: _whole(one, f"{name}[{key}]") for key, one in _object(value, name).items()
            if key in _BOUNDS or _unknown(f"{name}[{key}]")}  # fmt: skip


def _as_it_is(value: Any, name: str) -> Any:
    return value


def _unknown(name: str) -> bool:
    raise NotExecuted(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "str": _text, "int": _whole, "bool": _truth, "map": _map, "list": _list, "range": _range,
    "any": _as_it_is,
}  # fmt: skip
