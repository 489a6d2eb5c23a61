"""An embedded cluster of its own: what makes its start safe."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from sandbox import processes
from sandbox.binaries import NoPostgres, find_binaries
from sandbox.cluster import Cluster, ClusterUnusable
from sandbox.control import forget_cluster
from sandbox.postgres import running_cluster


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    forget_cluster(home=tmp_path)


def _started(home: Path) -> Cluster:
    cluster, _ = running_cluster(home=home, durable=False)
    return cluster


class TestStarting:
    def test_from_many_processes_at_once_starts_one_server(self, home: Path) -> None:
        with ThreadPoolExecutor(4) as callers:
            found = list(callers.map(lambda _: running_cluster(home=home, durable=False), range(4)))
        assert sorted(started for _, started in found) == [False, False, False, True]
        assert len({cluster.server_pid() for cluster, _ in found}) == 1

    def test_succeeds_right_after_the_server_was_killed_under_load(self, home: Path) -> None:
        """The killed server's children hold its shared memory for a moment."""
        cluster = _started(home)
        with cluster.connect() as busy:
            busy.execute("CREATE TABLE kept AS SELECT 7 AS value")
            busy.execute("CHECKPOINT")
            pid = cluster.server_pid()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            started_at = time.monotonic()
            again = _started(home)
            assert time.monotonic() - started_at < 5
            assert again.server_pid() != pid
        with again.connect() as connection:
            assert connection.execute("SELECT value FROM kept").fetchone() == (7,)

    def test_is_not_stopped_by_a_lock_whose_pid_now_belongs_to_a_stranger(self, home: Path) -> None:
        cluster = _started(home)
        lock = cluster.data / "postmaster.pid"
        text = lock.read_text()
        cluster.stop()
        with subprocess.Popen(["sleep", "60"]) as stranger:
            lock.write_text("\n".join([str(stranger.pid), *text.splitlines()[1:]]) + "\n")
            assert _started(home).is_live()
            stranger.kill()

    def test_takes_a_new_socket_folder_when_the_old_one_is_gone(self, home: Path) -> None:
        cluster = _started(home)
        cluster.stop()
        Path(cluster.location.socket_folder).rmdir()
        assert _started(home).location.socket_folder != cluster.location.socket_folder

    def test_with_the_data_of_another_major_version_is_refused_with_advice(self, home: Path) -> None:
        cluster = _started(home)
        cluster.stop()
        (cluster.data / "PG_VERSION").write_text("14\n")
        with pytest.raises(ClusterUnusable, match=r"made by PostgreSQL 14, .* pg_dump"):
            Cluster.open(home=home, durable=False)


class TestStopping:
    def test_ends_sessions_and_leaves_no_process(self, home: Path) -> None:
        cluster = _started(home)
        pid = cluster.server_pid()
        assert pid is not None
        with cluster.connect() as busy:
            busy.execute("SELECT 1")
            cluster.stop()
            with pytest.raises(psycopg.OperationalError):
                busy.execute("SELECT 1")
        assert processes.start_time(pid=pid) is None
        assert not cluster.is_live()


class TestBinaries:
    def test_that_do_not_work_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(NoPostgres, match="PG_BIN="):
            find_binaries(given=str(tmp_path))
