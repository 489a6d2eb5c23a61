"""Fixtures for every test: the session's database, open to all; and the proof at the end over all of it."""

import io
import secrets
import time
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command, get_commands
from django.db import connections

from common.transactions import run_in_transaction
from config.database_urls import django_database
from spend.operations.gate.submit import close_gate
from tests.builders.rsgi import close_entry
from tests.database import Session, session_of

_ALIASES = {
    "default": "DATABASE_URL",
    "owner": "DATABASE_OWNER_URL",
    "gate": "GATE_DATABASE_URL",
    "readonly": "DATABASE_READONLY_URL",
}
_PROOFS = (("verify_ledger",), ("rebuild", "--check"))
_LONG = (
    "tests/integration/sandbox/",
    "tests/crash/",
    "tests/functional/story/",
    "tests/integration/bench/",
    "tests/property/gate/test_model.py",
    "tests/functional/reconciliation/",
    "tests/functional/gate/test_runaways.py",
    "tests/integration/billing/test_killed_commands.py",
    "tests/integration/payouts/test_killed_payouts.py",
)
"""Few tests that take long: begun first, so that no process ends with them while the others have nothing to do."""


_WHOLE = "tests/functional/reconciliation/"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what looks at the whole database, while there is little in it, and then with what takes long;
    everything else stays in its random order."""
    items.sort(key=lambda item: (not item.nodeid.startswith(_WHOLE), not item.nodeid.startswith(_LONG)))


@pytest.fixture(scope="session")
def test_session(pytestconfig: pytest.Config) -> Session:
    """The database server, database and state folder of this pytest process."""
    return session_of(pytestconfig)


@pytest.fixture(scope="session", autouse=True)
def django_db_setup(test_session: Session, django_db_blocker: pytest.FixtureRequest) -> Iterator[None]:
    """A clone of the migrated template, open to every test until the end. Tests commit for real."""
    test_session.begin()
    with django_db_blocker.unblock():
        yield
        try:
            prove_everything()
        finally:
            _let_go()
            test_session.end()


def prove_everything() -> None:
    """Fail unless the whole database is what it claims to be: the seal chain and books verify (E2, L1, L3),
    and a rebuild from the events gives the same projections (E1)."""
    _seal_everything()
    for command, *arguments in _PROOFS:
        if command not in get_commands():
            continue
        output = io.StringIO()
        try:
            call_command(command, *arguments, stdout=output, stderr=output)
        except (CommandError, SystemExit) as error:
            if not (isinstance(error, SystemExit) and not error.code):
                pytest.fail(f"{command} found a difference after the tests: {error}\n{output.getvalue()}")


def _seal_everything(seconds: float = 20) -> None:
    """So that there is a chain to verify. Another database of the cluster may hold the horizon; what is not final
    by the end of the time stays the stated tail."""
    from events.operations.seal import seal_facts
    from events.verifying.references import unsealed_tail

    deadline = time.monotonic() + seconds
    while any(run_in_transaction(unsealed_tail).values()) and time.monotonic() < deadline:
        seal_facts()


def _let_go() -> None:
    close_entry()
    for connection in connections.all(initialized_only=True):
        connection.close()
        if connection.settings_dict["OPTIONS"].get("pool"):
            connection.close_pool()


def _point_at(urls: dict[str, str]) -> None:
    _let_go()
    for alias, variable in _ALIASES.items():
        place = django_database(url=urls[variable])
        known = connections[alias].settings_dict
        known.update({key: place[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")})


@pytest.fixture
def private_database(test_session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A freshly migrated database for this test alone, for statements about the whole platform. Django's
    connections, GATE_DATABASE_URL and the environment of child processes point at it; gives its name."""
    # A name of its own for each: the seals' head file outlives the database and knows it by its name.
    name = f"{test_session.name}_{secrets.token_hex(3)}"
    databases = test_session.databases
    databases.clone(name)
    urls = databases.urls(name)
    for variable, url in urls.items():
        monkeypatch.setenv(variable, url)
    monkeypatch.setattr(settings, "GATE_DATABASE_URL", urls["GATE_DATABASE_URL"])
    _point_at(urls)
    close_gate()  # lanes and caches belong to one database
    yield name
    close_gate()
    _point_at(databases.urls(test_session.name))
    test_session.leave(name)
