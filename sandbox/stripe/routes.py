"""The table of calls: method, path, parameters, and the function that answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.stripe.parameters import Parameter, table

Handler = Callable[..., dict[str, Any]]
_NAME = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True)
class Route:
    """One call. `names` are the parts of the path that vary."""

    method: str
    template: str
    parameters: dict[str, Parameter]
    handler: Handler


_ROUTES: list[tuple[re.Pattern[str], Route]] = []


def route(method: str, template: str, parameters: str = "") -> Callable[[Handler], Handler]:
    """Register a function as the answer to a call."""

    def register(handler: Handler) -> Handler:
        pattern = re.compile(_NAME.sub(r"(?P<\1>[^/]+)", template))
        _ROUTES.append((pattern, Route(method, template, table(parameters), handler)))
        _ROUTES.sort(key=lambda known: "{" in known[1].template)  # exact paths before those that vary
        return handler

    return register


def find_route(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route of a call and the parts of its path; None when there is none."""
    for pattern, known in _ROUTES:
        match = pattern.fullmatch(path) if known.method == method else None
        if match:
            return known, match.groupdict()
    return None
