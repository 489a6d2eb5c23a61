"""The gate's own connections: direct to PostgreSQL with the gate's role, past the ORM and past any pooler."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.conf import settings
from psycopg_pool import ConnectionPool, PoolTimeout

from common.errors import GateUnavailable
from spend.operations.gate.apply import Gate
from spend.operations.gate.connections import GateConnection

SETTINGS = (
    "plan_cache_mode = force_generic_plan",
    "enable_seqscan = off",
    "enable_hashjoin = off",
    "enable_mergejoin = off",
    "jit = off",
)
_lock = threading.Lock()
_pool: ConnectionPool[GateConnection] | None = None
GATE = Gate()


def configure(connection: psycopg.Connection[Any]) -> None:
    """Prepare every statement at its second use and plan it once: the gate runs the same few for ever.

    All of them find single rows by an index. A plan made while a table was still small must not scan it later.
    """
    connection.prepare_threshold = 1
    for setting in SETTINGS:
        connection.execute(f"SET {setting}".encode())


def pool() -> "ConnectionPool[GateConnection]":
    """Return this process's pool, opened at first use (a fork gets its own)."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = ConnectionPool(
                settings.GATE_DATABASE_URL,
                connection_class=GateConnection,
                kwargs={**settings.GATE_CONNECTION_OPTIONS, "autocommit": True},
                min_size=1,
                max_size=settings.GATE_POOL_SIZE,
                timeout=2,
                max_idle=300,
                configure=configure,
                check=None,
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
    """Lend a connection of the gate. Raises GateUnavailable when none can be had in time."""
    try:
        with pool().connection() as connection:
            yield connection
    except PoolTimeout as error:
        raise GateUnavailable(retry_after=1) from error
