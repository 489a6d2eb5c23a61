"""Real servers for tests, on this session's database: broker, web server, Celery worker. A pytest plugin."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from config.servers import granian_command, worker_command
from sandbox.children import Child, ChildSpec
from sandbox.places import free_port
from sandbox.valkey import Broker, broker_at
from tests.database import session_of


@contextmanager
def serving(spec: ChildSpec, *, folder: Path, seconds: float = 60) -> Iterator[Child]:
    """Run a child until the block ends; fails with its log when it does not come up."""
    folder.mkdir(parents=True, exist_ok=True)
    child = Child(spec, folder / f"{spec.name}.log")
    child.spawn()
    try:
        wait_until_ready(child, seconds=seconds)
        yield child
    finally:
        child.end()


def wait_until_ready(child: Child, *, seconds: float = 60) -> None:
    """Wait until the child serves."""
    deadline = time.monotonic() + seconds
    assert child.process is not None
    while not child.spec.ready(child.process.pid):
        assert time.monotonic() < deadline, child.log_tail()
        assert not child.has_died(), child.log_tail()
        time.sleep(0.02)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def web_spec(port: int) -> ChildSpec:
    """A Granian on this session's database."""
    return ChildSpec(
        name="web",
        argv=granian_command(bind="127.0.0.1", port=port),
        ready=lambda _: _answers(f"http://127.0.0.1:{port}/readyz"),
        environment=dict(os.environ),
    )


def worker_spec(home: Path) -> ChildSpec:
    """A Celery worker on this session's database and broker."""
    return ChildSpec(
        name="worker",
        argv=worker_command(),
        ready=lambda pid: (home / "run" / f"ready-{pid}").exists(),
        environment=dict(os.environ),
        patience_seconds=5,
    )


@pytest.fixture(scope="session")
def broker(pytestconfig: pytest.Config) -> Iterator[Broker]:
    """The Valkey whose address this session's processes have in CELERY_BROKER_URL."""
    session = session_of(pytestconfig)
    found = broker_at(home=session.home, port=session.broker_port, password=session.broker_password)
    spec = ChildSpec(
        name="valkey", argv=found.argv(), ready=lambda _: found.is_live(), environment=dict(os.environ)
    )
    with serving(spec, folder=session.home / "log"):
        yield found


@pytest.fixture(scope="session")
def web(pytestconfig: pytest.Config, django_db_setup: None, broker: Broker) -> Iterator[str]:
    """The address of a real web server on this session's database."""
    port = free_port()
    with serving(web_spec(port), folder=session_of(pytestconfig).home / "log"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def worker(pytestconfig: pytest.Config, django_db_setup: None, broker: Broker) -> Iterator[Child]:
    """A real Celery worker on this session's database."""
    home = session_of(pytestconfig).home
    with serving(worker_spec(home), folder=home / "log") as child:
        yield child
