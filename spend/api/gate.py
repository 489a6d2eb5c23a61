"""The gate over HTTP: POST on eight addresses, from bytes to commands and back; no framework and no ORM on this path.

What the request alone shows to be wrong is refused here, in this order: the path, the credentials and their scope, the
query, the body, the idempotency key, the fields, the rate of the key. Then the commands go to the gate. A refusal
before the gate rests on credentials that were read for this very call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg

from common import fields, ids
from common.api.limiter import Limiter
from common.api.rsgi import Request, guarded
from common.bodies import BodyReader
from common.errors import (
    Forbidden,
    GateUnavailable,
    InvalidCredentials,
    InvalidField,
    InvalidId,
    MethodNotAllowed,
    NotFound,
    ProblemError,
    problem,
)
from common.strictjson import parse_object
from orgs.api.keyring import Entry, Keyring
from spend.api import quickwire
from spend.api.admitted import Admitted
from spend.api.calls import MAX_BATCH, MAX_USAGE_BATCH, Call, item_key
from spend.api.metrics import count
from spend.api.wire import BATCH_KEY, read_commit, read_extend, read_release, read_reserve, read_usage
from spend.rules.commands import Command
from spend.rules.effects import Answer

MAX_RUNNING: Final = 2_000
"""How many calls may wait for the gate at once; the next one is told at once to come again."""

LARGE_BYTES: Final = 65_536
_large: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="large-bodies")
"""One at a time, and not among the threads that read for the gate while it holds locks."""

Submit = Callable[[Sequence[Command]], Awaitable[list[Answer]]]
encode = msgspec.json.Encoder().encode


Body = Mapping[str, Any]


def _reserve(call: Call, body: Body, _: UUID | None) -> Command:
    key = None if body.get("mode") == "dry_run" else call.key(body, required=True)
    return read_reserve(body, **call.admitted.named, key=key)


def _commit(call: Call, body: Body, reservation: UUID | None) -> Command:
    key = call.key(body, required=True)
    return read_commit(body, **call.admitted.named, key=key, reservation=_given(reservation))


def _release(call: Call, body: Body, reservation: UUID | None) -> Command:
    key = call.key(body, required=True)
    return read_release(body, **call.admitted.named, key=key, reservation=_given(reservation))


def _extend(call: Call, body: Body, reservation: UUID | None) -> Command:
    key = call.key(body, required=False)
    return read_extend(body, **call.admitted.named, key=key, reservation=_given(reservation))


def _usage(call: Call, body: Body, _: UUID | None) -> Command:
    return read_usage(body, **call.admitted.named, key=call.key(body, required=False))


def _reserve_item(call: Call, item: Body) -> Command:
    key = None if item.get("mode") == "dry_run" else item_key(item, "/v1/reservations")
    return read_reserve(item, **call.admitted.named, key=key, extra=BATCH_KEY)


def _commit_item(call: Call, item: Body) -> Command:
    reservation = fields.uuid(item.get("id"), pointer="/id")
    key = item_key(item, f"/v1/reservations/{reservation}/commit")
    extra = BATCH_KEY | {"id"}
    return read_commit(item, **call.admitted.named, key=key, reservation=reservation, extra=extra)


def _usage_item(call: Call, item: Body) -> Command:
    return read_usage(item, **call.admitted.named, key=None)


def _given(reservation: UUID | None) -> UUID:
    assert reservation is not None
    return reservation


@dataclass(frozen=True, slots=True)
class Single:
    """An address whose body is one command: how it is read exactly, and quickly."""

    name: str
    read: Callable[[Call, Body, UUID | None], Command]
    quick: Callable[[bytes, Call, UUID | None], Command]


@dataclass(frozen=True, slots=True)
class Many:
    """An address whose body is a list of commands: how an item is read exactly, and all of them quickly."""

    name: str
    read: Callable[[Call, Body], Command]
    quick: Callable[[bytes, Call], list[Command]]
    limit: int


Endpoint = Single | Many
SHARED: Final[dict[str, Endpoint]] = {
    "/v1/reservations": Single("reserve", _reserve, quickwire.reserve),
    "/v1/usage": Single("usage", _usage, quickwire.record_usage),
}
"""Addresses whose other methods are answered elsewhere."""
OWN: Final[dict[str, Endpoint]] = {
    "/v1/reservations/batch": Many("reserve_batch", _reserve_item, quickwire.reserve_batch, MAX_BATCH),
    "/v1/reservations/commit_batch": Many("commit_batch", _commit_item, quickwire.commit_batch, MAX_BATCH),
    "/v1/usage/batch": Many("usage_batch", _usage_item, quickwire.usage_batch, MAX_USAGE_BATCH),
}
VERBS: Final[dict[str, Endpoint]] = {
    "commit": Single("commit", _commit, quickwire.commit),
    "release": Single("release", _release, quickwire.release),
    "extend": Single("extend", _extend, quickwire.extend),
}
_PREFIX: Final = "/v1/reservations/"


def find_endpoint(method: str, path: str) -> tuple[Endpoint, str | None] | None:
    """The gate's endpoint and the reservation in the path, whatever that is; None when others answer."""
    shared = SHARED.get(path)
    if shared is not None:
        return (shared, None) if method == "POST" else None
    if path in OWN:
        return OWN[path], None
    if path.startswith(_PREFIX):
        name, _, verb = path[len(_PREFIX) :].partition("/")
        if name and verb in VERBS:
            return VERBS[verb], name
    return None


class GateEntry:
    """Answers the gate's calls of one process.

    A call waits `deadline_seconds` for the gate; what it asked for may take effect all the same, and its key tells.
    `remembers`: whether a key that was read before will do, because the gate checks it again under its lock.
    """

    def __init__(
        self,
        *,
        keyring: Keyring[Admitted],
        limiter: Limiter,
        submit: Submit,
        deadline_seconds: float,
        remembers: bool = True,
    ) -> None:
        self._remembers = remembers
        self._keyring = keyring
        self._limiter = limiter
        self._submit = submit
        self._deadline_seconds = deadline_seconds
        self._running = 0

    async def close(self) -> None:
        """Wait for what is under way."""
        while self._running:
            await asyncio.sleep(0.01)

    async def answer(self, request: Request, endpoint: Endpoint, name: str | None) -> None:
        """Answer one call."""
        begun = time.perf_counter()
        await guarded(request, self._answer(request, endpoint, name))
        count(endpoint.name, request.status, time.perf_counter() - begun)

    async def _answer(self, request: Request, endpoint: Endpoint, name: str | None) -> None:
        request.check_host()
        if request.method != "POST":
            raise MethodNotAllowed(headers={"Allow": "POST"})
        reservation = None if name is None else _path_id(name)
        header = request.header("authorization")
        entry = self._keyring.remembered(header) if self._remembers else None
        is_fresh = entry is None
        if entry is None:
            entry = await self._fresh(header)
        call = Call(request, entry.value)
        try:
            commands, refused = await self._read(call, endpoint, reservation)
        except ProblemError:
            if not is_fresh:
                await self._fresh(header)
            raise
        if isinstance(endpoint, Single):
            _answer_one(request, (await self._decide(request, commands))[0])
            return
        if not commands and not is_fresh:
            await self._fresh(header)
        answers = await self._decide(request, commands) if commands else []
        _refuse_all(answers)
        _answer_many(request, answers, refused)

    async def _fresh(self, header: str | None) -> Entry[Admitted]:
        """Whom the key stands for now. Raises InvalidCredentials, Forbidden, and GateUnavailable."""
        try:
            return await self._keyring.read(header)
        except psycopg.Error as error:
            raise GateUnavailable(retry_after=1) from error

    async def _read(
        self, call: Call, endpoint: Endpoint, reservation: UUID | None
    ) -> tuple[list[Command], dict[int, ProblemError]]:
        """The commands of a call, and for a batch what is wrong with the other items, by their place."""
        call.request.refuse_parameters()
        raw = await call.request.json_bytes()
        refused: dict[int, ProblemError] = {}
        if isinstance(endpoint, Single):
            command = quickwire.quick(endpoint.quick, raw, call, reservation)
            commands = [command or endpoint.read(call, await _exact(call, raw), reservation)]
        else:
            quick = quickwire.quick(endpoint.quick, raw, call)
            commands = quick or _read_items(call, await _exact(call, raw), endpoint, refused)
        self._limiter.take(call.admitted.key_id, len(commands) + len(refused))
        return commands, refused

    async def _decide(self, request: Request, commands: Sequence[Command]) -> list[Answer]:
        """The gate's answers. Raises what the gate raises.

        At the deadline the caller is told to come again, and the call goes on: a caller who hangs up, or whom we do
        not keep waiting, must not stop what was accepted. The server cancels no call whose caller is gone.
        """
        if self._running >= MAX_RUNNING:
            raise GateUnavailable(retry_after=1)
        self._running += 1
        loop = asyncio.get_running_loop()
        deadline = loop.call_later(self._deadline_seconds, _give_up, request)
        try:
            return await self._submit(commands)
        finally:
            deadline.cancel()
            self._running -= 1


def _give_up(request: Request) -> None:
    request.refuse_now(GateUnavailable(retry_after=1))


def _path_id(text: str) -> UUID:
    """The id in a path. Raises NotFound for everything that is not one in canonical form."""
    try:
        return ids.parse_id(text)
    except InvalidId:
        raise NotFound from None


async def _exact(call: Call, raw: bytes) -> dict[str, Any]:
    """A large body may take a third of a second: the loop goes on meanwhile."""
    if len(raw) <= LARGE_BYTES:
        body = parse_object(raw)
    else:
        body = await asyncio.get_running_loop().run_in_executor(_large, parse_object, raw)
    call.admitted.refuse_platform()
    return body


def _read_items(call: Call, body: Body, endpoint: Many, refused: dict[int, ProblemError]) -> list[Command]:
    commands: list[Command] = []
    for place, item in enumerate(_items(body, endpoint.limit)):
        try:
            commands.append(endpoint.read(call, item))
        except ProblemError as error:
            refused[place] = error
    return commands


def _items(body: Mapping[str, Any], limit: int) -> list[dict[str, Any]]:
    BodyReader(body, allowed=("items",)).check()
    items = body.get("items")
    if not isinstance(items, list) or not 1 <= len(items) <= limit:
        raise InvalidField(f"items is a list of 1 to {limit}.", pointer="/items")
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            raise InvalidField("An item is an object.", pointer=f"/items/{place}")
    return items


def _answer_one(request: Request, answer: Answer) -> None:
    if answer.error is not None:
        raise answer.error
    extra = (("idempotent-replayed", "true"),) if answer.replayed else ()
    request.answer(answer.status, _bytes(answer), *extra)


def _answer_many(request: Request, answers: Sequence[Answer], refused: Mapping[int, ProblemError]) -> None:
    """All results in the order of the items: the refused ones have their places, the others follow one another."""
    rest = iter(answers)
    results = [
        _result(request, refused[place] if place in refused else next(rest))
        for place in range(len(answers) + len(refused))
    ]
    request.answer(200, encode({"results": results}))


def _refuse_all(answers: Sequence[Answer]) -> None:
    """A key that was found to be no good any more is refused as a whole, not item by item."""
    errors = [answer.error for answer in answers]
    if errors and all(isinstance(error, InvalidCredentials | Forbidden) for error in errors):
        assert errors[0] is not None
        raise errors[0]


def _result(request: Request, found: Answer | ProblemError) -> dict[str, Any]:
    error = found if isinstance(found, ProblemError) else found.error
    if error is not None:
        status, body, _ = problem(error, request.id)
        return {"status": status, "body": msgspec.Raw(body)}
    assert isinstance(found, Answer)
    return {"status": found.status, "body": msgspec.Raw(_bytes(found))}


def _bytes(answer: Answer) -> bytes:
    return answer.packed if answer.packed is not None else encode(answer.body)
