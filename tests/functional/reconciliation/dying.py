"""Reconciles in a process that kills itself instead of noting that a step is done, or that something differed; run as a
program.

Argument: before which of the notes it makes it dies.
"""

import os
import signal
import sys
from typing import Any

import psycopg


class Deadly(psycopg.Cursor[Any]):
    """A cursor that ends its process instead of noting something."""

    left = 0

    def execute(self, query: Any, *args: Any, **given: Any) -> Any:
        """Count down."""
        if "UPDATE reconciliations SET done" in str(query) or "INTO reconciliation_differences" in str(query):
            Deadly.left -= 1
            if Deadly.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(query, *args, **given)


def main() -> None:
    """Reconcile, until it dies or it is done."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    django.setup()
    from django.conf import settings
    from django.db import connection

    from tests.builders.reconciling import AT_STRIPE
    from webhooks.operations.reconciling.running import reconcile, resume

    settings.RECONCILIATION_GRACE_SECONDS, settings.STRIPE_CALLS_PER_SECOND = -1, 1_000
    connection.ensure_connection()
    assert connection.connection is not None
    connection.connection.cursor_factory = Deadly
    Deadly.left = int(sys.argv[1])
    if resume() is None:
        reconcile(only=AT_STRIPE)


if __name__ == "__main__":
    main()
