"""What a process remembers of organizations after its own transactions, so that the next one need not read it.

A row here is only as good as the number beside it: nothing of it has changed while the organization has no event above
that number, since every change of what the gate decides on is an event, and whoever appends one holds the
organization's row. Whoever decides on what is remembered takes it away first and puts it back when its own transaction
has committed; so what fails, or may have failed, leaves nothing behind.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from spend.rules.state import OrganizationState

MAX_ORGANIZATIONS: Final = 4_096
MAX_ROWS: Final = 100_000
"""Of all organizations together."""
MAX_OF_ONE: Final = 1_024
"""Counters, and reservations, that are remembered of one organization."""
MAX_SECONDS: Final = 600.0
"""After which all is read again, whatever changed it: a repair by hand appends no event."""
PATIENCE: Final = 16
"""For how many transactions an organization is not remembered after what was remembered did not do."""
CROWDED: Final = 64
"""For how many transactions one looks for events of the organizations after somebody else wrote one."""

_Key = TypeVar("_Key")
_Row = TypeVar("_Row")


class Remembered(msgspec.Struct):
    """An organization's state after a transaction. `seq` is the last number given out to an event when that ended,
    `until` when the first of its reservations expires, None where none does; `is_numbered` whether the state knows the
    highest number of a counter.
    """

    state: OrganizationState
    epochs: tuple[int, int]
    seq: int
    until: datetime | None
    is_numbered: bool
    read_at: float

    @property
    def size(self) -> int:
        """Return how many rows it has."""
        return len(self.state.counters) + len(self.state.reservations)


class Memory:
    """The organizations that are remembered, the one that was not used for longest first."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Remembered] = OrderedDict()
        self._rows = 0
        self._distrusted: dict[str, int] = {}
        self._last = self._alone_since = -1
        self._crowded = 0

    def __len__(self) -> int:
        """Return how many organizations are remembered."""
        return len(self._known)

    def find(self, name: str) -> Remembered | None:
        """Return what is remembered, unless that is too old."""
        known = self._known.get(name)
        if known is not None and time.monotonic() - known.read_at > MAX_SECONDS:
            self.take(name)
            return None
        return known

    def take(self, name: str) -> Remembered | None:
        """Return what is remembered, and remember it no more."""
        known = self._known.pop(name, None)
        if known is not None:
            self._rows -= known.size
        return known

    def take_all(self, names: Iterable[str]) -> dict[str, Remembered]:
        """Return what is remembered of these and not too old, and remember it no more."""
        found = {name: known for name in names if (known := self.find(name)) is not None}
        for name in found:
            self.take(name)
        return found

    def forget_all(self) -> None:
        """Remember nothing: what was said by a connection that is lost may not be so."""
        self._known.clear()
        self._rows, self._last = 0, -1

    def heard(self, *, before: int | None, after: int, events: int) -> None:
        """Note the last number given out to an event at the begin and at the end of one's own transaction, which wrote
        that many: where no other was given out, what was remembered earlier has not changed either.
        """
        if before != self._last or after - self._last != events:
            self._alone_since = after
        self._last = after

    def last_if_alone(self, remembered: Iterable[Remembered]) -> int | None:
        """Return the last number given out to an event, if none was to anybody else since these were remembered.

        None for a while after that was wrong.
        """
        if self._crowded:
            self._crowded -= 1
            return None
        return self._last if all(known.seq >= self._alone_since for known in remembered) else None

    def was_wrong(self, names: Iterable[str], *, last: int | None) -> None:
        """Note that what was taken for true was not: with `last` somebody wrote something, else somebody wrote, too."""
        if last is not None:
            self._crowded = CROWDED
        else:
            self.distrust(names)

    def distrust(self, names: Iterable[str]) -> None:
        """Do not remember these for a while: somebody else writes, too, or much is refused."""
        if len(self._distrusted) > MAX_ORGANIZATIONS:
            self._distrusted.clear()
        self._distrusted.update(dict.fromkeys(names, PATIENCE))

    def is_trusted(self, name: str) -> bool:
        """Return whether the organization is to be remembered after the transaction that asks; it counts as one."""
        left = self._distrusted.get(name)
        if left is None:
            return True
        if left > 1:
            self._distrusted[name] = left - 1
        else:
            del self._distrusted[name]
        return False

    def keep(self, name: str, known: Remembered) -> None:
        """Remember an organization; of what does not fit, that which was not used for longest goes."""
        _trim(known.state)
        self.take(name)
        self._known[name] = known
        self._rows += known.size
        while len(self._known) > MAX_ORGANIZATIONS or (self._rows > MAX_ROWS and len(self._known) > 1):
            self.take(next(iter(self._known)))


def _trim(state: OrganizationState) -> None:
    """Leave what the next transaction may want, and nothing that was only read for the last one."""
    for gone in (state.traces, state.tried, state.run_sums, state.tree_sums, state.run_keys, state.begun):
        gone.clear()
    if len(state.reservations) > MAX_OF_ONE:
        state.reservations = _newer_half(state.reservations)
    if len(state.counters) > MAX_OF_ONE:
        state.counters = _newer_half(state.counters)
        state.counters_by_number = {counter.number: counter for counter in state.counters.values()}


def _newer_half(rows: dict[_Key, _Row]) -> dict[_Key, _Row]:
    return dict(list(rows.items())[len(rows) // 2 :])
