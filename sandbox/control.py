"""Control of what runs, by its state folder: `python3 -m sandbox.control status|stop|restart NAME|clean`.

Standard library only: `make clean` must work where no virtual environment is left.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from sandbox import processes
from sandbox.places import CHECKOUT, read_json
from sandbox.places import home as state_home


def supervisor_pid(*, home: Path) -> int | None:
    """Return the pid of the supervisor that works in this state folder; None when there is none."""
    known = read_json(path=home / "run" / "supervisor.json") or {}
    pid = known.get("pid")
    if isinstance(pid, int) and processes.start_time(pid=pid) == known.get("started"):
        return pid
    return None


def leftovers(*, home: Path) -> list[tuple[str, int, signal.Signals]]:
    """Return (name, process group, signal) of the children in pids.json whose group still has members."""
    entries: dict[str, dict[str, Any]] = read_json(path=home / "run" / "pids.json") or {}
    found = []
    for name, entry in entries.items():
        group = entry["group"]
        leader_started = processes.start_time(pid=group)
        if leader_started == entry["started"] or (leader_started is None and _are_orphans_of_ours(group)):
            number = signal.SIGINT if name == "postgres" else signal.SIGTERM
            found.append((name, group, number))
    return found


def _are_orphans_of_ours(group: int) -> bool:
    """The leader is dead; its group is ours when its members work in this checkout."""
    folders = []
    for pid in processes.group_members(group=group):
        with contextlib.suppress(OSError):
            folders.append(Path(f"/proc/{pid}/cwd").readlink())
    return bool(folders) and all(folder == CHECKOUT for folder in folders)


def stop(*, home: Path) -> None:
    """Stop the supervisor and its children; children whose supervisor was killed are stopped directly."""
    pid = supervisor_pid(home=home)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        while processes.start_time(pid=pid) is not None:
            time.sleep(0.05)
    for _, group, number in leftovers(home=home):
        processes.end_group(group=group, number=number)


def forget_cluster(*, home: Path) -> None:
    """Stop a cluster that runs without a supervisor (the one of the tests) and remove what lies outside of
    its state folder: the socket's folder, and the data where the server's user could not enter ours."""
    location = read_json(path=home / "postgres" / "cluster.json") or {}
    data = location.get("data", "")
    with contextlib.suppress(OSError, ValueError):
        pid = int((Path(data) / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
        if data in processes.command_line(pid=pid):
            processes.end_group(group=pid, number=signal.SIGINT, patience_seconds=20)
    for place in (Path(location.get("socket_folder", "")), Path(data).parent):
        if place.name.startswith("counterfoil-"):
            shutil.rmtree(place, ignore_errors=True)


def clean(*, home: Path) -> None:
    """Stop everything that this checkout started, and remove `.venv` and the state folder."""
    stop(home=home)
    for folder in (home, *home.glob("test*")):
        forget_cluster(home=folder)
    shutil.rmtree(home, ignore_errors=True)
    shutil.rmtree(CHECKOUT / ".venv", ignore_errors=True)


def restart(*, home: Path, name: str, timeout_seconds: float = 60) -> bool:
    """Have the supervisor restart a child (or wait for the restart that is under way); says whether it
    serves in the end."""
    before = _entry(home, name)
    if before is None or supervisor_pid(home=home) is None:
        return False
    request = home / "run" / f"restart-{name}"
    is_serving = before["ready"] and processes.start_time(pid=before["pid"]) == before["started"]
    if is_serving:
        request.touch()
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        now = _entry(home, name)
        if now and now["ready"] and (now["pid"] != before["pid"] or not is_serving) and not request.exists():
            return processes.start_time(pid=now["pid"]) is not None
        time.sleep(0.05)
    return False


def _entry(home: Path, name: str) -> dict[str, Any] | None:
    entries: dict[str, dict[str, Any]] = read_json(path=home / "run" / "pids.json") or {}
    return entries.get(name)


def _print_status(home: Path) -> None:
    print(f"supervisor {supervisor_pid(home=home) or 'is not running'}")
    for name, entry in (read_json(path=home / "run" / "pids.json") or {}).items():
        alive = processes.start_time(pid=entry["pid"]) == entry["started"]
        print(f"{name:<10} {entry['pid']:<8} {'ready' if alive and entry['ready'] else 'not ready'}")


def main() -> int:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.control", description=__doc__)
    parser.add_argument("--home", type=Path, default=state_home())
    parser.add_argument("verb", choices=["status", "stop", "restart", "clean"])
    parser.add_argument("name", nargs="?", default="web")
    given = parser.parse_args()
    home = given.home.resolve()
    if given.verb == "restart":
        return 0 if restart(home=home, name=given.name) else 1
    {
        "status": lambda: _print_status(home),
        "stop": lambda: stop(home=home),
        "clean": lambda: clean(home=home),
    }[given.verb]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
