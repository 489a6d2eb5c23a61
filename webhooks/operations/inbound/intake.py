"""Where deliveries are stored: what comes while a statement runs goes into the next one, so that many share one commit.

A delivery is answered when its event is durable, and never before.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
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
Waiting = tuple[Sequence[Any], int, "asyncio.Future[bool]"]
"""A row, its bytes, and its answer."""


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
        while self._task is not None:
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
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((store_row(arrived), len(arrived.body), answer))
        self._bytes += len(arrived.body)
        if self._task is None:
            self._task = asyncio.ensure_future(self._drain())
        return await answer

    async def _drain(self) -> None:
        batch: list[Waiting] = []
        try:
            while self._waiting:
                batch = self._next()
                await self._store(batch)
        finally:
            _fail(batch, ServiceUnavailable(retry_after=1))  # of these nobody else would answer any
            self._task = asyncio.ensure_future(self._drain()) if self._waiting else None

    def _next(self) -> list[Waiting]:
        batch: list[Waiting] = []
        size = 0
        while self._waiting and len(batch) < MOST_AT_ONCE and size < MOST_BYTES_AT_ONCE:
            batch.append(self._waiting.popleft())
            size += batch[-1][1]
        self._bytes -= size
        return batch

    async def _store(self, batch: list[Waiting]) -> None:
        """Answers each; where one of them cannot be stored, that one fails alone."""
        try:
            stored = await self._insert(batch)
        except Exception as error:
            meaning = problem_of(error) if isinstance(error, DATABASE_ERRORS) else None
            if meaning is None and len(batch) > 1:
                for each in batch:
                    await self._store([each])
            else:
                _fail(batch, meaning or error)  # whoever answers logs what is not expected
        else:
            for row, _, answer in batch:
                if not answer.done():  # whoever hung up is not waited for
                    answer.set_result(row[0] in stored)

    async def _insert(self, batch: list[Waiting]) -> set[Any]:
        async with self._pool.connection() as connection:
            columns = store_columns([row for row, _, _ in batch])
            found = await connection.execute(STORE, columns, prepare=True)
            return {row[0] for row in await found.fetchall()}


def _fail(batch: list[Waiting], error: Exception) -> None:
    for _, _, answer in batch:
        if not answer.done():
            answer.set_exception(error)
