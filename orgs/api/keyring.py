"""The API keys of one process: whom a bearer secret stands for, remembered, and read again when it must be.

What is remembered is only good together with the organization's `config_epoch`: whoever acts on it compares that
under the organization's lock. Whoever refuses before that asks `read` first, so that a revoked key is always refused
as such. Secrets are known by their SHA-256 alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import psycopg
from psycopg_pool import AsyncConnectionPool

from common.errors import InvalidCredentials, ProblemError
from orgs.operations.api_keys import note_uses
from orgs.queries.authentication import Known, bearer_secret, find_by_hashes
from orgs.rules.api_keys import hash_of, looks_like_secret

T = TypeVar("T")
MAX_KEYS: Final = 10_000
NOTE_SECONDS: Final = 60
REFRESH_SECONDS: Final = 5
"""After so long a key in use is read again, beside the calls: one that was read before a change of its organization
costs a reading within each transaction of the gate until then."""
_AT_ONCE: Final = 500


class Entry(Generic[T]):
    """What a key was admitted as; until when it lives, and from when on it is to be read again and its use to be
    noted (monotonic)."""

    __slots__ = ("dies_at", "key_id", "note_at", "refresh_at", "value")

    def __init__(self, value: T, known: Known) -> None:
        now = time.monotonic()
        self.value = value
        self.key_id = known.principal.key_id
        self.dies_at = float("inf") if known.lives_seconds is None else now + known.lives_seconds
        self.refresh_at = now + REFRESH_SECONDS
        self.note_at = now + NOTE_SECONDS if known.principal.use_is_noted else now


class Keyring(Generic[T]):
    """Asks the database by small batches on connections of its own; remembers at most `max_keys` keys.

    `admit` makes what is remembered out of what the database knows (None: nobody), or refuses.
    """

    def __init__(
        self,
        url: str,
        options: dict[str, Any],
        *,
        admit: Callable[[Known | None], T],
        max_keys: int = MAX_KEYS,
    ) -> None:
        self._admit = admit
        self._max_keys = max_keys
        self._entries: OrderedDict[bytes, Entry[T]] = OrderedDict()
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] = AsyncConnectionPool(
            url,
            kwargs={**options, "autocommit": True},
            min_size=1,
            max_size=2,
            timeout=2,
            open=False,
            name="keys",
        )
        self._asked: dict[bytes, asyncio.Future[Known | None]] = {}
        self._used: set[UUID] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_reading = self._is_noting = False

    async def open(self) -> None:
        """Begin, on the running loop."""
        await self._pool.open()

    async def close(self) -> None:
        """Finish what is under way and let the connections go."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._pool.close()

    def remembered(self, header: str | None) -> Entry[T] | None:
        """What the key in an Authorization header was admitted as, when that is known. Its use is noted."""
        secret = bearer_secret(header)
        if secret is None or not looks_like_secret(secret):
            raise InvalidCredentials
        secret_hash = hash_of(secret)
        entry = self._entries.get(secret_hash)
        if entry is None:
            return None
        now = time.monotonic()
        if now >= entry.dies_at:
            del self._entries[secret_hash]
            return None
        self._entries.move_to_end(secret_hash)
        if now >= entry.refresh_at:
            entry.refresh_at = now + REFRESH_SECONDS
            self._start(self._refresh(secret_hash))
        self._note(entry, now)
        return entry

    async def read(self, header: str | None) -> Entry[T]:
        """What the key is admitted as now. Raises what `admit` raises for it; nothing of that is remembered.

        Raises InvalidCredentials, and psycopg's errors when the database cannot be asked.
        """
        secret = bearer_secret(header)
        if secret is None or not looks_like_secret(secret):
            raise InvalidCredentials
        entry = await self._read(hash_of(secret))
        self._note(entry, time.monotonic())
        return entry

    async def _read(self, secret_hash: bytes) -> Entry[T]:
        known = await self._ask(secret_hash)
        self._entries.pop(secret_hash, None)
        value = self._admit(known)
        assert known is not None
        entry = self._entries[secret_hash] = Entry(value, known)
        if len(self._entries) > self._max_keys:
            self._entries.popitem(last=False)
        return entry

    async def _refresh(self, secret_hash: bytes) -> None:
        """A key that is refused is forgotten, one that cannot be asked for is kept: the gate asks again itself."""
        with contextlib.suppress(psycopg.Error, ProblemError):
            await self._read(secret_hash)

    async def ping(self) -> None:
        """Raises psycopg's errors when the database cannot be asked."""
        await self._ask(b"")

    def _ask(self, secret_hash: bytes) -> asyncio.Future[Known | None]:
        """Join the next statement: one that is under way may have begun before this caller came."""
        asked = self._asked.get(secret_hash)
        if asked is None:
            asked = self._asked[secret_hash] = asyncio.get_running_loop().create_future()
            if not self._is_reading:
                self._is_reading = True
                self._start(self._read_all())
        return asyncio.shield(asked)

    async def _read_all(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked, {}
                await self._answer(asked)
        finally:
            self._is_reading = False

    async def _answer(self, asked: dict[bytes, asyncio.Future[Known | None]]) -> None:
        try:
            async with self._pool.connection() as connection, connection.cursor(binary=True) as cur:
                found = await find_by_hashes(cur, list(asked))
        except Exception as error:
            for future in asked.values():
                future.set_exception(error)
                future.exception()  # whoever asked may be gone
            if not isinstance(error, psycopg.Error):
                raise
            return
        for secret_hash, future in asked.items():
            future.set_result(found.get(secret_hash))

    def _note(self, entry: Entry[T], now: float) -> None:
        if now < entry.note_at:
            return
        entry.note_at = now + NOTE_SECONDS
        self._used.add(entry.key_id)
        if not self._is_noting:
            self._is_noting = True
            self._start(self._note_all())

    async def _note_all(self) -> None:
        """Beside the calls; a use that could not be noted is noted with the key's next minute."""
        try:
            while self._used:
                used = [self._used.pop() for _ in range(min(len(self._used), _AT_ONCE))]
                async with self._pool.connection() as connection, connection.cursor() as cur:
                    await note_uses(cur, used)
        except psycopg.Error:
            self._used.clear()
        finally:
            self._is_noting = False

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
