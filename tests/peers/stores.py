"""Where the peers keep their books: a database of their own on the benchmarks' cluster, a Valkey, or a file."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from sandbox.cluster import PORT, SUPERUSER
from sandbox.valkey import broker_at
from tests.bench.cpu import tree_seconds
from tests.bench.place import Place


class Store:
    """A peer's store; `settings` is what its driver is told, `kill` is SIGKILL, `restart` brings it back."""

    settings: dict[str, Any]

    def cpu_seconds(self) -> float:
        """CPU that the store has used; nothing where it is inside the worker's process."""
        return 0.0

    def kill(self) -> None:
        """End the store as a crash would. A store inside the worker's process dies with that instead."""

    def restart(self) -> None:
        """Start it again and let it recover."""

    def close(self) -> None:
        """Stop what was started; what is kept stays for the next round."""


class Database(Store):
    """A database on the cluster, as its superuser."""

    def __init__(self, place: Place, peer: str, *, fresh: bool) -> None:
        purpose = f"peer_{peer}"
        self.place, self.name = place, place.empty(purpose) if fresh else place.name(purpose)
        location = place.cluster.location
        self.settings = {
            "url": place.cluster.url(role=SUPERUSER, name=self.name),
            "database": {
                "name": self.name, "user": SUPERUSER, "password": location.superuser_password,
                "host": location.socket_folder, "port": PORT,
            },
        }  # fmt: skip

    def cpu_seconds(self) -> float:
        return tree_seconds(self.place.postmaster)

    def kill(self) -> None:
        kill_postgres(self.place)

    def restart(self) -> None:
        self.place.cluster.start_detached()


def kill_postgres(place: Place) -> None:
    """SIGKILL the postmaster; its children end when they notice."""
    os.kill(place.postmaster, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while place.cluster.server_pid() is not None and time.monotonic() < deadline:
        time.sleep(0.01)


class Valkey(Store):
    """A Valkey of its own with an append-only file, synced every second or at every write."""

    def __init__(self, folder: Path, appendfsync: str, *, fresh: bool) -> None:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        self.broker = broker_at(home=folder)
        path = self.broker.folder / "valkey.conf"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("appendfsync everysec", f"appendfsync {appendfsync}"), encoding="utf-8")
        self.log = folder / "valkey.log"
        self.settings = {"url": self.broker.url}
        self.restart()

    def cpu_seconds(self) -> float:
        return tree_seconds(self.process.pid)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.broker.argv(), stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not self.broker.is_live():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"Valkey did not start; see {self.log}")
            time.sleep(0.02)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


class File(Store):
    """A file that the peer opens itself."""

    def __init__(self, folder: Path, *, fresh: bool) -> None:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        self.settings = {"file": str(folder / "peer.db")}
