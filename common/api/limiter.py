"""A limit of calls per second and key, in the memory of one process; it stands before the work, not for it."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Final

from common.errors import ProblemError

MAX_BUCKETS: Final = 10_000


class RateLimited(ProblemError):
    """Too many calls in too short a time; wait as long as Retry-After says."""

    code = "rate_limited"
    status = 429
    retryable = True


class Limiter:
    """One token bucket per key: `per_second` calls, as many at once after a second of silence.

    A call that counts for more than there are tokens left is let through when there is one left, and is paid for by
    those after it: so a large batch always has its turn. Buckets that were not used for longest are forgotten; they
    are full by then, or the process serves more than `MAX_BUCKETS` keys a second.
    """

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, count: int = 1) -> None:
        """Count `count` calls of a key. Raises RateLimited, with the whole seconds to wait."""
        now = time.monotonic()
        level, since = self._buckets.get(key) or (float(self.per_second), now)
        level = min(float(self.per_second), level + (now - since) * self.per_second)
        if level < 1:
            raise self._refusal(key, level, count)
        self._buckets[key] = (level - count, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)

    def _refusal(self, key: Hashable, level: float, count: int) -> RateLimited:
        return RateLimited(
            f"This key may make {self.per_second} calls a second.",
            retry_after=max(1, math.ceil((1 - level) / self.per_second)),
            extra={"binding": self._binding(key, count), "also_failing": []},
        )

    def _binding(self, key: Hashable, count: int) -> dict[str, Any]:
        """The figures in the form of the gate's other refusals; the unit is a call."""
        return {
            "scope": "key",
            "target": str(key),
            "rule": "calls_per_second",
            "window": "second",
            "unit": "CALLS",
            "limit": str(self.per_second),
            "spent": str(self.per_second),
            "held": "0",
            "requested": str(count),
            "remaining": "0",
        }
