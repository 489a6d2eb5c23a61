"""GET /v1/stream, answered by `web`: server-sent events of one organization for its dashboards.

One task of the process looks once a second at every organization that somebody listens to, on one connection of its
own, and hands each listener the same bytes. It shares nothing with the gate but the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from typing import Any, Final
from uuid import UUID

import psycopg
import psycopg_pool
from django.http import QueryDict

from common.api.paging import QueryReader
from common.api.rsgi import Exchange, Request, guarded
from common.api.sse import SLOW_SECONDS, Outbox, TooManyStreams, deliver
from common.errors import (
    InvalidCredentials,
    InvalidParameter,
    MethodNotAllowed,
    NotFound,
    ProblemError,
    ServiceUnavailable,
)
from orgs.api.keyring import Entry, Keyring
from orgs.queries.authentication import Known
from orgs.rules.permissions import KeyIsLimited, Principal, require_scope
from orgs.rules.scopes import PLATFORM, SPEND_READ
from spend.api.live import Channel
from spend.queries.live import AsyncCursor, Head, heads, of_one_moment

logger = logging.getLogger(__name__)
PATH: Final = "/v1/stream"
MOST_PER_KEY: Final = 5
MOST_STREAMS: Final = 100
LOOK_SECONDS: Final = 1.0
MOST_FAILURES: Final = 10
"""After so many looks in a row that failed, listeners are told to come again."""
END_SECONDS: Final = 2.0
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}")


class Reader:
    """A key that may listen: the scope spend:read, and no limit to some agents or connections."""

    __slots__ = ("principal",)

    def __init__(self, known: Known | None) -> None:
        """Raises InvalidCredentials, Forbidden and KeyIsLimited."""
        if known is None:
            raise InvalidCredentials
        require_scope(known.principal, SPEND_READ)
        if known.principal.is_limited:
            raise KeyIsLimited
        self.principal: Principal = known.principal


class Listener:
    """One open stream."""

    def __init__(self, request: Request, key: Entry[Reader], since: int) -> None:
        self.request, self.key, self.since = request, key, since
        self.outbox = Outbox()
        self.has_caught_up = False

    def end(self, error: ProblemError, position: int) -> None:
        """Tell the caller why, and end."""
        self.outbox.end(error, self.request.id, max(0, position))


class StreamEntry:
    """Answers the streams of one process; a caller who does not read is hung up on after `slow_seconds`."""

    def __init__(self, url: str, options: dict[str, Any], *, slow_seconds: float = SLOW_SECONDS) -> None:
        self._slow_seconds = slow_seconds
        self._keyring: Keyring[Reader] = Keyring(url, options, admit=Reader)
        self._pool: psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[Any]] = (
            psycopg_pool.AsyncConnectionPool(
                url, kwargs={**options, "autocommit": True}, min_size=0, max_size=2, timeout=2, open=False,
                name="streams",
            )
        )  # fmt: skip
        self._listeners: dict[UUID, set[Listener]] = {}
        self._channels: dict[UUID, Channel] = {}
        self._epochs: dict[UUID, int] = {}
        self._opening = asyncio.Lock()
        self._is_open = self._is_closing = False
        self._somebody_came = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Tell everybody that this process ends, and let the connections go."""
        self._is_closing = True
        self._end_all()
        loop = asyncio.get_running_loop()
        until = loop.time() + END_SECONDS
        while self._listeners and loop.time() < until:
            await asyncio.sleep(0.02)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        if self._is_open:
            self._is_open = False
            await self._keyring.close()
            await self._pool.close()

    async def answer(self, request: Request, exchange: Exchange) -> None:
        """Answer one call, until its stream ends."""
        await guarded(request, self._answer(request, exchange))

    async def _answer(self, request: Request, exchange: Exchange) -> None:
        request.check_host()
        if request.method != "GET":
            raise MethodNotAllowed(headers={"Allow": "GET"})
        if self._is_closing:
            raise ServiceUnavailable(retry_after=1)
        await self._open()
        key = await self._keyring.read(request.header("authorization"))
        query = QueryReader(QueryDict(request.scope.query_string), allowed=("organization",))
        organization = _organization(key.value.principal, query.uuid("organization"))
        since = _since(request.header("last-event-id"))
        now = await self._last_event(organization)
        listener = Listener(request, key, now if since is None else since)
        self._enter(organization, listener)
        try:
            await deliver(request, exchange, listener.outbox, slow_seconds=self._slow_seconds)
        finally:
            self._leave(organization, listener)

    async def _open(self) -> None:
        """The connections, with the first stream: a process that has none needs none."""
        async with self._opening:
            if not self._is_open:
                await self._pool.open()
                await self._keyring.open()
                self._is_open = True

    async def _last_event(self, organization: UUID) -> int:
        """The number of its last event: what happens from now on is told. Raises NotFound."""
        async with self._pool.connection() as connection, connection.cursor(binary=True) as cur:
            found = await heads(cur, (organization,))
        if not found:
            raise NotFound("There is no such organization.")
        return found[organization].seq

    def _enter(self, organization: UUID, listener: Listener) -> None:
        open_streams = Counter(each.key.key_id for each in self._everybody())
        if open_streams[listener.key.key_id] >= MOST_PER_KEY or sum(open_streams.values()) >= MOST_STREAMS:
            raise TooManyStreams(retry_after=5)
        self._listeners.setdefault(organization, set()).add(listener)
        self._channels.setdefault(organization, Channel(organization))
        self._somebody_came.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._look_on())

    def _leave(self, organization: UUID, listener: Listener) -> None:
        known = self._listeners[organization]
        known.discard(listener)
        if not known:
            del self._listeners[organization], self._channels[organization]

    def _everybody(self) -> list[Listener]:
        return [each for known in self._listeners.values() for each in known]

    def _end_all(self) -> None:
        for listener in self._everybody():
            listener.end(ServiceUnavailable(retry_after=1), self._position_of(listener))

    def _position_of(self, listener: Listener) -> int:
        for organization, known in self._listeners.items():
            if listener in known:
                return self._channels[organization].position
        return 0

    async def _look_on(self) -> None:
        """Look once a second, as long as somebody listens."""
        failures = 0
        try:
            while self._listeners:
                self._somebody_came.clear()
                try:
                    await self._look()
                    failures = 0
                except psycopg.Error as error:  # the pool's are of these, too
                    failures += 1
                    logger.warning("stream.look_failed", extra={"reason": type(error).__name__})
                if failures >= MOST_FAILURES:
                    self._end_all()
                await self._pause()
        finally:
            self._task = None
            self._end_all()  # nobody listens any more, or there is a defect: it is raised, and they come again

    async def _pause(self) -> None:
        """A second, or less when somebody comes."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._somebody_came.wait()
        except TimeoutError:
            return
        await asyncio.sleep(LOOK_SECONDS / 10)  # so that many who come at once are one look

    async def _look(self) -> None:
        names = {*self._listeners, *(each.key.value.principal.organization for each in self._everybody())}
        async with self._pool.connection() as connection, connection.cursor(binary=True) as cur:
            found = await heads(cur, names)
            await self._check_keys(found)
            async with of_one_moment(cur):
                for organization, channel in list(self._channels.items()):
                    if organization in found and self._channels.get(organization) is channel:
                        await self._tell(cur, channel, found[organization])

    async def _tell(self, cur: AsyncCursor, channel: Channel, head: Head) -> None:
        news = await channel.look(cur, head)
        new = []
        for listener in self._listeners.get(channel.organization, ()):
            if listener.has_caught_up:
                listener.outbox.put(news)
            else:
                new.append(listener)
        for listener in new:
            listener.outbox.put(await channel.catch_up(cur, listener.since))
            listener.has_caught_up = True

    async def _check_keys(self, found: dict[UUID, Head]) -> None:
        """End the streams of keys that are no good any more: by their time, or after a change of their organization."""
        now = time.monotonic()
        changed = {name for name, head in found.items() if self._epochs.get(name) != head.epoch}
        doubtful = [
            each
            for each in self._everybody()
            if now >= each.key.dies_at or each.key.value.principal.organization in changed
        ]
        await asyncio.gather(*map(self._check_key, doubtful))
        self._epochs = {name: head.epoch for name, head in found.items()}

    async def _check_key(self, listener: Listener) -> None:
        try:
            listener.key = await self._keyring.read(listener.request.header("authorization"))
        except ProblemError as error:
            listener.end(error, self._position_of(listener))


def _organization(caller: Principal, named: UUID | None) -> UUID:
    """Whose stream it is. Raises NotFound, and InvalidParameter for a platform key that names none."""
    if caller.has_scope(PLATFORM):
        if named is None:
            raise InvalidParameter("A platform key listens to one ?organization=.")
        return named
    if named not in (None, caller.organization):
        raise NotFound("There is no such organization.")
    return caller.organization


def _since(header: str | None) -> int | None:
    if header is None:
        return None
    if not _NUMBER.fullmatch(header):
        raise InvalidParameter("Last-Event-ID is the number of an event.")
    return int(header)
