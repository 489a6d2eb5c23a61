"""How an account came from a month's opening to its closing: which kinds of entries make which movement. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

OTHER: Final = "other"
MOVEMENTS: Final[Mapping[str, Mapping[str, str]]] = {
    "deferred_revenue": {
        "invoice": "billed",
        "invoice_void": "voided",
        "credit_note": "credited",
        "recognition": "recognised",
        "grant": "moved_to_credit",
        "allowance_return": "moved_to_credit",
    },
    "unbilled_receivable": {
        "usage": "used",
        "invoice": "billed",
        "invoice_void": "voided",
    },
    "customer_credit": {
        "grant": "granted",
        "allowance_return": "granted",
        "usage": "used",
        "breakage": "expired",
        "refund": "given_back",
        "clawback": "given_back",
        "payment": "settled",
        "invoice": "settled",
        "credit_note": "credited",
    },
}
"""By kind of account: the movement that an entry of a kind is. Whatever is not named is `other`."""


def movement_names(account: str) -> tuple[str, ...]:
    """Return the movements of an account, in the order in which they are shown."""
    return (*dict.fromkeys(MOVEMENTS[account].values()), OTHER)


@dataclass(slots=True)
class RollForward:
    """opening + all movements = closing, in units of one currency. A credit is positive."""

    opening: int = 0
    closing: int = 0
    movements: dict[str, int] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        """Whether opening and movements come to closing, which is added up by itself."""
        return self.opening + sum(self.movements.values()) == self.closing


def roll_forward(account: str, rows: Iterable[tuple[str, int, int, int]]) -> RollForward:
    """Return an account's month from (kind of entry, before, inside, up to the end of the month) in units."""
    made = RollForward(movements=dict.fromkeys(movement_names(account), 0))
    for kind, before, inside, until in rows:
        made.opening += before
        made.closing += until
        made.movements[MOVEMENTS[account].get(kind, OTHER)] += inside
    return made


def summed(account: str, parts: Iterable[RollForward]) -> RollForward:
    """Return several books together."""
    made = RollForward(movements=dict.fromkeys(movement_names(account), 0))
    for part in parts:
        made.opening += part.opening
        made.closing += part.closing
        for name, amount in part.movements.items():
            made.movements[name] += amount
    return made
