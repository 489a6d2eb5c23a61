"""Events written in an older schema are read in today's: each step lifts the data of one version by one.

An event keeps its bytes for ever; only readers see it lifted. A type's schema is raised together with its writer,
its projector and the step from the version before.
"""

from collections.abc import Callable
from typing import Any

Data = dict[str, Any]
Upcaster = Callable[[Data], Data]

_steps: dict[tuple[str, int], Upcaster] = {}


def register(event_type: str, schema: int, step: Upcaster) -> None:
    """Add the step that lifts an event's data from `schema` to `schema + 1`. Raises ValueError for a second one."""
    if (event_type, schema) in _steps:
        raise ValueError(f"{event_type} has a step from schema {schema} already")
    _steps[event_type, schema] = step


def lifted(event_type: str, schema: int, data: Data) -> tuple[int, Data]:
    """Return the newest schema of the type, and the data in it."""
    while (step := _steps.get((event_type, schema))) is not None:
        schema, data = schema + 1, step(data)
    return schema, data


def has_steps() -> bool:
    """Say whether any type has been lifted yet; without one, reading needs no look-ups."""
    return bool(_steps)
