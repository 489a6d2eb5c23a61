"""Real servers for tests, on this session's database: broker, web server, Celery worker, Stripe simulator. A
pytest plugin."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from celery import current_app
from django.conf import settings

from config.metrics import MULTIPROCESS_FOLDER
from config.servers import app_command, beat_command, web_command, worker_command
from sandbox.children import Child, ChildSpec
from sandbox.places import free_port, is_listening
from sandbox.valkey import Broker, broker_at
from tests.builders.stripe import CONNECT_SECRET, KEY, SECRET, Simulator
from tests.database import session_of

TO_LOOPBACK = {"WEBHOOKS_TO_LOOPBACK": "1"}
"""The receivers of tests are on this machine."""


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


def web_spec(port: int, app: str | None = None) -> ChildSpec:
    """A web on this session's database; without the address of an app it serves the gate alone."""
    environment = dict(os.environ) | ({"COUNTERFOIL_APP": app} if app else {})
    return ChildSpec(
        name="web",
        argv=web_command(bind="127.0.0.1", port=port, processes=1),
        ready=lambda _: _answers(f"http://127.0.0.1:{port}/{'readyz' if app else 'livez'}"),
        environment=environment,
    )


@dataclass(frozen=True)
class Web:
    """A web process of a test's own and where it answers."""

    url: str
    child: Child


@pytest.fixture(scope="session")
def started_webs(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Web]]:
    """Two web processes on this session's database."""
    with ExitStack() as stack:
        started = []
        for _ in range(2):
            port, folder = free_port(), tmp_path_factory.mktemp("web")
            child = stack.enter_context(serving(web_spec(port), folder=folder))
            started.append(Web(f"http://127.0.0.1:{port}", child))
        yield started


@pytest.fixture
def webs(started_webs: list[Web]) -> list[Web]:
    """Two web processes on this session's database, also after a test that killed one; they serve the gate alone."""
    for web in started_webs:
        if web.child.has_died():
            web.child.spawn()
            wait_until_ready(web.child)
    return started_webs


def app_spec(socket: Path) -> ChildSpec:
    """An app on this session's database, behind a socket."""
    return ChildSpec(
        name="app",
        argv=app_command(address=f"unix:{socket}", processes=1),
        ready=lambda _: is_listening(socket),
        environment=dict(os.environ) | TO_LOOPBACK,
        prepare=lambda: socket.unlink(missing_ok=True),
    )


@contextmanager
def serving_all(*, folder: Path, port: int | None = None) -> Iterator[str]:
    """Web and app together until the block ends; gives the address."""
    number = port or free_port()
    with socket_folder() as place, tempfile.TemporaryDirectory() as metrics, ExitStack() as stack:
        for spec in (app_spec(place / "app.sock"), web_spec(number, f"unix:{place / 'app.sock'}")):
            counting = replace(spec, environment={**spec.environment, MULTIPROCESS_FOLDER: metrics})
            stack.enter_context(serving(counting, folder=folder))
        yield f"http://127.0.0.1:{number}"


@contextmanager
def socket_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket's."""
    with tempfile.TemporaryDirectory(prefix="counterfoil-") as folder:
        yield Path(folder)


def worker_spec(home: Path) -> ChildSpec:
    """A Celery worker on this session's database and broker."""
    return ChildSpec(
        name="worker",
        argv=worker_command(),
        ready=lambda pid: (home / "run" / f"ready-{pid}").exists(),
        environment=dict(os.environ) | TO_LOOPBACK,
        patience_seconds=5,
    )


@pytest.fixture
def beat(pytestconfig: pytest.Config, worker: Child) -> Iterator[Child]:
    """A real beat beside the worker: everything that falls due is done by itself."""
    home = session_of(pytestconfig).home
    spec = replace(worker_spec(home), name="beat", argv=beat_command())
    with serving(spec, folder=home / "log") as child:
        yield child
    _let_finish()


def _let_finish(seconds: float = 20) -> None:
    """What beat began is done before the next test begins: else the worker sends its processor what others left."""
    current_app.control.purge()
    asked, deadline = current_app.control.inspect(timeout=0.5), time.monotonic() + seconds
    while time.monotonic() < deadline:
        answers = [asked.active() or {}, asked.reserved() or {}]
        if not any(tasks for answer in answers for tasks in answer.values()):
            return


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
def stripe_place() -> str:
    """Where this process's Stripe simulator is, or would be; the servers of this session are told so."""
    address = f"http://127.0.0.1:{free_port()}"
    os.environ |= {
        "STRIPE_API_KEY": KEY,
        "STRIPE_API_BASE": address,
        "STRIPE_WEBHOOK_SECRETS": SECRET,
        "STRIPE_CONNECT_WEBHOOK_SECRETS": CONNECT_SECRET,
    }
    return address


def stripe_spec(address: str, home: Path, *, checks: bool = True) -> ChildSpec:
    """A Stripe simulator that compares all it hears and says with Stripe's specification; without `checks` the one that
    the product is run with."""
    port = address.rpartition(":")[2]
    check = ["--check", "tests.stripe_spec:Checker"] if checks else []
    return ChildSpec(
        name="stripe",
        argv=[
            sys.executable,
            "-m",
            "sandbox.stripe",
            "--port",
            port,
            "--home",
            str(home),
            "--key",
            KEY,
            *check,
        ],
        ready=lambda _: _answers(f"{address}/_sim/health"),
        environment=dict(os.environ),
        patience_seconds=5,
    )


@pytest.fixture(scope="session")
def stripe_server(pytestconfig: pytest.Config, stripe_place: str) -> Iterator[Child]:
    """The simulator's process of this pytest process."""
    home = session_of(pytestconfig).home
    with serving(stripe_spec(stripe_place, home), folder=home / "log") as child:
        yield child


@pytest.fixture
def stripe_simulator(
    stripe_server: Child, stripe_place: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Simulator]:
    """A Stripe of this test's own, empty; the product's settings point at it. Fails the test when a request or an
    answer was not as Stripe's specification wants it."""
    simulator = Simulator(stripe_place)
    simulator.reset()
    monkeypatch.setattr(settings, "STRIPE_API_KEY", KEY)
    monkeypatch.setattr(settings, "STRIPE_API_BASE", stripe_place)
    monkeypatch.setattr(settings, "STRIPE_WEBHOOK_SECRETS", (SECRET,))
    monkeypatch.setattr(settings, "STRIPE_CONNECT_WEBHOOK_SECRETS", (CONNECT_SECRET,))
    yield simulator
    assert simulator.violations() == []


@pytest.fixture(scope="session")
def web(
    pytestconfig: pytest.Config, django_db_setup: None, broker: Broker, stripe_place: str
) -> Iterator[str]:
    """The address of real servers, web and app, on this session's database."""
    with serving_all(folder=session_of(pytestconfig).home / "log") as address:
        yield address


@pytest.fixture(scope="session")
def worker(
    pytestconfig: pytest.Config, django_db_setup: None, broker: Broker, stripe_place: str
) -> Iterator[Child]:
    """A real Celery worker on this session's database."""
    home = session_of(pytestconfig).home
    with serving(worker_spec(home), folder=home / "log") as child:
        yield child
