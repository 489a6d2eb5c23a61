"""v1's form encoding: `items[0][price]=x` to nested values. Everything stays text; `parameters` gives it types."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from sandbox.stripe.errors import NotExecuted

_PART = re.compile(r"\[([^\[\]]*)\]")
_LARGEST_BODY_KEYS = 5000


def parse_form(text: str) -> dict[str, Any]:
    """Return the nested form; lists are still dicts with numbers as keys. Raises NotExecuted for a key that
    contradicts another one (`a=1&a[b]=2`)."""
    found: dict[str, Any] = {}
    for key, value in parse_qsl(text, keep_blank_values=True, max_num_fields=_LARGEST_BODY_KEYS):
        head, _, rest = key.partition("[")
        path = [head, *_PART.findall(f"[{rest}")] if rest else [head]
        _put(found, path, value, key)
    return found


def _put(place: dict[str, Any], path: list[str], value: str, key: str) -> None:
    for position, part in enumerate(path[:-1]):
        part = part or str(len(place))
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            raise NotExecuted(f"Invalid parameter: {key}", param="".join(path[: position + 1]))
        place = inner
    place[path[-1] or str(len(place))] = value
