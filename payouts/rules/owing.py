"""What of bought credit and of debt is paid while some is owed, went back or was repaid by no money. Pure; in units.

Debt is repaid the oldest first, so what is owed is the newest of it, and each repayment is that of certain debt: a call
is paid as far as what repaid it is. What became debt because a payment went back is unpaid on what that payment bought.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from payouts.rules.collecting import ALL, NOTHING, Fraction

NOBODY: Final = "nobody"


@dataclass(frozen=True, slots=True)
class Used:
    """What bought credit paid for (`amount`) and what debt it repaid when it was granted (`repaid`), or a call that
    became debt, in the order of time. `is_back`: of the payment that bought it something went back."""

    source: str
    amount: int
    at: datetime
    repaid: int = 0
    is_back: bool = False


@dataclass(frozen=True, slots=True)
class Debt:
    """What became debt when, and whose payment that is missing: `sources`, in their order. None of them: the newest
    that was used. NOBODY: what nobody has a share of."""

    name: str
    amount: int
    at: datetime
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Repaid:
    """What the grant of a source repaid of debt when."""

    name: str
    amount: int
    at: datetime
    by: str


def unpaid(
    used: Iterable[Used],
    debt: int,
    debts: Iterable[Debt] = (),
    repaid: Iterable[Repaid] = (),
    fractions: Mapping[str, Fraction] | None = None,
) -> dict[str, Fraction]:
    """Return how much of each is paid while so much is owed. `fractions`: how far the grants that were not bought, and
    repaid something, are paid themselves.

    Debt that is not told of (it is older) is missing of the newest that was used, of payments that went back first.
    """
    missing = _Missing(used, fractions or {})
    payers: list[tuple[int, str | None]] = [(debt, None)]
    payers += [
        (one.amount, one.by) for one in sorted(repaid, key=lambda one: (one.at, one.name), reverse=True)
    ]
    payers.reverse()  # the newest is the last, and taken first
    for one in sorted(debts, key=lambda one: (one.at, one.name), reverse=True):
        left = one.amount
        while left and payers:
            amount, payer = payers.pop()
            part = min(left, amount)
            left -= part
            missing.add(part, payer, one.sources)
            if amount > part:
                payers.append((amount - part, payer))
    missing.add(sum(amount for amount, payer in payers if payer is None), None, ())
    return missing.found()


class _Missing:
    """What is neither paid nor will be (unpaid, lost), by source, each at most what it has room for."""

    def __init__(self, used: Iterable[Used], fractions: Mapping[str, Fraction]) -> None:
        self._used = sorted(used, key=lambda one: (one.is_back, one.at, one.source), reverse=True)
        self._fractions = fractions
        self._room = {one.source: max(one.amount, 0) + one.repaid for one in self._used}
        self._of = {one.source: [0, 0] for one in self._used}
        self._beyond = [0, 0]

    def add(self, amount: int, payer: str | None, sources: Sequence[str]) -> None:
        """So much of debt was repaid by a payer, or by nobody yet. The newer debt comes first: so what became debt
        again because this payer's own payment went back is known."""
        taken, lost = self._fraction(payer).of(amount)
        if NOBODY in sources:
            return
        for place, part in enumerate((amount - taken - lost, lost)):
            self._beyond[place] += self._lay(part, place, sources)

    def found(self) -> dict[str, Fraction]:
        """Return how far each source is paid."""
        newest = [one.source for one in self._used]
        for place, part in enumerate(self._beyond):
            self._lay(part, place, newest)
        return {source: self._of_used(source) for source in newest}

    def _lay(self, amount: int, place: int, sources: Sequence[str]) -> int:
        """Return what no source has room for."""
        for source in sources:
            if not amount:
                break
            of = self._of.get(source)
            if of is not None:
                part = min(amount, self._room[source] - sum(of))
                of[place] += part
                amount -= part
        return amount

    def _fraction(self, payer: str | None) -> Fraction:
        if payer is None:
            return NOTHING
        known = self._fractions.get(payer)
        return self._of_used(payer) if known is None else known

    def _of_used(self, source: str) -> Fraction:
        room = self._room.get(source, 0)
        if not room:
            return ALL
        unpaid, lost = self._of[source]
        return Fraction(room - unpaid - lost, lost, room)
