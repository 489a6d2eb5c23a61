"""How far what was earned is collected, lost, past the holdback and moved: running sums, and what is missing of them.

Everything is worked out anew of what holds now, and the difference to what was settled before is what happens: so it
goes both ways, and a second time nothing does. Pure; amounts in units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Fraction:
    """How much of what a source pays for is collected, and will never be, out of `whole`."""

    collected: int
    lost: int
    whole: int

    def of(self, share: int) -> tuple[int, int]:
        """Return (collected, lost) of a share: each cut down, and together all of it where nothing is left to pay.

        A share below zero, which a reversal leaves where its charge was invoiced, is settled at once.
        """
        if share <= 0:
            return share, 0
        collected = min(max(self.collected, 0), self.whole)
        lost = min(max(self.lost, 0), self.whole - collected)
        taken = share * collected // self.whole
        return taken, share - taken if collected + lost == self.whole else share * lost // self.whole


NOTHING: Final = Fraction(0, 0, 1)
ALL: Final = Fraction(1, 0, 1)


@dataclass(frozen=True, slots=True)
class Source:
    """What a partner's share is paid by, with what of it was settled before."""

    partner: str
    name: str
    share: int
    collected: int
    lost: int


@dataclass(frozen=True, slots=True)
class Collection:
    """What was collected of a source in an hour."""

    partner: str
    source: str
    hour: datetime
    amount: int
    matured: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """How far a partner's share of one caller is."""

    partner: str
    matured: int
    moved: int
    holdback: timedelta


@dataclass(frozen=True, slots=True)
class Moved:
    """What of a pair came past the holdback up to the hour `until` (None: no hour), and what moves between the books:
    below zero back out of the partner's."""

    partner: str
    until: datetime | None
    matured: int
    amount: int


@dataclass(slots=True)
class Settlement:
    """What is to be written: (partner, source, hour, amount) collected, (partner, source, amount) lost, and moves."""

    collected: list[tuple[str, str, datetime, int]] = field(default_factory=list)
    lost: list[tuple[str, str, int]] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.collected or self.lost or self.moved)


def settle(
    sources: Iterable[Source],
    fractions: Mapping[str, Fraction],
    collections: Sequence[Collection],
    pairs: Iterable[Pair],
    *,
    now: datetime,
) -> Settlement:
    """Return what has changed since a caller was settled last. `collections` are all that are not past the holdback,
    and of sources that something is taken of, all.

    What is taken of a source comes off the hours in which it was collected, the newest first.
    """
    made = Settlement()
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    left = {(one.partner, one.source, one.hour): one.amount for one in collections}
    by_source = _newest_first(collections)
    back: dict[str, int] = {}
    for source in sources:
        collected, lost = fractions.get(source.name, NOTHING).of(source.share)
        change = collected - source.collected
        if lost != source.lost:
            made.lost.append((source.partner, source.name, lost - source.lost))
        if change > 0:
            made.collected.append((source.partner, source.name, hour, change))
            key = (source.partner, source.name, hour)
            left[key] = left.get(key, 0) + change
        for one, part in _taken(by_source.get((source.partner, source.name), ()), -change):
            made.collected.append((source.partner, source.name, one.hour, -part))
            left[source.partner, source.name, one.hour] -= part
            back[source.partner] = back.get(source.partner, 0) + (part if one.matured else 0)
    matured = {(one.partner, one.source, one.hour) for one in collections if one.matured}
    waiting = {key: amount for key, amount in left.items() if key not in matured}
    moves = (_moved(pair, waiting, back.get(pair.partner, 0), now) for pair in pairs)
    made.moved += [move for move in moves if move is not None]
    return made


def _moved(
    pair: Pair, waiting: Mapping[tuple[str, str, datetime], int], back: int, now: datetime
) -> Moved | None:
    latest = (now - pair.holdback - HOUR).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    ripe = {key: amount for key, amount in waiting.items() if key[0] == pair.partner and key[2] <= latest}
    matured = sum(ripe.values()) - back
    amount = pair.matured + matured - pair.moved
    if not ripe and not matured and not amount:
        return None
    return Moved(pair.partner, max((key[2] for key in ripe), default=None), matured, amount)


def _newest_first(collections: Iterable[Collection]) -> dict[tuple[str, str], list[Collection]]:
    found: dict[tuple[str, str], list[Collection]] = {}
    for one in sorted(collections, key=lambda one: one.hour, reverse=True):
        found.setdefault((one.partner, one.source), []).append(one)
    return found


def _taken(collections: Iterable[Collection], amount: int) -> list[tuple[Collection, int]]:
    found = []
    for one in collections:
        if amount <= 0:
            break
        part = min(amount, one.amount)
        if part > 0:
            found.append((one, part))
            amount -= part
    return found


@dataclass(frozen=True, slots=True)
class Used:
    """What bought credit paid for, or what became debt, in the order of time; `amount` of all calls together."""

    source: str
    amount: int
    at: datetime


def unpaid(used: Iterable[Used], debt: int) -> dict[str, Fraction]:
    """Return how much of each is paid while so much is owed: what is owed is the newest that was used, for what is
    repaid is the oldest first."""
    found: dict[str, Fraction] = {}
    for one in sorted(used, key=lambda one: (one.at, one.source), reverse=True):
        part = min(debt, one.amount)
        debt -= part
        found[one.source] = Fraction(one.amount - part, 0, one.amount) if one.amount > 0 else ALL
    return found


@dataclass(frozen=True, slots=True)
class InvoiceFigures:
    """What is known of an invoice's payment. `noted`: the totals of its credit notes; `note_credit`: what of these had
    been paid and was given back as credit."""

    status: str
    total: int
    paid: int
    noted: int
    note_credit: int
    written_off: int

    def fraction(self) -> Fraction:
        """How much of what it bills is collected: what was paid and not given back; lost is what credit notes and
        write-offs took away. One without anything to pay is collected when it is settled."""
        if self.total <= 0:
            return ALL if self.status == "paid" else NOTHING
        return Fraction(self.paid - self.note_credit, self.noted + self.written_off, self.total)
