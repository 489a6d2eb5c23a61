"""A database of the test's own, seen from several connections at once."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from spend.operations.gate.submit import submit
from spend.rules.effects import Answer
from tests.bench.lifecycle import Call
from tests.bench.population import make_customers, make_prices
from tests.builders.metering import make_meter, new_event, now, record
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


@pytest.fixture
def busy_store(connect: Callable[..., Connection]) -> list[UUID]:
    """Two customers whose agents spent: every kind of fact is there. Gives the organizations. The gate has a
    connection and caches of its own, so that nothing of this database outlives the test."""
    make_prices()
    customers = make_customers(2)
    calls = [Call.next(customer, "test") for customer in customers for _ in range(4)]
    granted = submit([call.reserve() for call in calls])
    ids = [UUID(body_of(answer)["id"]) for answer in granted]
    submit([call.commit(name) for call, name in zip(calls[:-1], ids, strict=False)])
    kind = make_meter("sum").definition.event_type or ""
    for customer in customers:
        record(customer.id, *(new_event(kind, now(), {"units": "1"}) for _ in range(2)))
    return [customer.id for customer in customers]


def body_of(answer: Answer) -> dict[str, Any]:
    """The body of an accepted answer."""
    assert answer.status < 300, answer
    assert answer.body is not None
    return answer.body


@pytest.fixture
def session_connect() -> Iterator[Callable[..., Connection]]:
    """Opens connections to the session's own database."""
    with ExitStack() as stack:
        yield lambda variable: stack.enter_context(psycopg.connect(os.environ[variable], autocommit=True))
