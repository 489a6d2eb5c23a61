"""One way to run a writing operation: a transaction, its few honest retries, and what a database error
means outside.

The operation gets a raw psycopg cursor of Django's connection, so that the same SQL runs here, in the
gate's own connections and in a rebuild.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection
from typing import Any, Final, NoReturn, TypeVar

import psycopg
import psycopg_pool
from django.db import Error as DjangoDatabaseError
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.types.datetime import TimestamptzLoader

from common.errors import AmountOutOfRange, ProblemError, ServiceUnavailable

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

DATABASE_ERRORS: Final = (psycopg.Error, DjangoDatabaseError, psycopg_pool.PoolTimeout)

_CONFLICT_STATES: Final = frozenset({"40001", "40P01"})  # serialization failure, deadlock
_UNIQUE_VIOLATION: Final = "23505"
_NUMERIC_OUT_OF_RANGE: Final = "22003"
_BUSY_STATES: Final = frozenset({"55P03", "57014"})  # lock timeout, statement timeout
_LOST_CLASSES: Final = frozenset({"08", "53", "58"})  # connection, resources, system error
_LOST_STATES: Final = frozenset({"57P01", "57P02", "57P03", "25P03", "57P05", "25006"})
_FIRST_PAUSE_SECONDS: Final = 0.01
_PREPARED_FROM: Final = 2
"""Executions of a statement on a connection after which it is prepared."""


def run_in_transaction(
    fn: Callable[[psycopg.Cursor[Any]], _T],
    *,
    alias: str = "default",
    attempts: int = 3,
    retry_unique: Collection[str] = (),
    prepared: bool = False,
) -> _T:
    """Run `fn(cursor)` in one transaction, commit, and return what it returned.

    A deadlock or a serialization failure rolls back and runs `fn` anew, up to `attempts` times in all, with
    a random pause; so does the violation of a unique constraint named in `retry_unique`, where the second
    run will see what the first one raced with. `fn` therefore has no effect outside the database. Inside
    another transaction it becomes a savepoint and runs once: only the outermost can be repeated.

    With `prepared` the server keeps the plan of a statement that a connection executes again and again, and binds its
    values itself: for jobs that do the same for one customer after the other.

    Raises ServiceUnavailable when the database does not answer, is busy or keeps refusing, AmountOutOfRange
    when a stored sum overflowed, and whatever else `fn` raises.
    """
    connection = connections[alias]
    if connection.in_atomic_block:
        return _run_once(fn, connection=connection, alias=alias, prepared=prepared)
    for attempt in range(1, attempts + 1):
        try:
            return _run_once(fn, connection=connection, alias=alias, prepared=prepared)
        except DATABASE_ERRORS as error:
            if not is_conflict(error, retry_unique=retry_unique):
                _raise_meaning_of(error)
            if attempt == attempts:
                raise ServiceUnavailable(retry_after=1) from error
            time.sleep(random.uniform(0, _FIRST_PAUSE_SECONDS * 4**attempt))
    raise AssertionError("a transaction runs at least once")


def problem_of(error: BaseException) -> ProblemError | None:
    """What a database error means to a caller; None when it is a defect of ours.

    Overflow is 422 amount_out_of_range; a timeout, a lost connection and a server that is full, starting or
    stopping are 503 service_unavailable, to be repeated.
    """
    state = sqlstate_of(error)
    if state == _NUMERIC_OUT_OF_RANGE:
        return AmountOutOfRange()
    if _is_unavailable(error, state) or state in _CONFLICT_STATES:
        logger.warning("database.unavailable", extra={"sqlstate": state, "reason": type(error).__name__})
        return ServiceUnavailable(retry_after=1)
    return None


def is_conflict(error: BaseException, *, retry_unique: Collection[str] = ()) -> bool:
    """Whether running the same transaction again may succeed at once."""
    state = sqlstate_of(error)
    if state == _UNIQUE_VIOLATION:
        return _constraint_of(error) in retry_unique
    return state in _CONFLICT_STATES


def sqlstate_of(error: BaseException) -> str | None:
    """The five-character SQLSTATE of a psycopg error, or of the one that Django wrapped."""
    cause = _driver_error(error)
    return None if cause is None else cause.sqlstate


def _run_once(
    fn: Callable[[psycopg.Cursor[Any]], _T], *, connection: BaseDatabaseWrapper, alias: str, prepared: bool
) -> _T:
    with transaction.atomic(using=alias), _cursor(connection.connection, prepared) as cursor:
        return fn(cursor)


def _cursor(connection: psycopg.Connection[Any], prepared: bool) -> psycopg.Cursor[Any]:
    """Django's own cursor writes values into the statement, so that each is planned anew, and reads times in Python."""
    if not prepared or not issubclass(connection.cursor_factory, psycopg.ClientCursor):
        return connection.cursor()
    connection.prepare_threshold = _PREPARED_FROM
    cursor = psycopg.Cursor(connection)
    cursor.adapters.register_loader(
        "timestamptz", TimestamptzLoader
    )  # in C; times of the connection's zone, UTC
    return cursor


def _raise_meaning_of(error: Exception) -> NoReturn:
    meaning = problem_of(error)
    if meaning is None:
        raise error
    raise meaning from error


def _driver_error(error: BaseException) -> psycopg.Error | None:
    if isinstance(error, psycopg.Error):
        return error
    cause = error.__cause__
    return cause if isinstance(cause, psycopg.Error) else None


def _constraint_of(error: BaseException) -> str | None:
    cause = _driver_error(error)
    return None if cause is None else cause.diag.constraint_name


def _is_unavailable(error: BaseException, state: str | None) -> bool:
    if state is not None:
        return state in _BUSY_STATES or state in _LOST_STATES or state[:2] in _LOST_CLASSES
    # Without a state the server did not speak: the connection is gone, or none could be had in time.
    return isinstance(_driver_error(error) or error, (psycopg.OperationalError, psycopg.InterfaceError))
