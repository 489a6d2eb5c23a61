"""A metered line worked out a second time, record by record, by code that the meter's sums do not share (S74). Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from billing.rules.meters import COUNT, EVENTS, LATEST, MAX, SUM, UNIQUE, WEIGHTED_SUM, Definition

Group = tuple[str | None, ...]
Row = Mapping[str, Any]
"""A record of a meter, as `billing.queries.metering.records` gives it."""


@dataclass(frozen=True, slots=True)
class CountedAgain:
    """What the records of a group come to. `quantity` None: of a level, which holds on from earlier records."""

    group: Group
    quantity: Fraction | None
    records: int
    digest: str


@dataclass(slots=True)
class MeterRecount:
    """The records of a metered line, and of the earlier parts of its window, by group."""

    definition: Definition
    group_by: Sequence[str]
    own: dict[Group, list[Row]] = field(default_factory=dict)
    earlier: dict[Group, list[Row]] = field(default_factory=dict)

    def add(self, row: Row, *, is_own: bool) -> None:
        """Take one record, in the order of their ids."""
        rows = self.own if is_own else self.earlier
        rows.setdefault(tuple(row[name] for name in self.group_by), []).append(row)

    @property
    def counted(self) -> list[CountedAgain]:
        """Return what each group comes to, in the order of their texts."""
        found = [self._counted(group) for group in self.own]
        return sorted(found, key=lambda one: tuple((text is not None, text or "") for text in one.group))

    def agrees_with(self, detail: Mapping[str, Any]) -> bool:
        """Whether the line says the same of every group: records, digest and quantity."""
        stated = {tuple(one["by"].values()): one for one in detail["groups"] if one["records"]}
        again = {one.group: one for one in self.counted}
        return stated.keys() == again.keys() and all(_is_same(stated[name], again[name]) for name in stated)

    def _counted(self, group: Group) -> CountedAgain:
        own, earlier = self.own.get(group, []), self.earlier.get(group, [])
        quantity = None
        if self.definition.aggregation != WEIGHTED_SUM:
            quantity = self._quantity([*earlier, *own]) - self._quantity(earlier)
        names = sorted({row["id"].bytes for row in own})
        return CountedAgain(group, quantity, len(names), hashlib.sha256(b"".join(names)).hexdigest())

    def _quantity(self, rows: Sequence[Row]) -> Fraction:
        kind = self.definition.aggregation
        if kind == COUNT:
            return Fraction(sum(row["sign"] for row in rows))
        if kind == SUM:
            return sum((row["sign"] * row["value"] for row in rows), Fraction(0))
        left = self._that_count(rows)
        if kind == UNIQUE:
            return Fraction(len({row["unique"] for row in left}))
        if not left:
            return Fraction(0)
        if kind == MAX:
            return max(Fraction(row["value"]) for row in left)
        assert kind == LATEST
        return Fraction(max(left, key=lambda row: (row["occurred_at"], row["id"]))["value"])

    def _that_count(self, rows: Sequence[Row]) -> list[Row]:
        """The records that nothing took back: of each event the last that was said, unless that is gone."""
        if self.definition.source != EVENTS:
            return list(rows)
        found: dict[Any, list[Row]] = {}
        for row in sorted(rows, key=lambda row: row["id"]):
            said = found.setdefault(row["event"], [])
            if row["sign"] > 0:
                said.append(row)
            elif said:
                said.pop()
        return [row for said in found.values() for row in said]


def _is_same(stated: Mapping[str, Any], again: CountedAgain) -> bool:
    if again.quantity is not None and Fraction(stated["quantity"]) != again.quantity:
        return False
    return (stated["records"], stated["digest"]) == (again.records, again.digest)
