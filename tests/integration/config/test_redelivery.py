"""Work that a killed worker held comes back by itself, quickly. Nothing relies on it, but nobody waits long."""

import os
import signal
import time
from pathlib import Path

import pytest
from redis import Redis

from config.servers import worker_command
from sandbox import processes
from sandbox.children import ChildSpec
from sandbox.valkey import Broker
from spend.operations.gate.lanes import COLLECT_AFTER
from tests.builders.sizes import IS_FULL
from tests.integration.config.redelivered import QUEUE, leave_mark
from tests.servers import serving

TASKS = 10


def _worker(name: str) -> ChildSpec:
    home = Path(os.environ["COUNTERFOIL_HOME"])
    return ChildSpec(
        name=name,
        argv=[*worker_command(), "-I", leave_mark.name.rpartition(".")[0], "-Q", QUEUE, "-n", name],
        ready=lambda pid: (home / "run" / f"ready-{pid}").exists(),
        environment=dict(os.environ),
        patience_seconds=3,
    )


class TestAKilledWorker:
    @pytest.mark.skipif(not IS_FULL, reason="It waits half a minute for the broker.")
    def test_loses_no_task(self, broker: Broker, tmp_path: Path) -> None:
        for number in range(TASKS):
            leave_mark.apply_async(kwargs={"folder": str(tmp_path), "number": number}, queue=QUEUE)
        with serving(_worker("first"), folder=tmp_path / "log") as first:
            while len(_marks(tmp_path)) < 2:
                time.sleep(0.02)
            time.sleep(0.3)  # in the middle of tasks: a message just taken from the queue is not yet noted
            assert first.process is not None
            processes.signal_group(group=first.process.pid, number=signal.SIGKILL)
        assert len(_marks(tmp_path)) < TASKS
        killed_at = time.monotonic()
        with serving(_worker("second"), folder=tmp_path / "log"):
            while len(_marks(tmp_path)) < TASKS and time.monotonic() < killed_at + 60:
                time.sleep(0.05)
        assert _marks(tmp_path) == set(range(TASKS))
        assert {(tmp_path / str(number)).read_text() for number in range(TASKS)} == {str(COLLECT_AFTER)}


def _marks(folder: Path) -> set[int]:
    return {int(path.name) for path in folder.iterdir() if path.name.isdecimal()}


class TestTheBroker:
    def test_writes_its_messages_to_disk(self, broker: Broker) -> None:
        client = Redis.from_url(broker.url)
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        client.close()
