"""Who paid for what, worked out anew from the record alone: the waterfall of S75 as a plain list of grants.

Nothing of the product is used. Each hold must take what the sources have free in their order and nothing else; each
charge must burn what its hold took, in that order, and then what the sources have free; the rest is the line's or debt.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.concurrency.gate.audit import ENDS, Fact

SOURCES = ("allowance", "commitment", "credit")
KINDS = {"included": 0, "promotional": 1, "paid": 2, "committed": 2}
Part = tuple[str, str | None, int]
"""Source, grant and amount."""


@dataclass
class Grant:
    """What a grant has left, and what work in flight holds of it. Only those of a whole organization are known here."""

    name: str
    source: str
    rank: tuple[Any, ...]
    begins: datetime
    ends: datetime | None
    left: int
    held: int = 0

    def is_live(self, at: datetime) -> bool:
        """Whether it can be spent."""
        return self.begins <= at and (self.ends is None or at < self.ends)


@dataclass
class Payers:
    """An organization's funding as its record makes it."""

    grants: dict[str, Grant] = field(default_factory=dict)
    holds: dict[str, list[Part]] = field(default_factory=dict)
    debt: int = 0
    is_postpaid: bool = False
    paid: Counter[str] = field(default_factory=Counter)
    receipts: dict[str, list[Part]] = field(default_factory=dict)

    def see(self, fact: Fact) -> None:
        """Take a fact in; fails at the first part that another source should have paid."""
        if fact.type == "organization.created":
            self.is_postpaid = fact.data["funding"] == "postpaid"
        elif fact.type == "grant.granted":
            self._grant(fact)
        elif fact.type == "reservation.reserved":
            self._hold(fact)
        elif fact.type in ENDS:
            self._end(fact)
        elif fact.type in ("usage.recorded", "usage.charged"):
            self._charge(fact, [], fact.stream)

    def _grant(self, fact: Fact) -> None:
        (made,) = fact.data["ledger"]["granted"]
        source, ends = made.get("funding_source", "credit"), made["expires_at"]
        until = None if ends is None else datetime.fromisoformat(ends)
        begins = datetime.fromisoformat(made["effective_at"])
        rank = (
            SOURCES.index(source), made["priority"], KINDS[made["kind"]], until is None, until or fact.at, fact.at,
            made["id"],
        )  # fmt: skip
        repaid = min(self.debt, made["amount"])
        self.debt -= repaid
        left = made["amount"] - repaid
        self.grants[made["id"]] = Grant(made["id"], source, rank, begins, until, left)

    def _free(self, amount: int, at: datetime) -> list[Part]:
        """What the sources give of an amount, in their order, after what the debt keeps back."""
        found, owed = [], self.debt
        for grant in sorted(self.grants.values(), key=lambda one: one.rank):
            if not grant.is_live(at):
                continue
            free = grant.left - grant.held
            kept = min(free, owed)
            owed -= kept
            part = min(free - kept, amount)
            if part:
                found.append((grant.source, grant.name, part))
                amount -= part
        return found

    def _hold(self, fact: Fact) -> None:
        expected = self._free(fact.data["held"], fact.at)
        placed = fact.data.get("ledger", {}).get("placed", ())
        grants = [part for hold in placed for part in hold.get("grants", ())]
        assert _named(fact, grants) == expected, (fact, expected)
        line = sum(hold.get("amount", 0) for hold in placed)
        assert line == fact.data["held"] - sum(amount for _, _, amount in expected)
        assert self.is_postpaid or not line
        for _, name, amount in expected:
            self.grants[name or ""].held += amount
        self.holds[fact.stream] = [*expected, *([("postpaid", None, line)] if line else [])]

    def _end(self, fact: Fact) -> None:
        held = [] if fact.data.get("late") else self.holds.pop(fact.stream)
        for source, name, amount in held:
            if source in SOURCES:
                self.grants[name or ""].held -= amount
        if fact.type == "reservation.committed":
            self._charge(fact, held, fact.data["usage"])

    def _charge(self, fact: Fact, held: list[Part], usage: str) -> None:
        rest, parts = fact.data["charge"], Counter[tuple[str, str | None]]()
        line = 0
        for source, name, amount in held:
            part = min(rest, amount)
            rest -= part
            if source in SOURCES:
                parts[source, name] += part
                self.grants[name or ""].left -= part
            else:
                line = part
        for source, name, part in self._free(rest, fact.at):
            parts[source, name] += part
            self.grants[name or ""].left -= part
            rest -= part
        if self.is_postpaid:
            line, rest = line + rest, 0
        self.debt += rest
        expected = [(source, name, part) for (source, name), part in parts.items() if part]
        expected += [("postpaid", None, line)] if line else []
        expected += [("debt", None, rest)] if rest else []
        told = fact.data.get("funding")
        found = (
            _named(fact, fact.data.get("ledger", {}).get("burned", ()))
            if told is None
            else list(map(tuple, told))
        )
        assert found == expected, (fact, expected)
        self.receipts[usage] = expected
        for source, _, amount in expected:
            self.paid[source] += amount


def _named(fact: Fact, grants: list[list[Any]]) -> list[tuple[Any, ...]]:
    sources = fact.data.get("sources") or ["credit"] * len(grants)
    return [(source, *part) for source, part in zip(sources, grants, strict=True)]
