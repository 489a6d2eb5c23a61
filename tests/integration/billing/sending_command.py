"""Sends a command in a process that kills itself instead of one statement; run as a program.

Arguments: the command, and at which of its statements to die.
"""

import os
import signal
import sys
from typing import Any
from uuid import UUID

import psycopg


class Deadly(psycopg.Cursor[Any]):
    """A cursor that ends its process instead of sending one statement."""

    left = 0

    def execute(self, *args: Any, **given: Any) -> Any:
        """Count down."""
        Deadly.left -= 1
        if Deadly.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*args, **given)


def main() -> None:
    """Send it, until it dies or it is done."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    django.setup()
    from django.db import connection

    from billing.operations.commands import deliver

    connection.ensure_connection()
    assert connection.connection is not None
    connection.connection.cursor_factory = Deadly
    Deadly.left = int(sys.argv[2])
    deliver(UUID(sys.argv[1]))


if __name__ == "__main__":
    main()
