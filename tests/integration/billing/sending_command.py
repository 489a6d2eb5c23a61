"""Sends a command, or bills a customer, in a process that kills itself instead of one statement. Importing this starts
Django."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402  (needs the apps)
from django.db import connection  # noqa: E402

from billing.operations.billing import bill_customer  # noqa: E402
from billing.operations.commands import deliver  # noqa: E402

SECONDS = 60


class Deadly(psycopg.Cursor[Any]):
    """A cursor that ends its process instead of sending one statement."""

    left = 0

    def execute(self, *args: Any, **given: Any) -> Any:
        """Count down."""
        Deadly.left -= 1
        if Deadly.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*args, **given)


def killed_while_sending(command: UUID, *, statement: int) -> bool:
    """Send a command in a process of its own that dies at this statement; False when it was done before. Fails when
    the process ended in another way."""
    return _killed(_send, command, statement, settings.STRIPE_API_KEY, settings.STRIPE_API_BASE)


def killed_while_billing(organization: UUID, *, statement: int) -> bool:
    """Bill a customer in the same way."""
    return _killed(_bill, organization, statement)


def _killed(target: Callable[..., None], *given: Any) -> bool:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=target, args=given, daemon=True)
    process.start()
    process.join(SECONDS)
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0


def _send(command: UUID, statement: int, key: str, base: str) -> None:
    settings.STRIPE_API_KEY, settings.STRIPE_API_BASE = key, base
    _die_at(statement)
    deliver(command)


def _bill(organization: UUID, statement: int) -> None:
    _die_at(statement)
    bill_customer(organization=organization)


def _die_at(statement: int) -> None:
    connection.ensure_connection()
    assert connection.connection is not None
    connection.connection.cursor_factory = Deadly
    Deadly.left = statement
