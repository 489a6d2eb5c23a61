"""A database session of its own, past Django's connections: for jobs that stream rows or use temporary tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connections

Connection = psycopg.Connection[Any]


@contextmanager
def own_session(alias: str = "default", *, statement_seconds: int = 60) -> Iterator[Connection]:
    """Open a session in autocommit with Django's address of the database; it ends with the block.

    Statements end after `statement_seconds`, waits for a lock after one second, idle transactions after a minute.
    """
    place = connections[alias].settings_dict
    limits = {
        "statement_timeout": statement_seconds * 1_000,
        "lock_timeout": 1_000,
        "idle_in_transaction_session_timeout": 60_000,
        "timezone": "UTC",
    }
    session = psycopg.connect(
        dbname=place["NAME"],
        user=place["USER"] or None,
        password=place["PASSWORD"] or None,
        host=place["HOST"] or None,
        port=place["PORT"] or None,
        connect_timeout=5,
        application_name="counterfoil-proof",
        options=" ".join(f"-c {name}={value}" for name, value in limits.items()),
        autocommit=True,
    )
    with session:
        yield session
