"""The database's wall clock without asking the database each time: a forged delivery must not cost a query."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from common.clock import wall_now
from common.transactions import run_in_transaction

REFRESH_SECONDS: Final = 30.0


class WallClock:
    """The database's clock, read every half minute and carried on by this machine's steady one in between."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._read: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """Return the time in UTC. Raises ServiceUnavailable when it was never read and the database is away."""
        read = self._read
        if read is None or time.monotonic() - read[1] > REFRESH_SECONDS:
            with self._guard:
                if self._read is read:
                    self._read = (run_in_transaction(wall_now), time.monotonic())
                read = self._read
        assert read is not None
        return (read[0] + timedelta(seconds=time.monotonic() - read[1])).astimezone(UTC)


CLOCK: Final = WallClock()
