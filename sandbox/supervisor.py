"""`python -m sandbox.supervisor`: everything on one machine, started in order, kept alive, stopped together.

    python -m sandbox.supervisor           serve until Ctrl-C or SIGTERM
    python -m sandbox.supervisor --once    play the story, stop; exit code = the story's
    python -m sandbox.supervisor --bare    serve without demo data and story

Starts PostgreSQL, Valkey and a simulated Stripe (unless the environment names real ones), migrates, loads
the demo data, starts web, app, worker and beat, says where to log in, and plays the demo story when there is one.
"""

import argparse
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import IO
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import psycopg

from config.environment import Environment, WrongEnvironment, read_environment
from config.metrics import MULTIPROCESS_FOLDER
from config.roles import database_statements
from config.servers import app_command, beat_command, web_command, worker_command
from sandbox import processes
from sandbox.binaries import NoPostgres
from sandbox.children import Child, ChildSpec, Family, end_leftovers, own_environment
from sandbox.cluster import SUPERUSER, Cluster, ClusterUnusable
from sandbox.places import (
    CHECKOUT,
    LONGEST_SOCKET_PATH,
    claim_port,
    is_listening,
    port_is_free,
    read_json,
    write_json,
)
from sandbox.processor import Processor, is_wanted, processor_at
from sandbox.progress import Progress
from sandbox.valkey import Broker, broker_at

DATABASE = "counterfoil"
_STORES = {"valkey", "postgres"}


class CannotStart(Exception):
    """Something that only the person at the keyboard can change is in the way."""


class Stopped(Exception):
    """Ctrl-C, SIGTERM or SIGHUP has arrived."""


class Supervisor:
    """One state folder's processes from start to stop."""

    def __init__(self, *, environment: Environment, progress: Progress, bare: bool = False) -> None:
        self.environment = environment
        self.bare = bare
        self.home = environment.home.resolve()
        self.progress = progress
        self._claim = self._claim_port()
        self.port: int = self._claim.getsockname()[1]
        self.urls: dict[str, str] = {"http": f"http://{self._shown_host()}:{self.port}"}
        self.family = Family(home=self.home)
        self._socket_folder: Path | None = None
        self._processor: Processor | None = None
        self._stripe: Child | None = None

    def _shown_host(self) -> str:
        bind = self.environment.bind
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)
        return f"[{host}]" if ":" in host else host

    def _claim_port(self) -> socket.socket:
        """Keep the port given, which must be free; else the remembered one, else 8000, else any free one.

        It is kept from now to the end: Granian shares its port with whoever asks, so another copy that looked while
        our web was not up would have got half of our requests.
        """
        wanted, bind = self.environment.port, self.environment.bind
        if self.environment.port_was_given:
            claim = claim_port(port=wanted, bind=bind)
            if claim is None:
                raise CannotStart(
                    f"COUNTERFOIL_PORT={wanted}: something else listens there. Stop it, choose another port."
                )
            return claim
        known = (read_json(path=self.home / "ports.json") or {}).get("web")
        claim = claim_port(port=known or wanted, bind=bind) or claim_port(port=0, bind=bind)
        if claim is None:
            raise CannotStart(
                f"COUNTERFOIL_BIND={bind}: no port of this address can be had. Choose another address."
            )
        write_json(path=self.home / "ports.json", value={"web": claim.getsockname()[1]})
        return claim

    # Starting, in order

    def start(self) -> None:
        """Bring everything up; returns when the web server is ready for traffic."""
        self._start_stripe()
        cluster = self._start_postgres() if not self.environment.database_was_given else None
        broker = self._start_valkey() if not self.environment.broker_was_given else None
        self._name_urls(cluster, broker)
        self._prepare_database()
        self._start_own()

    def _start_postgres(self) -> Cluster:
        with self.progress.step("PostgreSQL") as step:
            cluster = Cluster.open(home=self.home, bin_folder=os.environ.get("PG_BIN") or None)
            cluster.stop()  # one that an earlier supervisor left behind
            child = self.family.start(_postgres_spec(cluster))
            self.family.wait_until_ready(child, timeout_seconds=120)
            cluster.make_roles()
            _make_database(cluster)
            step.note(f"{cluster.binaries.major} at {cluster.location.socket_folder}")
        return cluster

    def _start_stripe(self) -> None:
        """Begin with the simulator, unless a real Stripe is named; it comes up beside the database.

        Never beside the database of a real server: a restart without the key must not have a simulator answer for
        what was asked of Stripe. Without a key nothing is sent.
        """
        if not is_wanted(os.environ) or (self.bare and self.environment.database_was_given):
            return
        self._processor = processor_at(home=self.home)
        self.urls |= {"stripe": self._processor.url, "stripe_key": self._processor.key}
        self._stripe = self.family.start(_stripe_spec(self._processor))

    def _stripe_environment(self) -> dict[str, str]:
        """What an operator would set after making the endpoints at Stripe; empty when a real Stripe is named."""
        if self._processor is None or self._stripe is None:
            return {}
        with self.progress.step("Stripe (simulated)") as step:
            self.family.wait_until_ready(self._stripe)
            secrets = self._processor.endpoints(web=self.urls["http"])
            step.note(f"port {self._processor.port}")
        return {**self._processor.environment(), **secrets, **self._loopback()}

    def _loopback(self) -> dict[str, str]:
        """Where everything is simulated and nobody else can reach it, webhooks may go to this machine: the story's."""
        is_alone = self.environment.bind in ("127.0.0.1", "::1", "localhost")
        return {} if self.bare or not is_alone else {"WEBHOOKS_TO_LOOPBACK": "1"}

    def _start_valkey(self) -> Broker:
        with self.progress.step("Valkey") as step:
            broker = broker_at(home=self.home)
            spec = ChildSpec(
                name="valkey",
                argv=broker.argv(),
                ready=lambda _: broker.is_live(),
                environment=own_environment(home=self.home),
            )
            self.family.wait_until_ready(self.family.start(spec))
            step.note(f"port {broker.port}")
        return broker

    def _name_urls(self, cluster: Cluster | None, broker: Broker | None) -> None:
        given = self.environment
        if cluster is not None:
            self.urls |= {
                "database": cluster.url(role="counterfoil_app"),
                "database_gate": cluster.url(role="counterfoil_gate"),
                "database_owner": cluster.url(role="counterfoil_owner"),
                "database_readonly": cluster.url(role="counterfoil_readonly"),
                "database_superuser": cluster.url(role=SUPERUSER),
            }
        else:
            named = {
                "database": given.database_url,
                "database_gate": given.gate_database_url,
                "database_owner": given.database_owner_url,
                "database_readonly": given.database_readonly_url,
            }
            self.urls |= {name: url for name, url in named.items() if url}
        self.urls["broker"] = broker.url if broker else given.celery_broker_url or ""
        write_json(path=self.home / "run" / "urls.json", value=self.urls)

    def _prepare_database(self) -> None:
        with self.progress.step("Migrations" if self.bare else "Migrations and demo data"):
            command = [sys.executable, "manage.py", "prepare", *(["--bare"] if self.bare else [])]
            answer = subprocess.run(
                command, cwd=CHECKOUT, env=own_environment(home=self.home),
                capture_output=True, text=True, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            log = self.home / "log" / "prepare.log"
            log.write_text(answer.stdout + answer.stderr, encoding="utf-8")
            if answer.returncode:
                raise CannotStart(f"The database could not be prepared ({log}):\n{answer.stderr[-3000:]}")

    def _start_own(self) -> None:
        address = self._app_address()
        environment = {
            **own_environment(home=self.home),
            **self._stripe_environment(),
            MULTIPROCESS_FOLDER: str(_metrics_folder(self.home)),
            "COUNTERFOIL_APP": address,
        }
        web = web_command(
            bind=self.environment.bind, port=self.port, processes=self.environment.web_processes
        )
        specs = [
            _app_spec(address, environment, processes=self.environment.app_processes),
            ChildSpec(name="web", argv=web, ready=self._web_is_ready, environment=environment),
            ChildSpec(name="worker", argv=worker_command(), ready=self._said_ready, environment=environment),
            ChildSpec(name="beat", argv=beat_command(), ready=self._said_ready, environment=environment),
        ]
        with self.progress.step("Web, app, worker and beat") as step:
            children: list[Child] = [self.family.start(spec) for spec in specs]
            for child in children:
                self.family.wait_until_ready(child)
            step.note(self.urls["http"])

    def _app_address(self) -> str:
        """Where app listens: the address given, else a socket in the state folder, or elsewhere when that folder's
        path is too long for one."""
        address = self.environment.app_address
        if len(address.removeprefix("unix:").encode()) <= LONGEST_SOCKET_PATH:
            return address
        self._socket_folder = Path(tempfile.mkdtemp(prefix="counterfoil-app-"))
        return f"unix:{self._socket_folder / 'app.sock'}"

    def _said_ready(self, pid: int) -> bool:
        """Worker and beat leave a file with their name's pid when they begin to work."""
        return (self.home / "run" / f"ready-{pid}").exists()

    def _web_is_ready(self, pid: int) -> bool:
        try:
            with urlopen(f"{self.urls['http']}/readyz", timeout=0.5) as answer:
                status: int = answer.status
        except (URLError, OSError):
            return False
        return status == 200

    # Running and stopping

    def show_logins(self) -> None:
        """Say where to go and with what."""
        demo = read_json(path=self.home / "run" / "demo.json") or {}
        self.progress.logins(urls=self.urls, demo=demo, home=self.home)

    def play_story(self) -> int:
        """Play the demo story through the public HTTP API; 0 when every step held, or there is no story."""
        if self.bare or not (CHECKOUT / "sandbox" / "story" / "__main__.py").exists():
            return 0
        command = [sys.executable, "-m", "sandbox.story"]
        environment = {**os.environ, "COUNTERFOIL_HOME": str(self.home)}
        return subprocess.run(command, cwd=CHECKOUT, env=environment).returncode

    def serve(self) -> None:
        """Do nothing until a signal arrives; the watcher looks after the children."""
        while True:
            threading.Event().wait(3600)

    def stop(self) -> None:
        """Stop every child in order and take back what we said about them."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        with self.progress.step("Stopping"):
            self.family.close(last=_STORES)
            self._claim.close()
            if self._socket_folder is not None:
                shutil.rmtree(self._socket_folder, ignore_errors=True)
            for name in ("urls.json", "pids.json", "supervisor.json"):
                (self.home / "run" / name).unlink(missing_ok=True)


def _postgres_spec(cluster: Cluster) -> ChildSpec:
    return ChildSpec(
        name="postgres",
        argv=cluster.argv(),
        ready=lambda _: cluster.is_live(timeout_seconds=1),
        environment=cluster.environment(),
        folder=Path("/"),
        stop_signal=signal.SIGINT,
        patience_seconds=30,
        prepare=cluster.prepare,
        credentials=cluster.credentials(),
    )


def _stripe_spec(processor: Processor) -> ChildSpec:
    return ChildSpec(
        name="stripe",
        argv=processor.argv(),
        ready=lambda _: processor.is_live(),
        environment={**own_environment(home=processor.home), **processor.environment()},
    )


def _app_spec(address: str, environment: dict[str, str], *, processes: int) -> ChildSpec:
    """Django, ready when it accepts connections; web's readiness says whether it can serve."""
    place = Path(address.removeprefix("unix:")) if address.startswith("unix:") else None
    parts = urlsplit(address)

    def prepare() -> None:
        if place is not None:
            place.unlink(missing_ok=True)  # what a killed one left behind

    def is_ready(_: int) -> bool:
        if place is not None:
            return is_listening(place)
        return not port_is_free(port=parts.port or 80, bind=parts.hostname or "127.0.0.1")

    argv = app_command(address=address, processes=processes)
    return ChildSpec(name="app", argv=argv, ready=is_ready, environment=environment, prepare=prepare)


def _metrics_folder(home: Path) -> Path:
    """An empty folder: counters begin at zero with every start."""
    folder = home / "run" / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _make_database(cluster: Cluster) -> None:
    with cluster.connect() as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
        if found is None:
            connection.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0".encode())
        for statement in database_statements(name=DATABASE):
            connection.execute(statement.encode())


def _only_one(home: Path) -> IO[str]:
    """Hold the state folder's lock until this process ends."""
    path = home / "run"
    path.mkdir(parents=True, exist_ok=True)
    lock = (path / "supervisor.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStart(
            f"Counterfoil already runs from {home}. Stop it first, or set COUNTERFOIL_HOME."
        ) from None
    return lock


def _take_over(home: Path, progress: Progress) -> None:
    """End what a killed supervisor left behind, and only then say that this one is in charge."""
    for name in end_leftovers(home=home):
        progress.say(f"Ended a {name} that an earlier run left behind")
    write_json(path=home / "run" / "pids.json", value={})
    own = {"pid": os.getpid(), "started": processes.start_time(pid=os.getpid())}
    write_json(path=home / "run" / "supervisor.json", value=own)


def _on_signal(number: int, frame: FrameType | None) -> None:
    raise Stopped


def _run(*, once: bool, bare: bool, progress: Progress) -> int:
    environment = read_environment(variables=os.environ)
    lock = _only_one(environment.home.resolve())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)
    _take_over(environment.home.resolve(), progress)
    supervisor = Supervisor(environment=environment, progress=progress, bare=bare)
    try:
        started_at = time.monotonic()
        supervisor.start()
        supervisor.show_logins()
        progress.say(f"Ready after {time.monotonic() - started_at:.1f} s")
        result = supervisor.play_story()
        if once:
            return result
        progress.say("Serving until Ctrl-C")
        supervisor.serve()
    except Stopped:
        return 130 if once else 0
    finally:
        supervisor.stop()
        lock.close()
    return 0


def main() -> int:
    """Run until told to stop; what a person must mend is a message, not a stack."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.supervisor", description="Run Counterfoil.")
    parser.add_argument("--once", action="store_true", help="stop after the demo story")
    parser.add_argument("--bare", action="store_true", help="neither demo data nor story")
    given = parser.parse_args()
    progress = Progress()
    try:
        return _run(once=given.once, bare=given.bare, progress=progress)
    except Stopped:
        return 130
    except (WrongEnvironment, CannotStart, NoPostgres, ClusterUnusable, TimeoutError, psycopg.Error) as error:
        progress.fail(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
