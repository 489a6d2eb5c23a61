"""CPU time that processes have used, from /proc: what a shared machine's neighbours cannot change."""

import contextlib
import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def tree_seconds(pid: int) -> float:
    """CPU seconds of a process, of its children that ended, and of its live children and theirs."""
    fields = _stat(pid)
    if not fields:
        return 0.0
    own = sum(int(value) for value in fields[11:15]) / _TICKS
    return own + sum(tree_seconds(child) for child in _children(pid))


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):  # a process may end at any of these looks
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            found += [int(child) for child in task.read_text(encoding="utf-8").split()]
    return found


def own_seconds() -> float:
    """CPU seconds of this process alone, all its threads."""
    used = os.times()
    return used.user + used.system
