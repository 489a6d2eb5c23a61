"""What keeps an ended grant from breaking: whoever is above the ledger may still have to charge for its time."""

from typing import Final

_conditions: Final[dict[str, str]] = {}


def register_wait(name: str, condition: str) -> None:
    """Let grants whose breakage waits (`breaks_at`) wait on while this SQL holds; `g` is the grant's row."""
    _conditions[name] = condition


def breakable() -> str:
    """Return the SQL of whether nothing keeps the grant `g` from breaking."""
    waits = " OR ".join(f"({condition})" for condition in _conditions.values())
    return f"(g.breaks_at IS NULL OR NOT ({waits or 'false'}))"
