"""Lines over what the gate recorded: tokens and tools as such, what they cost, and who paid for that (S74, S75)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from billing.rules.assembling import UNBILLED, Owed
from orgs.rules.facts import time_text

POSTPAID: Final = "postpaid"
SOURCES: Final = ("allowance", "commitment", "credit", "debt", POSTPAID)
"""What a receipt names. Only what is postpaid is to pay; debt is what credit granted later repays."""


LANES: Final = 2
"""A line's digest is over sums of its records' hashes, in lanes of seven bytes: it depends on no order."""


def digest_of(lanes: Sequence[int]) -> str:
    """Return the digest (hex) over the sums of the lanes of SHA-256(id, charge) of all records."""
    return sha256(",".join(map(str, lanes)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Group:
    """What a line over use is about. `late`: facts of a period that was closed already."""

    kind: str | None
    provider: str | None
    model: str | None
    tool: str | None
    late: bool

    @property
    def name(self) -> str:
        """What people call it, for a description and the order of lines."""
        if self.model is not None:
            return f"{self.provider}/{self.model}" if self.provider else self.model
        return self.tool or self.provider or self.kind or "Other use"

    def data(self) -> dict[str, Any]:
        """Return the group as a line's detail keeps it."""
        return {
            "kind": self.kind,
            "provider": self.provider,
            "model": self.model,
            "tool": self.tool,
            "late": self.late,
        }


@dataclass(frozen=True, slots=True)
class UsageSum:
    """The records of a group in one range (`place` in the invoice's ranges). Money in units; `digest`: of
    `digest_of` over id and charge of the records."""

    place: int
    group: Group
    calls: int
    charge: int
    tokens: Mapping[str, int]
    tool_calls: int
    first_at: datetime
    last_at: datetime
    price_versions: Sequence[str]
    digest: str
    funded: Mapping[str, int]

    @property
    def postpaid(self) -> int:
        """What is to pay."""
        return self.funded[POSTPAID]


def usage_line(found: UsageSum, *, start: datetime, end: datetime) -> Owed:
    """Return the line over a group's records. Raises ValueError when their receipts do not sum to the charge (S9)."""
    if sum(found.funded.values()) != found.charge:
        raise ValueError(f"S9: the receipts of {found.group.name} do not sum to its charge")
    funded = {source: amount for source, amount in found.funded.items() if amount and source != POSTPAID}
    late = f", late, of before {start:%Y-%m-%d}" if found.group.late else ""
    calls = "1 call" if found.calls == 1 else f"{found.calls:,} calls"
    return Owed(
        key=f"usage:{found.place}:{json.dumps(found.group.data())}",  # names may hold any separator
        kind="usage",
        description=f"{found.group.name}, {calls}{late}",
        exact=found.postpaid,
        account=UNBILLED,
        quantity=str(found.calls),
        charge=found.charge,
        funded=funded,
        service_start=None if found.group.late else start,
        service_end=None if found.group.late else end,
        detail={
            "range": found.place,
            "group": found.group.data(),
            "calls": found.calls,
            "tokens": {name: amount for name, amount in found.tokens.items() if amount},
            "tool_calls": found.tool_calls,
            "price_versions": sorted(found.price_versions),
            "postpaid": found.postpaid,
            "first_at": time_text(found.first_at),
            "last_at": time_text(found.last_at),
            "records": found.calls,
            "digest": found.digest,
        },
    )
