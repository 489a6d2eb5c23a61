"""`make run` without make: the supervisor with real servers in a state folder of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import psycopg
import pytest
from stripe import StripeClient

from sandbox import processes
from sandbox.control import forget_cluster, restart, supervisor_pid
from sandbox.places import CHECKOUT, claim_port
from tests.builders.sizes import IS_FULL

SERVED = {"postgres", "valkey", "stripe", "web", "app", "worker", "beat"}
KILLED = ("beat", "stripe", "web")
"""In CI; the others die in tests/crash."""
OURS = (
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "GATE_DATABASE_URL",
    "DATABASE_READONLY_URL",
    "CELERY_BROKER_URL",
    "STRIPE_API_KEY",
    "STRIPE_API_BASE",
    "STRIPE_WEBHOOK_SECRETS",
    "STRIPE_CONNECT_WEBHOOK_SECRETS",
)


def _eventually(holds: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


class Copy:
    """One running copy."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.seen_groups: set[int] = set()
        environment = {name: value for name, value in os.environ.items() if name not in OURS}
        self.output = home.parent / f"{home.name}.out"
        output = self.output.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.supervisor", "--bare"],
            cwd=CHECKOUT,
            env={**environment, "COUNTERFOIL_HOME": str(home)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        output.close()

    def read(self, name: str) -> dict[str, Any]:
        try:
            known: dict[str, Any] = json.loads((self.home / "run" / name).read_text())
        except FileNotFoundError:
            return {}
        return known

    def pid(self, name: str) -> int:
        entry = self.read("pids.json")[name]
        self.seen_groups.add(entry["group"])
        return int(entry["pid"])

    def is_ready(self) -> bool:
        known = self.read("pids.json")
        return (
            supervisor_pid(home=self.home) == self.process.pid
            and set(known) == SERVED
            and all(entry["ready"] for entry in known.values())
        )

    def answers(self) -> bool:
        try:
            with urlopen(f"{self.read('urls.json')['http']}/readyz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError, KeyError):
            return False

    def is_over(self) -> bool:
        return self.process.poll() is not None

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)


@contextmanager
def _running(home: Path) -> Iterator[Copy]:
    copy = Copy(home)
    try:
        _eventually(lambda: copy.is_ready() or copy.is_over(), seconds=90)
        assert copy.is_ready(), copy.output.read_text()
        for name in SERVED:
            copy.pid(name)
        yield copy
    finally:
        if not copy.is_over():
            copy.stop()
        forget_cluster(home=home)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    with _running(tmp_path_factory.mktemp("copy") / "state") as copy:
        yield copy


class TestARunningCopy:
    def test_names_every_process_by_its_real_command_line(self, running: Copy) -> None:
        assert _eventually(running.is_ready, seconds=60)
        for entry in running.read("pids.json").values():
            program = next(part for part in entry["argv"] if not part.startswith(("unshare", "--")))
            assert Path(program).name in " ".join(processes.command_line(pid=entry["pid"]))

    def test_serves_every_role_under_its_own_name(self, running: Copy) -> None:
        urls = running.read("urls.json")
        found = {}
        for role in ("database", "database_gate", "database_owner", "database_readonly"):
            with psycopg.connect(urls[role]) as connection:
                found[role] = connection.execute(
                    "SELECT current_user::text, usesuper FROM pg_user WHERE usename = current_user"
                ).fetchone()
        assert found == {
            "database": ("counterfoil_app", False),
            "database_gate": ("counterfoil_gate", False),
            "database_owner": ("counterfoil_owner", False),
            "database_readonly": ("counterfoil_readonly", False),
        }

    def test_has_a_stripe_whose_endpoints_are_its_own_webs(self, running: Copy) -> None:
        urls = running.read("urls.json")
        client = StripeClient(urls["stripe_key"], base_addresses={"api": urls["stripe"]})
        found = {
            endpoint.url.removeprefix(urls["http"]) for endpoint in client.v1.webhook_endpoints.list().data
        }
        assert found == {"/webhooks/stripe/", "/webhooks/stripe/connect/"}
        environment = Path(f"/proc/{running.pid('web')}/environ").read_text().split("\0")
        given = dict(entry.partition("=")[::2] for entry in environment)
        kept = json.loads((running.home / "stripe" / "endpoints.json").read_text())
        assert (given["STRIPE_API_KEY"], given["STRIPE_API_BASE"]) == (urls["stripe_key"], urls["stripe"])
        for name in ("STRIPE_WEBHOOK_SECRETS", "STRIPE_CONNECT_WEBHOOK_SECRETS"):
            assert given[name] == kept[name]["secret"]

    def test_keeps_its_data_on_disk_before_it_answers(self, running: Copy) -> None:
        with psycopg.connect(running.read("urls.json")["database"]) as connection:
            names = "('fsync', 'full_page_writes', 'synchronous_commit')"
            found = connection.execute(
                f"SELECT name, setting FROM pg_settings WHERE name IN {names}"
            ).fetchall()
        assert dict(found) == {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}

    def test_lets_nobody_in_without_a_password(self, running: Copy) -> None:
        url = running.read("urls.json")["database_superuser"]
        parts = psycopg.conninfo.conninfo_to_dict(url)
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(host=parts["host"], port=parts["port"], user=parts["user"], dbname="postgres")

    def test_keeps_its_secrets_to_itself(self, running: Copy) -> None:
        folder = Path(psycopg.conninfo.conninfo_to_dict(running.read("urls.json")["database"])["host"])
        secret = [
            "run/urls.json",
            "postgres/cluster.json",
            "valkey/valkey.conf",
            "secret_key",
            "stripe/processor.json",
            "stripe/endpoints.json",
        ]
        assert folder.stat().st_mode & 0o777 == 0o700
        assert [(running.home / name).stat().st_mode & 0o777 for name in secret] == [0o600] * 6

    def test_refuses_a_second_copy_on_the_same_state(self, running: Copy) -> None:
        environment = {**os.environ, "COUNTERFOIL_HOME": str(running.home)}
        second = subprocess.run(
            [sys.executable, "-m", "sandbox.supervisor"],
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert second.returncode == 1
        assert "already runs" in second.stdout

    @pytest.mark.parametrize("name", sorted(SERVED) if IS_FULL else KILLED)
    def test_brings_a_killed_child_back_within_two_seconds(self, running: Copy, name: str) -> None:
        assert _eventually(running.is_ready, seconds=60)
        before = running.pid(name)
        os.kill(before, signal.SIGKILL)
        assert _eventually(lambda: running.pid(name) != before, seconds=2)
        assert processes.start_time(pid=running.pid(name)) is not None
        assert _eventually(running.is_ready, seconds=60)
        assert _eventually(running.answers, seconds=60)

    @pytest.mark.parametrize("name", ["web", "app"] if IS_FULL else ["app"])
    def test_ends_a_servers_orphans_before_it_starts_anew(self, running: Copy, name: str) -> None:
        assert _eventually(running.is_ready, seconds=60)
        group = running.pid(name)
        workers = [pid for pid in processes.group_members(group=group) if pid != group]
        assert workers
        os.kill(group, signal.SIGKILL)
        assert _eventually(lambda: running.pid(name) != group, seconds=2)
        assert [pid for pid in workers if processes.start_time(pid=pid) is not None] == []

    @pytest.mark.parametrize("name", ["web", "app"] if IS_FULL else ["web"])
    def test_restarts_a_server_when_one_of_its_workers_is_killed(self, running: Copy, name: str) -> None:
        assert _eventually(running.is_ready, seconds=60)
        group = running.pid(name)
        worker = next(pid for pid in processes.group_members(group=group) if pid != group)
        os.kill(worker, signal.SIGKILL)
        assert _eventually(lambda: running.pid(name) != group, seconds=5)
        assert _eventually(running.answers, seconds=60)

    def test_restarts_a_child_on_request(self, running: Copy) -> None:
        assert _eventually(running.is_ready, seconds=60)
        before = running.pid("beat")
        assert restart(home=running.home, name="beat")
        assert running.pid("beat") != before


def _living(groups: set[int]) -> list[int]:
    return [group for group in groups if processes.group_members(group=group)]


def _socket_of(copy: Copy) -> Path:
    argv = copy.read("pids.json")["app"]["argv"]
    return Path(argv[argv.index("--uds") + 1])


class TestTwoCopies:
    @pytest.mark.skipif(not IS_FULL, reason="It starts two copies more, a minute of two processors.")
    def test_run_side_by_side_and_a_killed_one_is_made_up_for_and_ends_without_a_trace(
        self, running: Copy, tmp_path: Path
    ) -> None:
        far = tmp_path / ("a-folder-whose-path-is-too-long-for-a-socket-" * 3) / "state"
        far.parent.mkdir()
        with _running(far) as first:
            assert _eventually(lambda: running.answers() and first.answers(), seconds=60)
            assert first.read("urls.json")["http"] != running.read("urls.json")["http"]
            places = [_socket_of(copy) for copy in (running, first)]
            assert places[0] == running.home / "run" / "app.sock"
            assert all(place.is_socket() and place.stat().st_mode & 0o77 == 0 for place in places)
            first.process.kill()
            first.process.wait()
            assert supervisor_pid(home=far) is None
            with _running(far) as second:
                assert _living(first.seen_groups) == []
                assert second.answers()
                place = _socket_of(second)
                assert second.stop() == 0
        assert _living(second.seen_groups) == []
        assert list((far / "run").glob("*.json")) == []
        assert not place.parent.exists()
        assert running.answers()

    def test_never_share_a_port_though_one_is_not_up_at_the_moment(self, running: Copy) -> None:
        port = urlsplit(running.read("urls.json")["http"]).port
        assert port is not None
        os.kill(running.pid("web"), signal.SIGKILL)
        deadline, seen = time.monotonic() + 3, []
        while time.monotonic() < deadline:
            seen.append(claim_port(port=port))
            time.sleep(0.002)
        assert not any(seen)
        assert _eventually(running.answers, seconds=60)
