"""Which prices of a plan's charges a contract has agreed on, and when each of them holds. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from uuid import UUID

from billing.rules.agreed import DatedPrice
from billing.rules.contracts.pricing import CHARGE
from billing.rules.contracts.row import Contract, Version, midnight


def dated_prices(row: Contract, plans: Mapping[str, UUID]) -> list[DatedPrice]:
    """Return the prices of plans' charges of a contract that was put into force, each for the time in which its version
    held and the contract was not terminated. `plans`: their ids by key; of one that is not there nothing holds."""
    if row.activated_at is None:
        return []
    following = (*(each.effective_at for each in row.versions[1:]), None)
    return [
        dated
        for each, until in zip(row.versions, following, strict=True)
        for dated in _of_version(row, each, until, plans, row.activated_at)
        if dated.start < dated.end
    ]


def _of_version(
    row: Contract, each: Version, until: datetime | None, plans: Mapping[str, UUID], activated_at: datetime
) -> Iterator[DatedPrice]:
    for price in each.terms.prices:
        if price.kind != CHARGE or price.given["plan"] not in plans:
            continue
        ends = (midnight(price.end, row.zone), until, row.terminates_at)
        yield DatedPrice(
            plan=plans[price.given["plan"]],
            charge=price.given["charge"],
            start=max(midnight(price.start, row.zone), each.effective_at),
            end=min(end for end in ends if end is not None),
            since=max(activated_at, each.made_at),
            agreed=price.agreed(row.id, each.number, row.currency),
        )
