"""A database of the test's own, seen from several connections at once."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.database import Session

Connection = psycopg.Connection[Any]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own: head file, checkpoints, files of retired months."""
    from django.conf import settings

    monkeypatch.setattr(settings, "STATE_HOME", tmp_path)
    return tmp_path


@pytest.fixture
def connect(private_database: str, home: Path) -> Iterator[Callable[..., Connection]]:
    """Opens connections of the application's role; `autocommit=True` unless told otherwise."""
    with ExitStack() as stack:

        def open_one(variable: str = "DATABASE_URL", *, autocommit: bool = True) -> Connection:
            return stack.enter_context(psycopg.connect(os.environ[variable], autocommit=autocommit))

        yield open_one


@pytest.fixture
def superuser(private_database: str, test_session: Session) -> Iterator[Connection]:
    """Somebody whom neither rights nor triggers stop."""
    url = test_session.databases.superuser_url(private_database)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection
