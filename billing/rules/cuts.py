"""Cuts: which records an invoice takes, said once and for ever (B1, ADR 0015).

A cut holds every record of an organization that occurred before `until` and was committed when the cut was taken. It
is taken under the organization's lock, which every writer of records holds until it commits, so what it holds never
changes afterwards, whatever clocks do. Each cut of a chain holds what the one before it held; what is in a cut and
not in the one before it belongs to one invoice alone, and what comes late for a closed period is in the next cut by
itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Snapshot:
    """Which transactions had committed at a moment, as PostgreSQL writes it: xmin:xmax:those between that had not."""

    xmin: int
    xmax: int
    running: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """Return the snapshot of a pg_snapshot's text. Raises ValueError for any other text."""
        xmin, xmax, running = text.split(":")
        found = cls(int(xmin), int(xmax), tuple(int(each) for each in running.split(",") if each))
        inside = all(found.xmin <= each < found.xmax for each in found.running)
        if (
            not 0 < found.xmin <= found.xmax
            or list(found.running) != sorted(set(found.running))
            or not inside
        ):
            raise ValueError(f"{text!r} is not a snapshot")
        return found

    def sees(self, tx: int) -> bool:
        """Whether a transaction had committed: what pg_visible_in_snapshot says of it."""
        place = bisect_left(self.running, tx)
        return tx < self.xmax and (place == len(self.running) or self.running[place] != tx)

    def without(self, tx: int) -> Snapshot:
        """Return the snapshot as one that does not see a transaction."""
        if not self.sees(tx):
            return self
        return Snapshot(min(self.xmin, tx), self.xmax, tuple(sorted((*self.running, tx))))

    def includes(self, other: Snapshot) -> bool:
        """Whether it sees whatever the other sees."""
        return other.xmax <= self.xmax and not any(other.sees(each) for each in self.running)

    def __str__(self) -> str:
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, self.running))}"


@dataclass(frozen=True)
class Cut:
    """What an invoice takes of an organization's records.

    `epoch` and `snapshot` (a pg_snapshot's text) say what was committed, `until` (business clock, exclusive) how far
    the records go by the time of their occurrence. `taken_at` (wall clock) only helps to look in few places: it
    decides nothing.
    """

    epoch: int
    snapshot: str
    until: datetime
    taken_at: datetime

    @cached_property
    def transactions(self) -> Snapshot:
        """What was committed, of the cut's own epoch."""
        return Snapshot.parse(self.snapshot)

    def holds(self, *, epoch: int, tx: int, occurred_at: datetime) -> bool:
        """Whether a record is in the cut. Of an older epoch, which ended with a restore, everything was committed."""
        seen = epoch < self.epoch or (epoch == self.epoch and self.transactions.sees(tx))
        return seen and occurred_at < self.until

    def follows(self, previous: Cut) -> bool:
        """Whether it holds whatever the previous one holds: whether the two may stand in one chain."""
        if self.until < previous.until or self.epoch < previous.epoch:
            return False
        return self.epoch > previous.epoch or self.transactions.includes(previous.transactions)

    def at(self, until: datetime) -> Cut:
        """Return the same committed records up to another moment: what was known then of an earlier period."""
        return Cut(self.epoch, self.snapshot, until, self.taken_at)

    def written(self) -> dict[str, Any]:
        """Return the cut as an event's data keeps it."""
        return {
            "epoch": self.epoch,
            "snapshot": self.snapshot,
            "until": _text(self.until),
            "taken_at": _text(self.taken_at),
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Cut:
        """Return the cut that an event's data keeps. Raises KeyError and ValueError for anything else."""
        Snapshot.parse(data["snapshot"])
        until, taken_at = (datetime.fromisoformat(data[name]) for name in ("until", "taken_at"))
        return cls(int(data["epoch"]), data["snapshot"], until, taken_at)


class CutsOutOfOrder(ValueError):
    """A cut does not hold what the one before it held: the two belong to no chain."""


def check_chain(cut: Cut, previous: Cut | None) -> None:
    """Refuse two cuts that do not rise. Raises CutsOutOfOrder."""
    if previous is not None and not cut.follows(previous):
        raise CutsOutOfOrder(f"{cut} does not follow {previous}")


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
