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
ADJUSTMENT: Final = "adjustment:"
"""How the name of a source begins that is the difference of a tier."""


@dataclass(frozen=True, slots=True)
class Fraction:
    """How much of what a source pays for is collected, and will never be, out of `whole`."""

    collected: int
    lost: int
    whole: int

    def of(self, share: int) -> tuple[int, int]:
        """Return (collected, lost) of a share: each cut down, and together all of it where nothing is left to pay.

        Of a share below zero, which a difference of tiers may be, each is cut down, too: rather too much is taken back.
        """
        collected = min(max(self.collected, 0), self.whole)
        lost = min(max(self.lost, 0), self.whole - collected)
        taken = share * collected // self.whole
        return taken, share - taken if collected + lost == self.whole else share * lost // self.whole


NOTHING: Final = Fraction(0, 0, 1)
ALL: Final = Fraction(1, 0, 1)
GONE: Final = Fraction(0, 1, 1)


def blended(parts: Iterable[tuple[int, Fraction]]) -> Fraction | None:
    """Return how much of several amounts is collected and lost together, each cut down by itself; None of nothing. What
    is not above zero counts not."""
    found = [(amount, one.of(amount)) for amount, one in parts if amount > 0]
    whole = sum(amount for amount, _ in found)
    if not whole:
        return None
    return Fraction(sum(part[0] for _, part in found), sum(part[1] for _, part in found), whole)


def by_payers(payers: Iterable[tuple[int, Sequence[tuple[int, Fraction]]]]) -> Fraction | None:
    """Return how far a difference of tiers is collected: as what its month earned is. `payers` are what each payer
    earned the partner in that month, with what of its sources that may be; what is more than they hold is nobody's
    payment yet."""
    found = []
    for share, sources in payers:
        rest = share - sum(amount for amount, _ in sources if amount > 0)
        found.append((share, blended([*sources, (rest, NOTHING)]) or NOTHING))
    return blended(found)


def tail(items: Sequence[tuple[int, str | None]], amount: int) -> list[tuple[int, str | None]]:
    """Return what of items (amount, invoice) a grant of so much stands for: what of an advance is left is its end."""
    found = []
    for billed, invoice in reversed(items):
        part = min(billed, amount)
        amount -= part
        found += [(part, invoice)] if part > 0 else []
    return found


@dataclass(frozen=True, slots=True)
class Source:
    """What a partner's share is paid by, with what of it was settled before."""

    partner: str
    name: str
    share: int
    collected: int
    lost: int

    @property
    def payer(self) -> str:
        """By what is known how far it is paid: a difference of tiers is each partner's own."""
        return f"{self.name}:{self.partner}" if self.name.startswith(ADJUSTMENT) else self.name


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


def settled_of(source: Source, fractions: Mapping[str, Fraction]) -> tuple[int, int]:
    """Return what of a source's share is to be (collected, lost).

    What is below zero and on nobody's payment is taken back at once: nothing else will ever settle it.
    """
    fraction = fractions.get(source.payer)
    return (min(source.share, 0), 0) if fraction is None else fraction.of(source.share)


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

    What is taken of a source comes off the hours in which it was collected, the newest first. What is more than was
    ever collected of it (it is below zero) comes off what else waits of that partner's, the newest first, and then off
    what is past the holdback: money that is known to be gone waits for nothing.
    """
    made = Settlement()
    pairs = list(pairs)
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    ripe = {pair.partner: _latest(pair, now) for pair in pairs}
    left = {(one.partner, one.source, one.hour): one.amount for one in collections}
    matured = {(one.partner, one.source, one.hour) for one in collections if one.matured}
    by_source = _newest_first(collections)
    back: dict[str, int] = {}
    owed: list[tuple[Source, int]] = []

    def collect(source: Source, moment: datetime, amount: int) -> None:
        made.collected.append((source.partner, source.name, moment, amount))
        key = (source.partner, source.name, moment)
        left[key] = left.get(key, 0) + amount
        if key in matured:
            back[source.partner] = back.get(source.partner, 0) - amount

    for source in sources:
        collected, lost = settled_of(source, fractions)
        change = collected - source.collected
        if lost != source.lost:
            made.lost.append((source.partner, source.name, lost - source.lost))
        if change > 0:
            collect(source, hour, change)
        for one, part in _taken(by_source.get((source.partner, source.name), ()), -change):
            collect(source, one.hour, -part)
            change += part
        if change < 0:
            owed.append((source, -change))
    for source, amount in owed:
        for moment, part in _owed(left, matured, source.partner, amount, ripe.get(source.partner, hour)):
            collect(source, moment, -part)
    waiting = {key: amount for key, amount in left.items() if key not in matured}
    moves = (_moved(pair, waiting, back.get(pair.partner, 0), now) for pair in pairs)
    made.moved += [move for move in moves if move is not None]
    return made


def _moved(
    pair: Pair, waiting: Mapping[tuple[str, str, datetime], int], back: int, now: datetime
) -> Moved | None:
    latest = _latest(pair, now)
    ripe = {key: amount for key, amount in waiting.items() if key[0] == pair.partner and key[2] <= latest}
    matured = sum(ripe.values()) - back
    amount = pair.matured + matured - pair.moved
    if not ripe and not matured and not amount:
        return None
    return Moved(pair.partner, max((key[2] for key in ripe), default=None), matured, amount)


def _latest(pair: Pair, now: datetime) -> datetime:
    """The latest hour that is past the holdback."""
    return (now - pair.holdback - HOUR).astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _owed(
    left: Mapping[tuple[str, str, datetime], int],
    matured: set[tuple[str, str, datetime]],
    partner: str,
    amount: int,
    ripe: datetime,
) -> list[tuple[datetime, int]]:
    """Off which hours comes what a partner owes: those that wait, the newest first; `ripe` for what is more."""
    waiting: dict[datetime, int] = {}
    for key, part in left.items():
        if key[0] == partner and key not in matured and key[2] > ripe:
            waiting[key[2]] = waiting.get(key[2], 0) + part
    found = []
    for moment in sorted(waiting, reverse=True):
        part = min(amount, waiting[moment])
        if part > 0:
            found.append((moment, part))
            amount -= part
    return [*found, (ripe, amount)] if amount else found


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
class InvoiceFigures:
    """What is known of an invoice's payment. `paid`: what was paid and neither went back, nor was given back as credit
    by a note, nor is argued about; `noted`: the totals of its credit notes."""

    status: str
    total: int
    paid: int
    noted: int
    written_off: int

    def fraction(self) -> Fraction:
        """How much of what it bills is collected; lost is what credit notes and write-offs took away. One without
        anything to pay is collected when it is settled."""
        if self.total <= 0:
            return ALL if self.status == "paid" else NOTHING
        return Fraction(self.paid, self.noted + self.written_off, self.total)
