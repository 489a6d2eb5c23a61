"""Passes an organization's boundaries in a child process that kills itself; run as a program.

Arguments: the organization, up to when (ISO 8601), and after how many statements to die; -1: never.
"""

import os
import signal
import sys
from datetime import datetime
from typing import Any
from uuid import UUID


class Deadly:
    """A cursor that ends its process instead of sending one statement."""

    def __init__(self, cur: Any, statements: int) -> None:
        self._cur, self._left = cur, statements

    def execute(self, *arguments: Any, **given: Any) -> Any:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
        return self._cur.execute(*arguments, **given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cur, name)


def main() -> None:
    """Pass each boundary in a transaction of its own, as a billing run does, until it dies or nothing is due."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    django.setup()
    from billing.operations.subscriptions.advance import advance
    from billing.queries.due import next_boundary
    from common.transactions import run_in_transaction
    from orgs.operations.locks import lock_organization

    organization, until, left = UUID(sys.argv[1]), datetime.fromisoformat(sys.argv[2]), int(sys.argv[3])
    statements = [left]

    def step(cur: Any) -> bool:
        deadly = Deadly(cur, statements[0])
        locked = lock_organization(deadly, organization)  # type: ignore[arg-type]
        at = next_boundary(deadly, organization)  # type: ignore[arg-type]
        if at is None or at > until:
            return False
        advance(deadly, locked, until=at)  # type: ignore[arg-type]
        statements[0] = deadly._left
        return True

    while run_in_transaction(step):
        pass


if __name__ == "__main__":
    main()
