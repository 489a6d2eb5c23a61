"""The gate's own connections: direct to PostgreSQL with the gate's role, past the ORM and past any pooler.

Lanes have connections of their own kind (`wire`). Those here are for what is read beside them: configuration that no
cache holds, and what the sweeper looks for.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.conf import settings
from psycopg_pool import ConnectionPool, PoolTimeout

from common.errors import GateUnavailable

SIZE = 2
_lock = threading.Lock()
_pool: ConnectionPool[psycopg.Connection[Any]] | None = None


def pool() -> "ConnectionPool[psycopg.Connection[Any]]":
    """Return this process's pool, opened at first use (a fork gets its own)."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = ConnectionPool(
                settings.GATE_DATABASE_URL,
                kwargs={**settings.GATE_CONNECTION_OPTIONS, "autocommit": True},
                min_size=0,
                max_size=SIZE,
                timeout=2,
                max_idle=300,
                check=ConnectionPool.check_connection,
                name="gate",
                open=True,
            )
        return _pool


def close_pool() -> None:
    """Close the pool; the next use opens a new one."""
    global _pool
    with _lock:
        if _pool is not None:
            _pool.close()
            _pool = None


@contextmanager
def gate_connection() -> Iterator[psycopg.Connection[Any]]:
    """Lend a connection of the gate. Raises GateUnavailable when none can be had in time, or the database is gone."""
    try:
        with pool().connection() as connection:
            yield connection
    except (PoolTimeout, psycopg.OperationalError) as error:
        raise GateUnavailable(retry_after=1) from error
