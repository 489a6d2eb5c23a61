"""Where the benchmarks run: a durable cluster of their own, a database per purpose, Django pointed at one."""

import os
import platform
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from sandbox.cluster import Cluster
from sandbox.places import home as state_home
from sandbox.postgres import running_cluster
from tests.database import TestDatabases, cluster_home

MAIN = "bench"
COPYING_TRIES = 5
"""The server waits five seconds in each."""


class Place:
    """The cluster with its databases. `throwaway` is the test cluster: quick, but its figures mean nothing."""

    def __init__(self, *, throwaway: bool = False) -> None:
        self.throwaway = throwaway
        self.folder = state_home() / "bench"
        tests = Path(os.environ.get("COUNTERFOIL_TEST_HOME") or cluster_home())
        home = tests if throwaway else self.folder
        if throwaway:
            os.environ["COUNTERFOIL_TEST_HOME"] = str(
                tests
            )  # servers start on it although nothing is durable
        self.cluster, self._started = running_cluster(home=home, durable=not throwaway)
        self.databases = TestDatabases(self.cluster)
        # The seals' head file stands there; one of an earlier run's database would be found to contradict ours.
        shutil.rmtree(self.folder / "home", ignore_errors=True)
        self._names: list[str] = []

    @property
    def postmaster(self) -> int:
        pid = self.cluster.server_pid()
        assert pid is not None
        return pid

    def name(self, purpose: str) -> str:
        """The database's name; on the test cluster no two runs share one."""
        return f"{MAIN}_{purpose}_{os.getpid()}" if self.throwaway else f"{MAIN}_{purpose}"

    def clone(self, purpose: str, *, template: str | None = None) -> str:
        """Make a freshly migrated database, or a copy of another purpose's, and return its name."""
        name = self.name(purpose)
        self.databases.drop(name)
        if template is None:
            self.databases.clone(name)
        else:
            self._copy(self.name(template), name)
        self._names.append(name)
        return name

    def empty(self, purpose: str) -> str:
        """Make a database with nothing in it, for software that makes its own tables, and return its name."""
        name = self.name(purpose)
        self.databases.drop(name)
        with self.cluster.connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0'.encode())
        self._names.append(name)
        return name

    def _copy(self, source: str, target: str) -> None:
        from config.roles import database_statements

        with self.cluster.connect() as connection:
            for patience in range(COPYING_TRIES, -1, -1):
                try:
                    connection.execute(f'CREATE DATABASE "{target}" TEMPLATE "{source}"'.encode())
                    break
                except psycopg.errors.ObjectInUse:  # what has just closed its connection may still be there
                    if not patience:
                        raise
            for statement in database_statements(name=target):
                connection.execute(statement.encode())

    def superuser(self, name: str) -> "psycopg.Connection[Any]":
        """A superuser's connection in autocommit, to fill and to vacuum."""
        return self.cluster.connect(name=name)

    def environment(self, name: str) -> dict[str, str]:
        """What points a process at this database."""
        return {**self.databases.urls(name), "COUNTERFOIL_HOME": str(self.folder / "home")}

    def use(self, name: str) -> None:
        """Start Django in this process on this database."""
        os.environ.update(self.environment(name))
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        import django

        django.setup()

    def close(self) -> None:
        """Drop the databases and stop the server, unless it was running before."""
        for name in self._names:
            self.databases.drop(name)
        if self._started:
            self.cluster.stop()

    def machine(self) -> dict[str, Any]:
        """What a reader must know of the machine to judge the figures."""
        with self.cluster.connect() as connection:
            shown = {name: _setting(connection, name) for name in _SETTINGS}
        return {
            "cpus": os.cpu_count(),
            "cpu": _cpu_model(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "system": platform.platform(),
            "python": platform.python_version(),
            "load_before": round(os.getloadavg()[0], 2),
            "postgres": shown,
        }


_SETTINGS = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "data_checksums",
)


def _setting(connection: "psycopg.Connection[Any]", name: str) -> str:
    found = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    assert found is not None
    return str(found[0])


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def now_text() -> str:
    """The time in UTC as the report states it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


__all__ = ["MAIN", "Cluster", "Place", "now_text"]
