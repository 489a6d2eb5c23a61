"""The gate over HTTP: POST on eight addresses, from bytes to commands and back; no framework and no ORM on this path.

What the request alone shows to be wrong is refused here, in this order: the path, the credentials and their scope, the
query, the body, the idempotency key, the fields, the rate of the key. Then the commands go to the gate. A refusal
before the gate rests on credentials that were read for this very call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg

from common import fields
from common.api.limiter import Limiter
from common.api.rsgi import Request, guarded
from common.bodies import BodyReader
from common.errors import (
    Forbidden,
    GateUnavailable,
    IdempotencyKeyRequired,
    InvalidCredentials,
    InvalidField,
    MethodNotAllowed,
    NotFound,
    ProblemError,
    problem,
)
from common.idempotency import keyed_request, read_key
from orgs.api.keyring import Entry, Keyring
from spend.api.admitted import Admitted
from spend.api.metrics import count
from spend.api.wire import BATCH_KEY, read_commit, read_extend, read_release, read_reserve, read_usage
from spend.rules.commands import Command, RequestKey
from spend.rules.effects import Answer

MAX_BATCH: Final = 500
MAX_USAGE_BATCH: Final = 1_000
MAX_RUNNING: Final = 2_000
"""How many calls may wait for the gate at once; the next one is told at once to come again."""

Submit = Callable[[Sequence[Command]], Awaitable[list[Answer]]]
encode = msgspec.json.Encoder().encode


class Call:
    """One authenticated call: who calls, its body, and its idempotency key."""

    __slots__ = ("admitted", "body", "request")

    def __init__(self, request: Request, admitted: Admitted, body: dict[str, Any]) -> None:
        self.request = request
        self.admitted = admitted
        self.body = body

    def key(self, *, required: bool) -> RequestKey | None:
        """The call's idempotency key. Raises IdempotencyKeyRequired and IdempotencyKeyInvalid."""
        key = read_key(self.request.header("idempotency-key"), required=required)
        return None if key is None else self._keyed(key, self.request.path, self.body)

    def key_of(self, item: Mapping[str, Any], path: str) -> RequestKey:
        """The idempotency key of a batch's item, as if it had come alone to this path."""
        given = item.get("idempotency_key")
        if given is None or type(given) is not str:
            raise IdempotencyKeyRequired(pointer="/idempotency_key")
        read_key(given, required=True)
        body = {name: value for name, value in item.items() if name not in ("idempotency_key", "id")}
        return self._keyed(given, path, body)

    def _keyed(self, key: str, path: str, body: Mapping[str, Any]) -> RequestKey:
        organization = self.admitted.organization
        found = keyed_request(organization=organization, key=key, method="POST", path=path, body=body)
        return RequestKey(found.key, found.digest)


def _reserve(call: Call, _: UUID | None) -> Command:
    dry = call.body.get("mode") == "dry_run"
    return read_reserve(call.body, **call.admitted.named, key=None if dry else call.key(required=True))


def _commit(call: Call, reservation: UUID | None) -> Command:
    key = call.key(required=True)
    return read_commit(call.body, **call.admitted.named, key=key, reservation=_given(reservation))


def _release(call: Call, reservation: UUID | None) -> Command:
    key = call.key(required=True)
    return read_release(call.body, **call.admitted.named, key=key, reservation=_given(reservation))


def _extend(call: Call, reservation: UUID | None) -> Command:
    key = call.key(required=False)
    return read_extend(call.body, **call.admitted.named, key=key, reservation=_given(reservation))


def _usage(call: Call, _: UUID | None) -> Command:
    return read_usage(call.body, **call.admitted.named, key=call.key(required=False))


def _reserve_item(call: Call, item: Mapping[str, Any]) -> Command:
    key = None if item.get("mode") == "dry_run" else call.key_of(item, "/v1/reservations")
    return read_reserve(item, **call.admitted.named, key=key, extra=BATCH_KEY)


def _commit_item(call: Call, item: Mapping[str, Any]) -> Command:
    reservation = fields.uuid(item.get("id"), pointer="/id")
    key = call.key_of(item, f"/v1/reservations/{reservation}/commit")
    extra = BATCH_KEY | {"id"}
    return read_commit(item, **call.admitted.named, key=key, reservation=reservation, extra=extra)


def _usage_item(call: Call, item: Mapping[str, Any]) -> Command:
    return read_usage(item, **call.admitted.named, key=None)


def _given(reservation: UUID | None) -> UUID:
    assert reservation is not None
    return reservation


class Single:
    """An address whose body is one command."""

    __slots__ = ("name", "read")

    def __init__(self, name: str, read: Callable[[Call, UUID | None], Command]) -> None:
        self.name = name
        self.read = read


class Many:
    """An address whose body is a list of commands."""

    __slots__ = ("limit", "name", "read")

    def __init__(self, name: str, read: Callable[[Call, Mapping[str, Any]], Command], limit: int) -> None:
        self.name = name
        self.read = read
        self.limit = limit


Endpoint = Single | Many
SHARED: Final[dict[str, Endpoint]] = {
    "/v1/reservations": Single("reserve", _reserve),
    "/v1/usage": Single("usage", _usage),
}
"""Addresses whose other methods are answered elsewhere."""
OWN: Final[dict[str, Endpoint]] = {
    "/v1/reservations/batch": Many("reserve_batch", _reserve_item, MAX_BATCH),
    "/v1/reservations/commit_batch": Many("commit_batch", _commit_item, MAX_BATCH),
    "/v1/usage/batch": Many("usage_batch", _usage_item, MAX_USAGE_BATCH),
}
VERBS: Final[dict[str, Endpoint]] = {
    "commit": Single("commit", _commit),
    "release": Single("release", _release),
    "extend": Single("extend", _extend),
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
    """

    def __init__(
        self, *, keyring: Keyring[Admitted], limiter: Limiter, submit: Submit, deadline_seconds: float
    ) -> None:
        self._keyring = keyring
        self._limiter = limiter
        self._submit = submit
        self._deadline_seconds = deadline_seconds
        self._running: set[asyncio.Future[list[Answer]]] = set()

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def answer(self, request: Request, endpoint: Endpoint, name: str | None) -> None:
        """Answer one call."""
        begun = time.perf_counter()
        status = await guarded(request, self._answer(request, endpoint, name))
        count(endpoint.name, status, time.perf_counter() - begun)

    async def _answer(self, request: Request, endpoint: Endpoint, name: str | None) -> int:
        request.check_host()
        if request.method != "POST":
            raise MethodNotAllowed(headers={"Allow": "POST"})
        reservation = None if name is None else _path_id(name)
        header = request.header("authorization")
        entry = self._keyring.remembered(header)
        is_fresh = entry is None
        if entry is None:
            entry = await self._fresh(header)
        try:
            call, commands, refused = await self._read(request, entry.value, endpoint, reservation)
        except ProblemError:
            if not is_fresh:
                await self._fresh(header)
            raise
        if isinstance(endpoint, Single):
            return _answer_one(request, (await self._decide(commands))[0])
        if not commands and not is_fresh:
            await self._fresh(header)
        answers = await self._decide(commands) if commands else []
        _refuse_all(answers)
        return _answer_many(call.request, answers, refused)

    async def _fresh(self, header: str | None) -> Entry[Admitted]:
        """Whom the key stands for now. Raises InvalidCredentials, Forbidden, and GateUnavailable."""
        try:
            return await self._keyring.read(header)
        except psycopg.Error as error:
            raise GateUnavailable(retry_after=1) from error

    async def _read(
        self, request: Request, admitted: Admitted, endpoint: Endpoint, reservation: UUID | None
    ) -> tuple[Call, list[Command], dict[int, ProblemError]]:
        """The commands of a call, and for a batch what is wrong with the other items, by their place."""
        request.refuse_parameters()
        call = Call(request, admitted, await request.object())
        admitted.refuse_platform()
        refused: dict[int, ProblemError] = {}
        if isinstance(endpoint, Single):
            commands = [endpoint.read(call, reservation)]
        else:
            commands = _read_items(call, endpoint, refused)
        self._limiter.take(admitted.key_id, len(commands) + len(refused))
        return call, commands, refused

    async def _decide(self, commands: Sequence[Command]) -> list[Answer]:
        """The gate's answers. Raises GateUnavailable when they do not come in time, and what the gate raises."""
        if len(self._running) >= MAX_RUNNING:
            raise GateUnavailable(retry_after=1)
        task = asyncio.ensure_future(self._submit(commands))
        self._running.add(task)
        task.add_done_callback(self._forget)
        try:
            # A caller who hangs up, or whom we do not keep waiting, must not stop what was accepted.
            async with asyncio.timeout(self._deadline_seconds):
                return await asyncio.shield(task)
        except TimeoutError:
            raise GateUnavailable(retry_after=1) from None

    def _forget(self, task: asyncio.Future[list[Answer]]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be waiting for it any more


def _path_id(text: str) -> UUID:
    """The id in a path. Raises NotFound for everything that is not one in canonical form."""
    if not fields.is_id(text):
        raise NotFound
    return UUID(text)


def _read_items(call: Call, endpoint: Many, refused: dict[int, ProblemError]) -> list[Command]:
    commands: list[Command] = []
    for place, item in enumerate(_items(call.body, endpoint.limit)):
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


def _answer_one(request: Request, answer: Answer) -> int:
    if answer.error is not None:
        raise answer.error
    extra = (("idempotent-replayed", "true"),) if answer.replayed else ()
    request.answer(answer.status, _bytes(answer), *extra)
    return answer.status


def _answer_many(request: Request, answers: Sequence[Answer], refused: Mapping[int, ProblemError]) -> int:
    """All results in the order of the items: the refused ones have their places, the others follow one another."""
    rest = iter(answers)
    results = [
        _result(request, refused[place] if place in refused else next(rest))
        for place in range(len(answers) + len(refused))
    ]
    request.answer(200, encode({"results": results}))
    return 200


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
