"""Invoice items: what is owed besides use, as it stands in events and waits for its invoice. Pure.

Whoever makes a customer owe a fee (a subscription, a contract, finance) says its exact amount at once; invoicing
collects items and never asks again what they cost (ADR 0015). An event of any billing stream may carry them:
`{"items": items_event_data(...)}`; one projector makes rows of `invoice_items` of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from common.currencies import exponent_of
from common.ids import new_id
from common.money import MAX_UNITS, UNIT_DECIMALS
from orgs.rules.facts import id_text, time_text

KINDS: Final = (
    "recurring", "licensed", "one_time", "proration_credit", "proration_charge", "minimum", "commitment", "true_up",
    "overage", "adjustment",
)  # fmt: skip
STRAIGHT: Final = ("straight", "per_day", "even_month")
"""Over the service period: by seconds, by local days, or as much for every month (rules/recognition.py)."""
RECOGNITIONS: Final = (*STRAIGHT, "at_once")


@dataclass(frozen=True, slots=True)
class NewItem:
    """An amount that is owed (or, below zero, owed back) and goes onto an invoice from `due_at` on.

    `amount` in units, at the precision of its currency. [service_start, service_end) is what it is for; neither for
    what has no duration. `credits` names the item that a credit takes back. `included`: the units of credit whose worth
    comes out of this fee. `steps` explain the amount. `recognition`: revenue over the service period in one of
    the ways of STRAIGHT, or at once when it is invoiced. Raises ValueError for what contradicts itself: a defect of
    the writer.
    """

    kind: str
    description: str
    currency: str
    amount: int
    due_at: datetime
    quantity: Fraction | None = None
    subscription: UUID | None = None
    contract: UUID | None = None
    charge_key: str | None = None
    plan_version: UUID | None = None
    service_start: datetime | None = None
    service_end: datetime | None = None
    discountable: bool = True
    tax_code: str = "standard"
    steps: Sequence[Any] = ()
    credits: UUID | None = None
    included: int = 0
    recognition: str = "at_once"
    id: UUID = field(default_factory=new_id)

    def __post_init__(self) -> None:
        wrong = list(_contradictions(self))
        if wrong:
            raise ValueError(f"invoice item {self.description!r}: {'; '.join(wrong)}")


def _contradictions(item: NewItem) -> list[str]:
    step = 10 ** (UNIT_DECIMALS - exponent_of(item.currency))
    start, end = item.service_start, item.service_end
    is_straight = item.recognition in STRAIGHT
    said = {
        "no such kind": item.kind not in KINDS,
        "no such recognition": item.recognition not in RECOGNITIONS,
        "no description": not item.description.strip(),
        "an amount is whole units of the currency": type(item.amount) is not int or item.amount % step != 0,
        "the amount is out of range": abs(item.amount) > MAX_UNITS,
        "a service period has both ends": (start is None) != (end is None),
        "a service period ends after it starts": start is not None and end is not None and end <= start,
        "straight over no period": is_straight and start is None,
        "the included credit is below zero": item.included < 0,
    }
    return [reason for reason, holds in said.items() if holds]


def items_event_data(new: Sequence[NewItem]) -> list[dict[str, Any]]:
    """Return the `items` part of an event: what its projector needs to make the rows, with the ids of the items."""
    return [
        {
            "item": str(item.id),
            "kind": item.kind,
            "description": item.description,
            "currency": item.currency,
            "amount": item.amount,
            "quantity": None if item.quantity is None else str(item.quantity),
            "subscription": id_text(item.subscription),
            "contract": id_text(item.contract),
            "charge_key": item.charge_key,
            "plan_version": id_text(item.plan_version),
            "service_start": time_text(item.service_start),
            "service_end": time_text(item.service_end),
            "due_at": time_text(item.due_at),
            "discountable": item.discountable,
            "tax_code": item.tax_code,
            "steps": list(item.steps),
            "credits": id_text(item.credits),
            "included": item.included,
            "recognition": item.recognition,
        }
        for item in new
    ]
