"""Lanes: requests that arrive while a transaction runs are decided together in the next one, each answered separately.

A row lock is not a queue: more waiters make a hot row slower. So the callers of an organization wait in the process, in
the order in which they came, and one lane with one connection takes everybody who waits (at most 256) into its next
transaction. Nobody waits when it is idle, and one caller takes the same path. An organization belongs to one lane of
the process; several processes are safe beside each other, since the database's locks and unique keys decide.

An organization whose row cannot be had in 50 ms gets a side lane until it answers, so that it stops nobody else.
"""

import asyncio
import gc
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

import psycopg
from django.conf import settings

from common.errors import GateUnavailable
from common.transactions import problem_of, sqlstate_of
from events.store import Cursor
from spend.operations.gate.apply import Commands, Gate
from spend.operations.gate.pool import gate_connection
from spend.operations.gate.wire import Wire
from spend.rules.effects import Answer

MAX_COMMANDS: Final = 256
MAX_WAITING: Final = 10_000
LOCK_TIMEOUT_MS: Final = 50
SIDE_LOCK_TIMEOUT_MS: Final = 1_000
MAX_SIDE_LANES: Final = 16
PATIENCE_SECONDS: Final = 5.0
RETRY_AFTER_SECONDS: Final = 1
COLLECT_AFTER: Final = 100_000
"""New objects after which the youngest of them are looked at for garbage."""
_LOCK_TIMEOUT: Final = "55P03"


class Call:
    """One caller's commands, all of one organization, and the future of their answers."""

    __slots__ = ("answers", "commands", "deadline", "organization")

    def __init__(self, organization: UUID, commands: Commands) -> None:
        self.organization, self.commands = organization, commands
        self.answers: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self.deadline = time.monotonic() + PATIENCE_SECONDS

    def refuse(self) -> None:
        """Tell the caller that it may come again."""
        if not self.answers.done():
            self.answers.set_exception(GateUnavailable(retry_after=RETRY_AFTER_SECONDS))


class Decided:
    """What a batch was answered, until its callers are told."""

    __slots__ = ("_answers", "_batch")

    def __init__(self, batch: Sequence[Call] = (), answers: Sequence[Answer] = ()) -> None:
        self._batch, self._answers = batch, answers

    def tell(self) -> None:
        """Give each call the answers to its commands; whoever has gone is passed over."""
        place = 0
        for call in self._batch:
            end = place + len(call.commands)
            if not call.answers.done():
                call.answers.set_result(list(self._answers[place:end]))
            place = end


class Lane:
    """A queue with a connection of its own; at most one transaction runs. `blocked` takes calls whose row is locked."""

    def __init__(
        self,
        gate: Gate,
        *,
        lock_timeout_ms: int,
        blocked: Callable[[list[Call]], None],
        is_blocked: Callable[[UUID], bool],
    ) -> None:
        self._gate, self._lock_timeout_ms = gate, lock_timeout_ms
        self._blocked, self._is_blocked = blocked, is_blocked
        self._waiting: deque[Call] = deque()
        self._size = 0
        self._wire: Wire | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits or is being decided."""
        return self._task is not None

    def add(self, call: Call) -> None:
        """Let a call wait for the next transaction. Raises GateUnavailable when too many wait."""
        if self._size + len(call.commands) > MAX_WAITING:
            raise GateUnavailable(retry_after=RETRY_AFTER_SECONDS)
        self._waiting.append(call)
        self._size += len(call.commands)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def drain(self) -> None:
        """Wait until everybody is answered, then give the connection back."""
        while self._task is not None:
            await asyncio.wait((self._task,))
        self.disconnect()

    def disconnect(self) -> None:
        """Give the connection back; nothing may be running."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    async def _run(self) -> None:
        loop, decided = asyncio.get_running_loop(), Decided()
        try:
            while batch := self._take():
                # Its first packet leaves before the callers of the last one are answered: the database works while
                # this process writes answers and reads the next calls.
                work = loop.create_task(self._decide(batch))
                decided.tell()
                decided = await work
        finally:
            self._task = None
            decided.tell()
            for call in self._waiting:  # only when the task itself was cancelled
                call.refuse()
            self._waiting.clear()
            self._size = 0

    def _take(self) -> list[Call]:
        """Everybody who waits and fits into one transaction; whoever has waited too long or has gone is not decided."""
        batch: list[Call] = []
        count, now = 0, time.monotonic()
        while self._waiting:
            call = self._waiting[0]
            if batch and count + len(call.commands) > MAX_COMMANDS:
                break
            self._waiting.popleft()
            self._size -= len(call.commands)
            if call.answers.done():
                continue
            if now > call.deadline:
                call.refuse()
                continue
            if self._is_blocked(call.organization):
                self._blocked([call])
                continue
            batch.append(call)
            count += len(call.commands)
        return batch

    async def _decide(self, batch: list[Call]) -> Decided:
        """Have a batch decided; what goes wrong is told at once, answers are left to be told."""
        commands = [command for call in batch for command in call.commands]
        if not commands:
            return Decided()
        try:
            answers = await self._apply(commands)
        except GateUnavailable as error:
            return await self._unavailable(batch, error)
        except Exception as error:
            return await self._failed(batch, error)
        return Decided(batch, answers)

    async def _apply(self, commands: Commands) -> list[Answer]:
        if self._wire is None or not self._wire.is_open:
            if self._wire is not None:  # the server that comes next may not have what the last one said
                self._gate.memory.forget_all()
            self._wire = await self._connected()
        return await self._gate.apply(self._wire, commands)

    async def _connected(self) -> Wire:
        try:
            return await Wire.connect(
                settings.GATE_DATABASE_URL,
                lock_timeout_ms=self._lock_timeout_ms,
                **settings.GATE_CONNECTION_OPTIONS,
            )
        except psycopg.Error as error:
            raise (
                GateUnavailable(retry_after=RETRY_AFTER_SECONDS) if problem_of(error) else error
            ) from error

    async def _unavailable(self, batch: list[Call], error: GateUnavailable) -> Decided:
        """A locked row is one organization's matter: whose it is, the rows say that are free; else each is alone."""
        if sqlstate_of(error.__cause__ or error) != _LOCK_TIMEOUT:
            for call in batch:
                call.refuse()
            return Decided()
        groups: dict[UUID, list[Call]] = {}
        for call in batch:
            groups.setdefault(call.organization, []).append(call)
        if len(groups) == 1:
            self._blocked(batch)
            return Decided()
        assert self._wire is not None
        for organization in await self._gate.locked_elsewhere(self._wire, groups):
            self._blocked(groups.pop(organization))
        free = [call for group in groups.values() for call in group]
        if len(free) < len(batch):
            return await self._decide(free)
        for group in groups.values():
            (await self._decide(group)).tell()
        return Decided()

    async def _failed(self, batch: list[Call], error: Exception) -> Decided:
        """A defect that somebody's command uncovers is that call's alone."""
        if len(batch) == 1:
            if not batch[0].answers.done():
                batch[0].answers.set_exception(error)
            return Decided()
        for call in batch:
            (await self._decide([call])).tell()
        return Decided()


class SideLane(Lane):
    """The lane of one organization whose row is locked: a second of patience, then 503 to everybody who waits."""

    def __init__(self, gate: Gate, over: Callable[[], None]) -> None:
        super().__init__(
            gate, lock_timeout_ms=SIDE_LOCK_TIMEOUT_MS, blocked=self._refuse_all, is_blocked=lambda _: False
        )
        self._over = over
        self._answered = False

    def _refuse_all(self, calls: list[Call]) -> None:
        self._answered = False
        for call in (*calls, *self._waiting):
            call.refuse()

    async def _decide(self, batch: list[Call]) -> Decided:
        self._answered = True
        return await super()._decide(batch)

    async def _run(self) -> None:
        await super()._run()
        if self._answered:
            self.disconnect()
            self._over()


class Lanes:
    """The lanes of one event loop."""

    def __init__(self, *, count: int) -> None:
        collect_rarely()
        self.gate = Gate(read_aside)
        self._lanes = [
            Lane(
                self.gate,
                lock_timeout_ms=LOCK_TIMEOUT_MS,
                blocked=self._to_the_side,
                is_blocked=lambda organization: bool(self._side) and organization in self._side,
            )
            for _ in range(count)
        ]
        self._side: dict[UUID, SideLane] = {}
        self._is_closed = False

    async def submit(self, commands: Commands) -> list[Answer]:
        """This function will have the commands decided and return their answers, in order.

        Commands of one organization are decided in one transaction. Raises GateUnavailable when the database cannot
        be asked, too many wait, or the lanes are being closed.
        """
        organization = commands[0].organization
        if all(command.organization is organization for command in commands):
            return await self._one(organization, commands)
        groups: dict[UUID, list[int]] = {}
        for place, command in enumerate(commands):
            groups.setdefault(command.organization, []).append(place)
        answers: list[Answer] = [Answer(0)] * len(commands)
        decided = await asyncio.gather(
            *(self._one(name, [commands[place] for place in places]) for name, places in groups.items())
        )
        for places, found in zip(groups.values(), decided, strict=True):
            for place, answer in zip(places, found, strict=True):
                answers[place] = answer
        return answers

    async def close(self) -> None:
        """Take no more calls and return when all that were taken are answered."""
        self._is_closed = True
        while any(lane.is_busy for lane in self._all()):  # the last calls of a lane may open a side lane
            for lane in self._all():
                await lane.drain()
        for lane in self._all():
            lane.disconnect()

    def _all(self) -> list[Lane]:
        return [*self._lanes, *self._side.values()]

    def _one(self, organization: UUID, commands: Commands) -> Awaitable[list[Answer]]:
        if self._is_closed:
            raise GateUnavailable(retry_after=RETRY_AFTER_SECONDS)
        call = Call(organization, commands)
        side = self._side.get(organization) if self._side else None  # hashing an id costs more than this look
        (side or self._lanes[organization.int % len(self._lanes)]).add(call)
        return call.answers

    def _to_the_side(self, calls: list[Call]) -> None:
        organization = calls[0].organization
        side = self._side.get(organization)
        if side is None:
            if len(self._side) >= MAX_SIDE_LANES and not self._end_an_idle_one():
                for call in calls:
                    call.refuse()
                return
            side = self._side[organization] = SideLane(self.gate, lambda: self._back(organization))
        for call in calls:
            try:
                side.add(call)
            except GateUnavailable:  # it has as many as it takes; whoever moved the call here must go on
                call.refuse()

    def _end_an_idle_one(self) -> bool:
        """One whose organization was refused and did not call again: it would be kept until it does."""
        for organization, side in self._side.items():
            if not side.is_busy:
                side.disconnect()
                del self._side[organization]
                return True
        return False

    def _back(self, organization: UUID) -> None:
        self._side.pop(organization, None)


def collect_rarely() -> None:
    """This function will keep the garbage collector from what lives as long as the process, and let it run seldom.

    A transaction makes some hundred objects a command and leaves no cycles behind; walking through all that Django has
    loaded every few batches took a third of the time.
    """
    if gc.get_threshold()[0] < COLLECT_AFTER:
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER, 50, 100)


async def read_aside(load: Callable[[Cursor], None]) -> None:
    """Read something into a cache by another connection, in a thread: the loop goes on."""

    def read() -> None:
        with gate_connection() as connection, connection.cursor() as cur:
            load(cur)

    await asyncio.to_thread(read)


_of_loop: dict[asyncio.AbstractEventLoop, Lanes] = {}


def lanes() -> Lanes:
    """Return the lanes of the running event loop, opened at first use."""
    loop = asyncio.get_running_loop()
    found = _of_loop.get(loop)
    if found is None:
        for old in [other for other in _of_loop if other.is_closed()]:
            del _of_loop[old]
        found = _of_loop[loop] = Lanes(count=settings.GATE_LANES)
    return found


async def submit(commands: Commands) -> list[Answer]:
    """This function will have the commands decided in the lanes of the running loop; see `Lanes.submit`."""
    return await lanes().submit(commands)


async def close_lanes() -> None:
    """Answer everybody who waits in the running loop's lanes and close them; the next use opens new ones."""
    found = _of_loop.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.close()


__all__ = ["Lanes", "close_lanes", "lanes", "submit"]
