"""The simulated clock: real time and an offset. It goes on by itself and jumps when told to."""

from __future__ import annotations

import time


class Clock:
    """What time it is here. `offset` is seconds ahead of the real time; `frozen` a time at which it stands."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset
        self.frozen: float | None = None

    def now(self) -> float:
        return self.frozen if self.frozen is not None else time.time() + self.offset

    def seconds(self) -> int:
        """Return the time in whole seconds, as Stripe tells it."""
        return int(self.now())
