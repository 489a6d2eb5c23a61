"""A pytest plugin: the test cluster and a database of this session's own, named before Django starts.

The owner's migrations run once into a template; every session (and every xdist worker) works in a clone of
it through the application's roles. Nothing is ever flushed: facts cannot be deleted, so each test takes an
organization of its own, and a test about the whole platform takes a clone of its own.
"""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from config.roles import database_statements
from sandbox.cluster import Cluster
from sandbox.places import CHECKOUT, free_port
from sandbox.postgres import running_cluster

_TEMPLATES_KEPT = 4
_ROLES = {
    "DATABASE_URL": "counterfoil_app",
    "DATABASE_OWNER_URL": "counterfoil_owner",
    "GATE_DATABASE_URL": "counterfoil_gate",
    "DATABASE_READONLY_URL": "counterfoil_readonly",
}


class TestDatabases:
    """Makes, clones and drops databases of the test cluster."""

    __test__ = False

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.template = f"template_{_fingerprint()}"

    def urls(self, name: str) -> dict[str, str]:
        """The environment that points a process at this database."""
        return {variable: self.cluster.url(role=role, name=name) for variable, role in _ROLES.items()}

    def superuser_url(self, name: str) -> str:
        return self.cluster.url(role="counterfoil_superuser", name=name)

    def clone(self, name: str) -> None:
        """Make a database that equals a freshly migrated one."""
        with self._alone() as connection:
            if not _exists(connection, self.template):
                self._build_template(connection)
            _create(connection, name, template=self.template)

    def drop(self, *names: str) -> None:
        """Drop databases, whoever is connected."""
        with self.cluster.connect() as connection:
            for name in names:
                _drop(connection, name)

    def drop_those_of_nobody(self, sessions: Path) -> None:
        """Drop what sessions left that are over: a session's databases have its name, and it has a folder."""
        with self._alone() as connection:
            found = connection.execute(
                "SELECT datname FROM pg_database WHERE datname ~ '^test_[0-9]{8}_[0-9a-f]{8}(_|$)'"
            )
            for (name,) in found.fetchall():
                if not (sessions / "_".join(name.split("_")[:3])).is_dir():
                    _drop(connection, name)

    def disconnect(self, name: str) -> None:
        """Let nobody stay connected to a database."""
        with self.cluster.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )

    @contextmanager
    def _alone(self) -> Iterator[psycopg.Connection]:
        with self.cluster.connect() as connection:
            connection.execute("SELECT pg_advisory_lock(hashtext('counterfoil test template'))")
            yield connection

    def _build_template(self, connection: psycopg.Connection) -> None:
        draft = f"draft_{secrets.token_hex(6)}"
        _create(connection, draft, template="template0")
        try:
            self._migrate(draft)
        except BaseException:
            _drop(connection, draft)
            raise
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        connection.execute(rename.format(sql.Identifier(draft), sql.Identifier(self.template)))
        _forget_old_templates(connection)

    def _migrate(self, name: str) -> None:
        answer = subprocess.run(
            [sys.executable, "manage.py", "migrate", "--database", "owner", "--no-input", "--verbosity", "0"],
            cwd=CHECKOUT, env={**os.environ, **self.urls(name)}, capture_output=True, text=True,
        )  # fmt: skip
        if answer.returncode:
            raise pytest.UsageError(f"The migrations failed:\n{answer.stdout}{answer.stderr}")


def _fingerprint() -> str:
    """A template is as good as the migrations it was made from, and partitions are made for its month."""
    digest = sha256(f"{datetime.now(UTC):%Y-%m}".encode())
    for path in sorted(CHECKOUT.glob("*/migrations/**/*")):
        if path.suffix in (".py", ".sql"):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _exists(connection: psycopg.Connection, name: str) -> bool:
    found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
    return found.fetchone() is not None


def _create(connection: psycopg.Connection, name: str, *, template: str) -> None:
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    for statement in database_statements(name=name):
        connection.execute(statement.encode())


def _drop(connection: psycopg.Connection, name: str) -> None:
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _forget_old_templates(connection: psycopg.Connection) -> None:
    found = connection.execute(
        "SELECT datname FROM pg_database WHERE starts_with(datname, 'template_') ORDER BY oid DESC OFFSET %s",
        (_TEMPLATES_KEPT,),
    )
    for (name,) in found.fetchall():
        _drop(connection, name)


class Session:
    """The database and state folder of this pytest process."""

    def __init__(self) -> None:
        home = Path(os.environ.setdefault("COUNTERFOIL_TEST_HOME", str(cluster_home())))
        cluster, _ = running_cluster(home=home, durable=False, bin_folder=os.environ.get("PG_BIN") or None)
        self.databases = TestDatabases(cluster)
        self.name = f"test_{datetime.now(UTC):%d%H%M%S}_{secrets.token_hex(4)}"
        self.home = home / "sessions" / self.name
        self.broker_port = free_port()
        self.broker_password = secrets.token_urlsafe(16)

    def environment(self) -> dict[str, str]:
        broker = f"redis://:{self.broker_password}@127.0.0.1:{self.broker_port}/0"
        urls = self.databases.urls(self.name)
        return {**urls, "COUNTERFOIL_HOME": str(self.home), "CELERY_BROKER_URL": broker}

    def begin(self) -> None:
        """Have the database."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.databases.drop_those_of_nobody(self.home.parent)
        self.databases.clone(self.name)

    def leave(self, name: str) -> None:
        """Be done with a database of one test. It goes when the next session begins: file systems look long for a place
        for the thousand files of the next one while those of the last were deleted just now (1.3 s, not 0.1 s)."""
        self.databases.disconnect(name)

    def end(self) -> None:
        self.databases.drop(self.name)
        shutil.rmtree(self.home, ignore_errors=True)


def cluster_home() -> Path:
    """The state folder of the test cluster; another PostgreSQL (PG_BIN) has one of its own, and so has whoever names
    one (COUNTERFOIL_TEST_HOME)."""
    if given := os.environ.get("COUNTERFOIL_TEST_HOME"):
        return Path(given)
    home = CHECKOUT / os.environ.get("COUNTERFOIL_HOME", "var")
    other = os.environ.get("PG_BIN")
    return home / (f"test-{sha256(other.encode()).hexdigest()[:8]}" if other else "test")


_SESSION = pytest.StashKey[Session]()


def session_of(config: pytest.Config) -> Session:
    """The session that this pytest process works in."""
    return config.stash[_SESSION]


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[Any]:
    """Runs before pytest-django reads the settings."""
    session = Session()
    early_config.stash[_SESSION] = session
    os.environ.update(session.environment())
    for variable in ("SECRET_KEY", "ALLOWED_HOSTS", "STRIPE_API_KEY", "STRIPE_API_BASE"):
        os.environ.pop(variable, None)
    return (yield)
