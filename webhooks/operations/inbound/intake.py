"""Where deliveries are stored: what comes while a statement runs goes into the next one, so that many share one commit.

A delivery is answered when its event is durable, and never before.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg_pool import AsyncConnectionPool

from common.errors import ServiceUnavailable
from common.transactions import DATABASE_ERRORS, problem_of
from webhooks.operations.inbound.storing import STORE, Arrived, store_columns, store_row

MOST_AT_ONCE: Final = 128
MOST_BYTES_AT_ONCE: Final = 4_000_000
MOST_WAITING: Final = 2_000
MOST_BYTES_WAITING: Final = 64_000_000
CLOCK_SECONDS: Final = 30.0

Pool = AsyncConnectionPool[psycopg.AsyncConnection[Any]]
Waiting = tuple[Arrived, "asyncio.Future[bool]"]


class Intake:
    """Stores the deliveries of one process, on one event loop, by connections of its own."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self._pool: Pool = AsyncConnectionPool(
            url, kwargs={**options, "autocommit": True}, min_size=0, max_size=2, timeout=2, open=False,
            name="deliveries",
        )  # fmt: skip
        self._waiting: deque[Waiting] = deque()
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._clock: tuple[datetime, float] | None = None

    async def open(self) -> None:
        """Begin, on the running loop."""
        await self._pool.open()

    async def close(self) -> None:
        """Store what waits, then let the connections go."""
        if self._task is not None:
            await asyncio.wait((self._task,))
        await self._pool.close()

    async def now(self) -> datetime:
        """This function will return the database's wall clock in UTC, read every half minute and carried on by this
        machine's steady one in between: a forged delivery must not cost a query. Raises psycopg's errors."""
        if self._clock is None or time.monotonic() - self._clock[1] > CLOCK_SECONDS:
            async with self._pool.connection() as connection:
                row = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
            assert row is not None
            self._clock = (row[0].astimezone(UTC), time.monotonic())
        return self._clock[0] + timedelta(seconds=time.monotonic() - self._clock[1])

    async def store(self, arrived: Arrived) -> bool:
        """This function will store an event, and return whether it was new (S82).

        Raises ServiceUnavailable when too much waits, or the database does not answer: it may be stored all the same,
        and the sender's next attempt will find it.
        """
        if len(self._waiting) >= MOST_WAITING or self._bytes >= MOST_BYTES_WAITING:
            raise ServiceUnavailable(retry_after=1)
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append((arrived, answer))
        self._bytes += len(arrived.body)
        if self._task is None:
            self._task = asyncio.ensure_future(self._drain())
        return await answer

    async def _drain(self) -> None:
        try:
            while self._waiting:
                await self._store(self._next())
        finally:
            self._task = None

    def _next(self) -> list[Waiting]:
        batch: list[Waiting] = []
        size = 0
        while self._waiting and len(batch) < MOST_AT_ONCE and size < MOST_BYTES_AT_ONCE:
            each = self._waiting.popleft()
            size += len(each[0].body)
            batch.append(each)
        self._bytes -= size
        return batch

    async def _store(self, batch: list[Waiting]) -> None:
        """Answers each; where the database refuses what is in one of them, that one fails alone."""
        try:
            rows = [store_row(arrived) for arrived, _ in batch]
            stored = await self._insert(rows)
        except Exception as error:
            if len(batch) > 1 and not _is_for_all(error):
                for each in batch:
                    await self._store([each])
                return
            meaning = problem_of(error) if isinstance(error, DATABASE_ERRORS) else None
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(meaning or error)
            return
        for row, (_, answer) in zip(rows, batch, strict=True):
            if not answer.done():  # whoever hung up is not waited for
                answer.set_result(row[0] in stored)

    async def _insert(self, rows: list[tuple[Any, ...]]) -> set[Any]:
        async with self._pool.connection() as connection:
            found = await connection.execute(STORE, store_columns(rows), prepare=True)
            return {row[0] for row in await found.fetchall()}


def _is_for_all(error: Exception) -> bool:
    """Whether it is the database's trouble, and none of what was to be stored."""
    return isinstance(error, DATABASE_ERRORS) and problem_of(error) is not None
