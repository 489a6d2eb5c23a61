"""Processes by group: start one, know it again, end it with all that it started. Standard library only."""

import contextlib
import os
import signal
import time
from pathlib import Path


def start_time(*, pid: int) -> int | None:
    """Return the process's start time in clock ticks since boot; None when it is gone or a zombie.

    A pid together with its start time names one process; a pid alone may have been given to another.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def command_line(*, pid: int) -> list[str]:
    """Return the process's arguments; empty when it is gone."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [part.decode(errors="replace") for part in raw.split(b"\0")[:-1]]


def group_members(*, group: int) -> list[int]:
    """Return the live processes of a process group."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, ProcessLookupError):
                fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                if int(fields[2]) == group and fields[0] not in ("Z", "X"):
                    members.append(int(entry.name))
    return members


def signal_group(*, group: int, number: signal.Signals) -> None:
    """Send a signal to a whole process group; a group that is gone is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def end_group(*, group: int, number: signal.Signals = signal.SIGTERM, patience_seconds: float = 10) -> None:
    """End a process group: ask its leader (who ends its children in order), then kill what is left.

    Where the leader is dead already its orphans are killed at once.
    """
    if start_time(pid=group) is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(group, number)
        _wait_until_gone(group, patience_seconds)
    signal_group(group=group, number=signal.SIGKILL)
    _wait_until_gone(group, 5)


def _wait_until_gone(group: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while group_members(group=group) and time.monotonic() < deadline:
        time.sleep(0.02)
