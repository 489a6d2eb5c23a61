"""Callers of one organization who come while its transaction runs are decided together in the next one.

They would all wait for the organization's row: each with a connection of its own that other organizations then lack,
and the last ones longer than a lock may take. So at most one transaction of an organization runs in a process. Nobody
waits when it is idle, and one caller takes the same path as many.
"""

import threading
from collections.abc import Callable, Sequence
from uuid import UUID

from common.errors import GateUnavailable
from spend.operations.gate.apply import Expire
from spend.rules.commands import Command
from spend.rules.effects import Answer

MAX_COMMANDS = 500
Commands = Sequence[Command | Expire]
Apply = Callable[[Commands], list[Answer]]


class _Call:
    """One caller's commands; `turn` is set when they were decided, or when the caller is to have `batch` decided."""

    __slots__ = ("answers", "batch", "commands", "turn", "unavailable")

    def __init__(self, commands: Commands) -> None:
        self.commands = commands
        self.answers: list[Answer] | None = None
        self.unavailable: GateUnavailable | None = None
        self.batch: list[_Call] | None = None
        self.turn = threading.Event()


class Gatherer:
    """Hands the commands of callers to `apply`, those that came meanwhile at once."""

    def __init__(self, apply: Apply) -> None:
        self._apply = apply
        self._guard = threading.Lock()
        self._waiting: dict[UUID, list[_Call]] = {}  # only of organizations whose transaction runs

    def submit(self, organization: UUID, commands: Commands, *, patience_seconds: float) -> list[Answer]:
        """This function will have one organization's commands decided and return their answers, in order.

        Raises GateUnavailable when their turn does not come in time, and what `apply` raises.
        """
        call = _Call(commands)
        if self._joins(organization, call):
            if not call.turn.wait(patience_seconds) and self._leaves(organization, call):
                raise GateUnavailable(retry_after=1)
            call.turn.wait()
        else:
            call.batch = [call]
        if call.batch is not None:
            try:
                self._decide(call.batch)
            finally:
                self._pass_on(organization, call.unavailable)
        if call.unavailable is not None:
            raise GateUnavailable(retry_after=1) from call.unavailable
        # Without answers the transaction failed by a fault in somebody's commands: whose, shows when each is alone.
        return self._apply(commands) if call.answers is None else call.answers

    def _joins(self, organization: UUID, call: _Call) -> bool:
        """Whether a transaction runs and the call now waits for the next one."""
        with self._guard:
            waiting = self._waiting.get(organization)
            if waiting is None:
                self._waiting[organization] = []
                return False
            waiting.append(call)
            return True

    def _leaves(self, organization: UUID, call: _Call) -> bool:
        """Take a call back that nobody has taken up yet; False when somebody has."""
        with self._guard:
            waiting = self._waiting.get(organization, [])
            if call not in waiting:
                return False
            waiting.remove(call)
            return True

    def _pass_on(self, organization: UUID, unavailable: GateUnavailable | None) -> None:
        """Give the next caller its turn, with everybody who fits into its transaction.

        When the organization's row could not be had, those who waited for it meanwhile would wait as long again.
        """
        with self._guard:
            waiting = self._waiting[organization]
            if unavailable is not None:
                for call in waiting:
                    call.unavailable = unavailable
                    call.turn.set()
                waiting.clear()
            if not waiting:
                del self._waiting[organization]
                return
            count, size = 0, 0
            while count < len(waiting) and (not count or size + len(waiting[count].commands) <= MAX_COMMANDS):
                size += len(waiting[count].commands)
                count += 1
            batch, waiting[:] = waiting[:count], waiting[count:]
            batch[0].batch = batch
            batch[0].turn.set()

    def _decide(self, batch: list[_Call]) -> None:
        """Have the calls decided in one transaction; each gets its answers, or GateUnavailable when nobody does."""
        try:
            answers = iter(self._apply([command for call in batch for command in call.commands]))
            for call in batch:
                call.answers = [next(answers) for _ in call.commands]
        except GateUnavailable as error:
            for call in batch:
                call.unavailable = error
        except Exception:
            if len(batch) == 1:
                raise
        finally:
            for call in batch:
                call.turn.set()
