"""The gate for callers on an event loop: the synchronous gate in a bounded number of threads."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

from django.conf import settings

from common.errors import ProblemError
from orgs.queries.authentication import find_by_hash
from spend.operations.gate import submit as blocking
from spend.operations.gate.callers import caller_of
from spend.operations.gate.pool import gate_connection
from spend.rules.commands import Command
from spend.rules.effects import Answer


async def submit(commands: Sequence[Command]) -> list[Answer]:
    """This function will have the commands decided in one transaction and return their answers, in order.

    Raises GateUnavailable and IdempotencyInFlight, and what a key that has changed since is refused with.
    """
    return await asyncio.get_running_loop().run_in_executor(_threads(), _submit, commands)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(settings.GATE_POOL_SIZE, "gate")


def _submit(commands: Sequence[Command]) -> list[Answer]:
    caller = commands[0].caller  # all commands of one call have the same
    if caller.secret_hash is not None:
        try:
            with gate_connection() as connection, connection.cursor() as cur:
                current = caller_of(find_by_hash(cur, caller.secret_hash))
        except ProblemError as error:
            return [Answer.refused(error) for _ in commands]
        if current.agent_ids != caller.agent_ids or current.connection_ids != caller.connection_ids:
            commands = [replace(command, caller=current) for command in commands]
    return blocking.submit(commands)
