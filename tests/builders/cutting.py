"""Connections that are lost at a statement, or at a COMMIT."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connections


class Dying(psycopg.Cursor[Any]):
    """A cursor whose connection is lost at the statement after so many."""

    left = -1

    def execute(self, *args: Any, **given: Any) -> Any:
        """Count down."""
        Dying.left -= 1
        if Dying.left == 0:
            self.connection.close()
            raise psycopg.OperationalError("the connection is lost")
        return super().execute(*args, **given)


@contextmanager
def dying_after(*, statements: int = -1, commits: int = -1) -> Iterator[None]:
    """A block in which this thread's connection is lost at a statement, or at a COMMIT."""
    connections.close_all()
    connection = connections["default"]
    connection.ensure_connection()
    raw = connection.connection
    usual = raw.cursor_factory
    raw.cursor_factory = Dying
    Dying.left = statements
    committing = itertools.count(1)

    def commit() -> None:
        if next(committing) == commits:
            raw.close()
            raise psycopg.OperationalError("the connection is lost")
        type(raw).commit(raw)

    raw.commit = commit
    try:
        yield
    finally:
        Dying.left = -1
        raw.cursor_factory = usual
        del raw.commit
        connections.close_all()
