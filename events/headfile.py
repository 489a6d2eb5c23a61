"""The head of the seal chain outside the database: without it nobody would notice a tail that was cut off.

One JSON line per seal in $COUNTERFOIL_HOME/seals/head.jsonl, written and synchronised after the seal's commit. When
that is missed, the next run writes what is absent. Keep a copy of the newest line where the database's
administrators cannot write.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

from django.conf import settings

_LARGEST_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A seal as it was when it was made."""

    database: str
    number: int
    epoch: int
    seq: int
    hash: str
    sealed_at: str


def head_path() -> Path:
    """Return the file's place."""
    path: Path = settings.STATE_HOME / "seals" / "head.jsonl"
    return path


def heads(database: str) -> list[Head]:
    """Return what is known outside of a database's seals, oldest first."""
    found = [head for path in _files() for head in _lines(path)]
    return [head for head in found if head.database == database]


def append_heads(new: Iterable[Head]) -> None:
    """Write heads that are not in the file yet, and wait until they are on the disk."""
    path = head_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = path.read_text(encoding="ascii")
        if text and not text.endswith("\n"):
            file.write("\n")  # a crash left half a line
        known = {head.database: head.number for head in _parsed(text)}
        for head in new:
            if head.number > known.get(head.database, -1):
                file.write(json.dumps(asdict(head)) + "\n")
        file.flush()
        os.fsync(file.fileno())
        _turn_over(path, file)


def last_head(database: str) -> Head | None:
    """Return the newest head of a database; every file begins with the newest ones of the file before."""
    path = head_path()
    newest = {head.database: head for head in _lines(path)} if path.exists() else {}
    return newest.get(database)


def _files() -> Iterator[Path]:
    path = head_path()
    yield from sorted(path.parent.glob("head-*.jsonl"))
    if path.exists():
        yield path


def _lines(path: Path) -> Iterator[Head]:
    return _parsed(path.read_text(encoding="ascii"))


def _parsed(text: str) -> Iterator[Head]:
    for line in text.splitlines():
        with contextlib.suppress(ValueError, TypeError):  # half a line, left by a crash
            yield Head(**json.loads(line))


def _turn_over(path: Path, file: IO[str]) -> None:
    """Begin a new file when this one is large; the last lines go with it, so that the newest is always known."""
    if file.tell() < _LARGEST_BYTES:
        return
    newest = {head.database: head for head in _lines(path)}
    number = max(head.number for head in newest.values())
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(json.dumps(asdict(head)) + "\n" for head in newest.values()), encoding="ascii")
    path.rename(path.with_name(f"head-{number:012d}.jsonl"))
    fresh.rename(path)
