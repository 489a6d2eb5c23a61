"""An embedded PostgreSQL cluster: made, started, asked whether it lives, stopped.

The server is a direct child of whoever starts it (no pg_ctl in between), listens on a Unix socket only, and
every login needs a password that was generated for this cluster and is kept in its state file (mode 0600).
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import psycopg

from config.database_urls import socket_url
from config.roles import ROLES, role_statements
from sandbox import processes
from sandbox.binaries import Binaries, find_binaries, reachable
from sandbox.places import read_json, write_json

SUPERUSER = "counterfoil_superuser"
PORT = 5432  # only names the socket: every cluster has a socket folder of its own
_LONGEST_SOCKET_PATH = 107
_NO_PID = 2**22 + 1  # above the largest pid that Linux gives
_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "max_locks_per_transaction": "256",
    "jit": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%a ",
}
_DURABLE = {"max_connections": "200"}
# A test cluster may be thrown away: no test stops the machine, so nothing waits for the disk.
_THROWAWAY = {
    "max_connections": "400",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "30s",
}


class ClusterUnusable(Exception):
    """The cluster's data cannot be used by these binaries, or the server does not start."""


@dataclass(slots=True, kw_only=True)
class Location:
    """What the state folder remembers of a cluster."""

    data: str
    socket_folder: str
    superuser_password: str
    passwords: dict[str, str]
    durable: bool


class Cluster:
    """One data folder with its server."""

    def __init__(self, *, home: Path, binaries: Binaries, durable: bool) -> None:
        self.home = home
        self.folder = home / "postgres"
        self.binaries = binaries
        self.durable = durable
        self.location = self._remembered() or self._new_location()

    @classmethod
    def open(cls, *, home: Path, durable: bool = True, bin_folder: str | None = None) -> Self:
        """Find binaries, make the data folder when there is none, and return the cluster, not yet started.

        Raises NoPostgres, or ClusterUnusable when the data belongs to another major version.
        """
        cluster = cls(home=home, binaries=find_binaries(given=bin_folder), durable=durable)
        cluster._make_data()
        cluster._refuse_other_major()
        cluster._make_socket_folder()
        return cluster

    # The state file

    @property
    def state_file(self) -> Path:
        return self.folder / "cluster.json"

    @property
    def data(self) -> Path:
        return Path(self.location.data)

    def _remembered(self) -> Location | None:
        known = read_json(path=self.state_file)
        return Location(**known) if known else None

    def _new_location(self) -> Location:
        return Location(
            data=str(self._place_for_data()),
            socket_folder="",
            superuser_password=secrets.token_urlsafe(24),
            passwords={role: secrets.token_urlsafe(24) for role in ROLES},
            durable=self.durable,
        )

    def _place_for_data(self) -> Path:
        """Inside the state folder, unless the server runs as a user who cannot enter it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        user = self.binaries.user
        if user is None or reachable(path=self.folder, user=user):
            return self.folder / "data"
        return Path(tempfile.mkdtemp(prefix="counterfoil-data-", dir="/var/tmp")) / "data"

    def _remember(self) -> None:
        write_json(path=self.state_file, value=asdict(self.location))

    # Making it

    def _make_data(self) -> None:
        if (self.data / "PG_VERSION").exists():
            return
        shutil.rmtree(self.data, ignore_errors=True)
        draft = self.data.with_name("data.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
        self._give(draft)
        self._give_way(draft.parent)
        self._run_initdb(draft)
        draft.rename(self.data)
        self._remember()

    def _run_initdb(self, target: Path) -> None:
        provider = ["--locale-provider=builtin"] if self.binaries.major >= 17 else []
        password_file = target.with_name("initdb.password")
        password_file.write_text(self.location.superuser_password, encoding="ascii")
        password_file.chmod(0o600)
        self._give(password_file)
        command = self.binaries.command(
            program="initdb",
            arguments=[
                *provider, "--locale=C.UTF-8", "--encoding=UTF8", "--auth=scram-sha-256", "--data-checksums",
                f"--username={SUPERUSER}", f"--pwfile={password_file}", "--no-instructions",
                *([] if self.durable else ["--no-sync"]), "-D", str(target),
            ],
        )  # fmt: skip
        try:
            self._run_as(command)
        finally:
            password_file.unlink()

    def _run_as(self, command: list[str]) -> None:
        answer = subprocess.run(
            command, capture_output=True, text=True, cwd="/", env=_plain_environment(), **self.credentials()
        )
        if answer.returncode:
            raise ClusterUnusable(f"{command[-3:]} failed:\n{answer.stderr.strip()[-2000:]}")

    def credentials(self) -> dict[str, Any]:
        """Return the arguments that make subprocess run the server as the right user."""
        user = self.binaries.user
        return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}

    def _give(self, path: Path) -> None:
        if self.binaries.user:
            shutil.chown(path, user=self.binaries.user)

    def _give_way(self, folder: Path) -> None:
        """The other user must be able to enter the folder that holds the data, not to read it."""
        if self.binaries.user:
            folder.chmod(0o711)

    def _refuse_other_major(self) -> None:
        found = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != str(self.binaries.major):
            raise ClusterUnusable(
                f"{self.data} was made by PostgreSQL {found}, but the one here is {self.binaries.major}."
                f" Dump it with version {found}'s pg_dump and load the dump into a new state folder"
                " (COUNTERFOIL_HOME=…), or, if the data may go, remove it with `make clean`."
            )

    def _make_socket_folder(self) -> None:
        """A socket path has at most 107 bytes, so the folder lies under the system's temporary folder."""
        known = self.location.socket_folder
        if known and Path(known).is_dir() and Path(known).stat().st_mode & 0o777 == 0o700:
            return
        folder = tempfile.mkdtemp(prefix="counterfoil-")
        if len(f"{folder}/.s.PGSQL.{PORT}".encode()) > _LONGEST_SOCKET_PATH:
            Path(folder).rmdir()
            folder = tempfile.mkdtemp(prefix="counterfoil-", dir="/tmp")
        self._give(Path(folder))
        self.location.socket_folder = folder
        self._remember()

    # Running it

    def argv(self) -> list[str]:
        """Return the server's command line. unshare replaces itself, so the pid is the postmaster's."""
        settings = {
            **_SETTINGS,
            **(_DURABLE if self.durable else _THROWAWAY),
            "unix_socket_directories": self.location.socket_folder,
            "port": str(PORT),
        }
        chosen = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return self.binaries.command(program="postgres", arguments=["-D", str(self.data), *chosen])

    def environment(self) -> dict[str, str]:
        """Return the server's environment: nothing of ours, so that PG* variables cannot change it."""
        return _plain_environment()

    def prepare(self) -> None:
        """Make the next start possible: a lock file whose pid now belongs to a stranger stops the server
        for ever. Its shared-memory line stays, so a server that still lives is still found."""
        lock = self.data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError):
            lines = lock.read_text(encoding="utf-8").splitlines(keepends=True)
            if lines and not self._is_ours(int(lines[0])):
                lines[0] = f"{_NO_PID}\n"
                lock.write_text("".join(lines), encoding="utf-8")
        socket_lock = Path(self.location.socket_folder) / f".s.PGSQL.{PORT}.lock"
        with contextlib.suppress(FileNotFoundError):
            if not self._is_ours(int(socket_lock.read_text(encoding="utf-8").splitlines()[0])):
                socket_lock.unlink()

    def _is_ours(self, pid: int) -> bool:
        return str(self.data) in processes.command_line(pid=pid)

    def server_pid(self) -> int | None:
        """Return the pid of a postmaster that serves this data folder now, if any."""
        try:
            pid = int((self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        return pid if self._is_ours(pid) and processes.start_time(pid=pid) is not None else None

    def is_live(self, *, timeout_seconds: int = 2) -> bool:
        """Say whether a real connection is served; a pid proves nothing."""
        try:
            with self.connect(timeout_seconds=timeout_seconds) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def connect(self, *, name: str = "postgres", timeout_seconds: int = 5) -> psycopg.Connection:
        """Return a superuser's connection in autocommit."""
        url = self.url(role=SUPERUSER, name=name)
        return psycopg.connect(url, autocommit=True, connect_timeout=timeout_seconds)

    def url(self, *, role: str, name: str = "counterfoil") -> str:
        """Return a database's URL for one of the roles or the superuser."""
        location = self.location
        password = location.superuser_password if role == SUPERUSER else location.passwords[role]
        return socket_url(
            socket_folder=location.socket_folder, port=PORT, role=role, password=password, name=name
        )

    def make_roles(self) -> None:
        """Make the four roles, or bring them to the right state."""
        with self.connect() as connection:
            for statement in role_statements(passwords=self.location.passwords):
                connection.execute(statement.encode())

    # Without a supervisor

    def start_detached(self, *, timeout_seconds: float = 60) -> None:
        """Start the server in a session of its own, so that it outlives us, and wait until it serves.

        A killed server's children hold its shared memory for a moment: the start is repeated until then.
        """
        deadline = time.monotonic() + timeout_seconds
        next_try_at = 0.0
        while not self.is_live():
            now = time.monotonic()
            if now > deadline:
                raise ClusterUnusable(f"PostgreSQL did not start; see {self.log_file}:\n{self.log_tail()}")
            if now > next_try_at and self.server_pid() is None:
                self.prepare()
                self._spawn_detached()
                next_try_at = now + 0.3
            time.sleep(0.02)

    def _spawn_detached(self) -> None:
        with self.log_file.open("ab") as log:
            subprocess.run(
                ["setsid", "--fork", *self.argv()], check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd="/", env=self.environment(), **self.credentials(),
            )  # fmt: skip

    @property
    def log_file(self) -> Path:
        folder = self.home / "log"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "postgres.log"

    def log_tail(self) -> str:
        """Return the last lines of the server's log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-8:])
        return ""

    def stop(self) -> None:
        """Stop the server: SIGINT ends its sessions and writes a checkpoint."""
        pid = self.server_pid()
        if pid is not None:
            processes.end_group(group=pid, number=signal.SIGINT, patience_seconds=20)


def _plain_environment() -> dict[str, str]:
    path = os.environ.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    return {"PATH": path, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
