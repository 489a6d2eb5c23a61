"""Child processes that are kept alive: each in a group of its own, restarted when it dies."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import processes
from sandbox.places import CHECKOUT, write_json

_LOOK_SECONDS = 0.1
_LONGEST_DELAY_SECONDS = 1.0
_LARGEST_LOG_BYTES = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """How one child is started, asked whether it serves, and stopped."""

    name: str
    argv: list[str]
    ready: Callable[[int], bool]  # given the pid
    environment: Mapping[str, str]
    folder: Path = CHECKOUT
    stop_signal: signal.Signals = signal.SIGTERM
    patience_seconds: float = 10
    prepare: Callable[[], None] = lambda: None
    credentials: Mapping[str, Any] = field(default_factory=dict)


class Child:
    """One child: its process, and when it may be started again."""

    def __init__(self, spec: ChildSpec, log_file: Path) -> None:
        self.spec = spec
        self.log_file = log_file
        self.process: subprocess.Popen[bytes] | None = None
        self.is_ready = False
        self._started_at = 0.0
        self._delay_seconds = 0.0
        self._not_before = 0.0

    def spawn(self) -> None:
        """Start it as the leader of a session and process group of its own."""
        self.spec.prepare()
        self._turn_log()
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self.spec.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.spec.folder,
                env=dict(self.spec.environment), start_new_session=True, **self.spec.credentials,
            )  # fmt: skip
        self._started_at = time.monotonic()

    def _turn_log(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.log_file.stat().st_size > _LARGEST_LOG_BYTES:
                self.log_file.replace(self.log_file.with_suffix(".log.1"))

    def has_died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def end(self) -> None:
        """Stop it with everything that it started."""
        if self.process is not None:
            processes.end_group(
                group=self.process.pid,
                number=self.spec.stop_signal,
                patience_seconds=self.spec.patience_seconds,
            )
            self.process.wait()
            self.ready_file.unlink(missing_ok=True)
        self.is_ready = False

    @property
    def ready_file(self) -> Path:
        """What a child without an address leaves behind to say that it works."""
        assert self.process is not None
        return self.log_file.parent.parent / "run" / f"ready-{self.process.pid}"

    def revive(self) -> bool:
        """Start it again after its death, the whole old group killed first. One that keeps dying is tried
        again after a growing delay of at most a second. Returns whether it was started."""
        now = time.monotonic()
        if not self._not_before:
            lived_seconds = now - self._started_at
            grown = max(0.05, self._delay_seconds * 2)
            self._delay_seconds = 0.0 if lived_seconds > 5 else min(grown, _LONGEST_DELAY_SECONDS)
            self._not_before = now + self._delay_seconds
            self.end()
        if now < self._not_before:
            return False
        self._not_before = 0.0
        self.spawn()
        return True

    def log_tail(self) -> str:
        """Return the last lines of its log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-12:])
        return ""


class Family:
    """All children, watched by one thread; `run/pids.json` is kept true by every change."""

    def __init__(self, *, home: Path) -> None:
        self.home = home
        self.children: dict[str, Child] = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)
        for folder in ("run", "log"):
            (home / folder).mkdir(parents=True, exist_ok=True)
        self._forget_requests()

    def start(self, spec: ChildSpec) -> Child:
        """Start a child and look after it from now on."""
        child = Child(spec, self.home / "log" / f"{spec.name}.log")
        with self._lock:
            child.spawn()
            self.children[spec.name] = child
            self._write()
        if not self._watcher.is_alive():
            self._watcher.start()
        return child

    def wait_until_ready(self, child: Child, *, timeout_seconds: float = 60) -> None:
        """Wait until the child serves. Raises TimeoutError with the end of its log."""
        deadline = time.monotonic() + timeout_seconds
        while not child.is_ready:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{child.spec.name} does not come up; its log ends:\n{child.log_tail()}")
            time.sleep(0.02)

    def close(self, *, last: set[str]) -> None:
        """Stop all children at once, except those named, which the others need: they go last."""
        self._closing.set()
        if self._watcher.is_alive():
            self._watcher.join()
        for names in (set(self.children) - last, set(self.children) & last):
            if names:
                with ThreadPoolExecutor(max_workers=len(names)) as enders:
                    list(enders.map(lambda name: self.children[name].end(), names))
            for name in names:
                del self.children[name]
            self._write()

    def _watch(self) -> None:
        while not self._closing.wait(_LOOK_SECONDS):
            with self._lock:
                changed = [self._look_after(child) for child in list(self.children.values())]
                if any(changed):
                    self._write()

    def _look_after(self, child: Child) -> bool:
        if child.has_died() and not self._closing.is_set():
            was_ready, child.is_ready = child.is_ready, False
            return child.revive() or was_ready
        if self._restart_is_wanted(child):
            child.end()
            child.spawn()
            return True
        if not child.is_ready and child.process and child.spec.ready(child.process.pid):
            child.is_ready = True
            return True
        return False

    # Requests of `python -m sandbox.control restart NAME` are files

    def _request(self, name: str) -> Path:
        return self.home / "run" / f"restart-{name}"

    def _restart_is_wanted(self, child: Child) -> bool:
        try:
            self._request(child.spec.name).unlink()
        except FileNotFoundError:
            return False
        return True

    def _forget_requests(self) -> None:
        for pattern in ("restart-*", "ready-*"):
            for path in (self.home / "run").glob(pattern):
                path.unlink(missing_ok=True)

    def _write(self) -> None:
        known = {name: self._entry(child) for name, child in self.children.items() if child.process}
        write_json(path=self.home / "run" / "pids.json", value=known)

    def _entry(self, child: Child) -> dict[str, Any]:
        assert child.process is not None
        pid = child.process.pid
        return {
            "pid": pid,
            "argv": child.spec.argv,
            "restart": restart_command(name=child.spec.name, home=self.home),
            "group": pid,
            "started": processes.start_time(pid=pid),
            "ready": child.is_ready,
        }


def restart_command(*, name: str, home: Path) -> str:
    """Return the shell command that has the supervisor restart a child and waits until it serves."""
    command = [sys.executable, "-m", "sandbox.control", "--home", str(home), "restart", name]
    return f"cd {shlex.quote(str(CHECKOUT))} && {shlex.join(command)}"


def end_leftovers(*, home: Path) -> list[str]:
    """End what an earlier supervisor of this state folder left behind when it was killed. A pid counts only
    together with its start time, so a stranger who got the number is left alone. Returns their names."""
    from sandbox.control import leftovers

    names = []
    for name, group, number in leftovers(home=home):
        processes.end_group(group=group, number=number)
        names.append(name)
    return names


def own_environment(*, home: Path) -> dict[str, str]:
    """Return the environment of our own children: ours, with the state folder named. They keep compiled code:
    several processes start from the same sources, again and again."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "COUNTERFOIL_HOME": str(home), "PYTHONUNBUFFERED": "1"}
