"""What becomes of metered use that turned out not to be: whoever paid for it gets it back, the last payer first. Pure.

Money comes back for money alone, and no more than there was: of the postpaid part what was to pay after its coupons and
credit notes, and credit that was bought. What was given away goes back to its grant, while that lives; else it is gone.
What a commitment paid goes back to it until its window is settled; then only what exceeds it is money.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from billing.rules.rounding import round_to_document
from billing.rules.usagelines import POSTPAID, SOURCES

Part = tuple[str, UUID | None, int]
"""What a source, and which of its grants, paid or gets back, in units."""
COMMITMENT: Final = "commitment"
_LAST_FIRST: Final = {source: -place for place, source in enumerate(SOURCES)}


@dataclass(frozen=True, slots=True)
class BilledUse:
    """What a line billed of a period before: who paid for it, and `net` (units) of what was to pay, less credit notes.
    Of a line that took something back: `back`, of its detail, and `paid_back`, with what it left paid (`kept`)."""

    paid: Sequence[Part]
    net: int
    back: Sequence[Part] = ()
    paid_back: int = 0


@dataclass(frozen=True, slots=True)
class Bound:
    """Of what these sources paid no more than `most` (units) comes back as money."""

    sources: Collection[str]
    most: int


NOTHING_COMMITTED: Final = Bound(frozenset({COMMITMENT}), 0)


@dataclass(frozen=True, slots=True)
class TakenBack:
    """`amount`: what the customer gets on the invoice, at the currency's precision; `paid_back` of it for what was to
    pay, and `kept` what of that stays paid, up to what was committed. `gifts`: what goes back to grants that were
    given, or committed. `charges`: those whose lines were to pay, and taxed."""

    amount: int
    paid_back: int
    parts: Sequence[Part]
    gifts: Mapping[UUID, int]
    kept: int = 0
    charges: Sequence[str] = ()

    @property
    def credit(self) -> int:
        """What of the amount bought credit had paid, which bore no tax."""
        return self.amount - self.paid_back

    def data(self) -> dict[str, Any]:
        """Return it as the line's detail keeps it: what it took back is not taken back again."""
        parts = [
            [source, None if grant is None else str(grant), units] for source, grant, units in self.parts
        ]
        returned = [
            [str(grant), units]
            for source, grant, units in self.parts
            if source == COMMITMENT and grant in self.gifts
        ]
        return {
            "back": parts,
            "paid_back": self.paid_back,
            **({"kept": self.kept} if self.kept else {}),
            "taxed_as": list(self.charges),
            **({"returned": returned} if returned else {}),
        }


def read_back(detail: Mapping[str, Any]) -> tuple[list[Part], int]:
    """Return what a line's detail says that it took back, and what of the money for that stays paid all the same."""
    parts = [
        (source, None if grant is None else UUID(grant), units)
        for source, grant, units in detail.get("back", ())
    ]
    return parts, detail.get("kept", 0)


def read_returned(detail: Mapping[str, Any]) -> Counter[UUID]:
    """Return what went back to grants of commitments, as a line's detail says it."""
    return Counter({UUID(grant): units for grant, units in detail.get("returned", ())})


def take_back(
    units: int,
    billed: Sequence[BilledUse],
    *,
    given: Collection[UUID],
    currency: str,
    bound: Bound = NOTHING_COMMITTED,
) -> TakenBack:
    """Return how so much of what was billed of a period comes back. `given`: the grants that nobody bought, and those
    of commitments that are not settled."""
    left = _left(billed)
    parts: list[Part] = []
    for source, grant in sorted(left, key=lambda name: _LAST_FIRST[name[0]]):
        part = min(units, left[source, grant])
        if part > 0:
            parts.append((source, grant, part))
            units -= part
    owed = sum(one.net - one.paid_back for one in billed)
    postpaid = sum(left[name] for name in left if name[0] == POSTPAID)
    unpaid = sum(part for source, _, part in parts if source == POSTPAID)
    paid_back = round_to_document(Fraction(max(owed, 0) * unpaid, postpaid or 1), currency=currency)
    gifts = {grant: part for _, grant, part in parts if grant is not None and grant in given}
    money = Counter({POSTPAID: paid_back})
    for source, grant, part in parts:
        if source != POSTPAID and grant not in gifts:
            money[source] += part
    excess = max(sum(money[source] for source in bound.sources) - bound.most, 0)
    amount = round_to_document(money.total() - excess, currency=currency)
    on_line = min(paid_back, amount)  # the last payer first, and tax for no more than what comes back
    return TakenBack(amount, on_line, parts, gifts, kept=paid_back - on_line)


def _left(billed: Sequence[BilledUse]) -> dict[tuple[str, UUID | None], int]:
    """What each paid and did not get back, the latest first."""
    left: dict[tuple[str, UUID | None], int] = {}
    for one in reversed(billed):
        for sign, parts in ((1, one.paid), (-1, one.back)):
            for source, grant, units in reversed(parts):
                left[source, grant] = left.get((source, grant), 0) + sign * units
    return left
