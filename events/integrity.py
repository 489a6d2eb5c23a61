"""Checks of the books by other code than their writers'. Apps register theirs in `ready()`; `verify_ledger` runs
them after the seals."""

from collections.abc import Callable, Iterable

from events.store import Cursor

Check = Callable[[Cursor], Iterable[object]]

_checks: dict[str, Check] = {}


def register_check(name: str, check: Check) -> None:
    """Add a check. `check(cur)` reads only and returns what is wrong, one printable object per violation."""
    _checks[name] = check


def checks() -> Iterable[tuple[str, Check]]:
    """Return all checks with their names."""
    return _checks.items()
