"""A line over use worked out a second time, record by record, by code that the sums do not share (S74). Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol
from uuid import UUID

from billing.rules.usagelines import LANES, POSTPAID, digest_of
from spend.rules.explaining import recomputed


class UsedRecord(Protocol):
    """What is asked of a usage record."""

    @property
    def id(self) -> UUID: ...
    @property
    def currency(self) -> str: ...
    @property
    def charge(self) -> int: ...
    @property
    def funding(self) -> str: ...
    @property
    def detail(self) -> str | None: ...
    @property
    def price_version(self) -> UUID | None: ...


@dataclass(slots=True)
class Recount:
    """What the records of a line come to. `rated`: their charges worked out again from quantities and prices (S6);
    `steps`: quantity and amount by price version and component."""

    records: int = 0
    charge: int = 0
    rated: int = 0
    funded: dict[str, int] = field(default_factory=dict)
    steps: dict[tuple[str | None, str, str], list[Fraction]] = field(default_factory=dict)
    lanes: list[int] = field(default_factory=lambda: [0] * LANES)

    def add(self, record: UsedRecord) -> None:
        """Count one record."""
        self.records += 1
        self.charge += record.charge
        hashed = hashlib.sha256(record.id.bytes + record.charge.to_bytes(8, "big", signed=True)).digest()
        for lane in range(LANES):
            self.lanes[lane] += int.from_bytes(hashed[7 * lane : 7 * lane + 7], "big")
        for source, _, amount in json.loads(record.funding):
            self.funded[source] = self.funded.get(source, 0) + amount
        detail: Mapping[str, Any] = json.loads(record.detail) if record.detail else {}
        self.rated += recomputed(detail, record.currency)[1]
        version = None if record.price_version is None else str(record.price_version)
        for component, quantity, amount, currency in detail.get("lines", ()):
            step = self.steps.setdefault((version, component, currency), [Fraction(0), Fraction(0)])
            step[0] += Fraction(quantity)
            step[1] += Fraction(amount)

    @property
    def postpaid(self) -> int:
        """What of it is to pay."""
        return self.funded.get(POSTPAID, 0)

    @property
    def digest(self) -> str:
        """The digest over id and charge of all of them."""
        return digest_of(self.lanes)

    def agrees_with(self, *, charge: int, detail: Mapping[str, Any]) -> bool:
        """Whether the line says the same: records, charge, prices, what is to pay, and the digest."""
        stated = (detail["records"], charge, charge, detail["postpaid"], detail["digest"])
        return stated == (self.records, self.charge, self.rated, self.postpaid, self.digest)
