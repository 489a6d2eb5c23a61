"""`manage.py create_roles` for a server that is not ours: it prints, the server's superuser runs it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from config.roles import ROLES
from sandbox.cluster import PORT, SUPERUSER, Cluster
from sandbox.control import forget_cluster
from sandbox.places import CHECKOUT


@pytest.fixture
def bare_server(tmp_path: Path) -> Iterator[Cluster]:
    """A server without our roles, with an empty database `books`."""
    cluster = Cluster.open(home=tmp_path, durable=False)
    cluster.start_detached()
    with cluster.connect() as connection:
        connection.execute("CREATE DATABASE books")
    yield cluster
    forget_cluster(home=tmp_path)


def _url(cluster: Cluster, role: str) -> str:
    folder = cluster.location.socket_folder.replace("/", "%2F")
    return f"postgresql://{role}:password-of-{role}@/books?host={folder}&port={PORT}"


def _printed(cluster: Cluster, *arguments: str) -> str:
    environment = {
        **os.environ,
        "DATABASE_URL": _url(cluster, "counterfoil_app"),
        "DATABASE_OWNER_URL": _url(cluster, "counterfoil_owner"),
        "GATE_DATABASE_URL": _url(cluster, "counterfoil_gate"),
        "DATABASE_READONLY_URL": _url(cluster, "counterfoil_readonly"),
    }
    command = [sys.executable, "manage.py", "create_roles", *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


class TestOnARealServer:
    def test_the_printed_statements_make_roles_that_log_in_and_are_no_superusers(
        self, bare_server: Cluster
    ) -> None:
        answer = json.loads(_printed(bare_server, "--json"))
        assert answer["applied"] is False
        for _ in range(2):  # may be run again at any time
            with bare_server.connect() as connection:
                for statement in answer["statements"]:
                    connection.execute(statement.encode())
        for role in ROLES:
            with psycopg.connect(_url(bare_server, role)) as connection:
                found = connection.execute(
                    "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication"
                    " FROM pg_roles WHERE rolname = current_user"
                ).fetchone()
            assert found == (False,) * 5

    def test_no_password_is_printed(self, bare_server: Cluster) -> None:
        text = _printed(bare_server)
        assert "password-of" not in text
        assert text.count("SCRAM-SHA-256$") == 4

    def test_the_database_is_closed_to_everybody_else(self, bare_server: Cluster) -> None:
        statements = json.loads(_printed(bare_server, "--json"))["statements"]
        with bare_server.connect() as connection:
            connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'x'")
            for statement in statements:
                connection.execute(statement.encode())
        stranger = make_conninfo(bare_server.url(role=SUPERUSER, name="books"), user="stranger", password="x")
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(stranger)
