"""What has to hold, said and checked one by one. The first that does not hold ends the story."""

from collections.abc import Callable
from typing import Any

Say = Callable[[str, str], None]


class InvariantBroken(Exception):
    """An invariant does not hold."""

    def __init__(self, invariant: str, statement: str, found: str) -> None:
        self.invariant = invariant
        super().__init__(f"Invariant {invariant} does not hold: {statement}. {found}")


class Checks:
    """Checks invariants by their ids and says each one that holds."""

    def __init__(self, *, say: Say) -> None:
        self._say = say
        self.count = 0

    def equal(self, invariant: str, statement: str, *, expected: Any, found: Any, shown: str = "") -> None:
        """Raises InvariantBroken unless both are the same."""
        self.true(invariant, statement, holds=expected == found, shown=shown, found=_both(expected, found))

    def at_most(self, invariant: str, statement: str, *, limit: int, found: int, shown: str = "") -> None:
        """Raises InvariantBroken when more was found than the limit."""
        self.true(
            invariant, statement, holds=found <= limit, shown=shown, found=_both(f"at most {limit}", found)
        )

    def true(self, invariant: str, statement: str, *, holds: bool, shown: str = "", found: str = "") -> None:
        """Raises InvariantBroken unless it holds."""
        if not holds:
            raise InvariantBroken(invariant, statement, found or shown)
        self.count += 1
        self._say(invariant, f"{statement}  {shown}".rstrip())


def _both(expected: Any, found: Any) -> str:
    return f"Expected {expected}, found {found}"


def expected_grants(*, limit: int, spent: int, held_each: int, charged_each: int) -> int:
    """Return how many equal calls a limit lets through, each held before and charged less after (all in units).

    A call is let through while spent + its hold fits, equality included; calls that find only held money in
    the way wait. So the count does not depend on how many calls are under way at once.
    """
    room = limit - spent - held_each
    return room // charged_each + 1 if room >= 0 else 0
