"""From rows that wait to what an invoice's lines are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from uuid import UUID

from billing.queries.items import Item, treatments_of_items
from billing.rules.assembling import DEFERRED, REVENUE, Owed
from billing.rules.items import STRAIGHT
from billing.rules.tax import TaxPending, Treatment
from events.store import Cursor


def owed_of_items(cur: Cursor, items: Sequence[Item]) -> list[Owed]:
    """Return a line for each item. What is earned over a period, or pays for credit, is deferred first. What takes back
    an item that is on an invoice already is taxed as that was, whatever became of the customer since."""
    taxed = treatments_of_items(cur, [item.credits for item in items if item.credits is not None])
    return [_owed(item, taxed) for item in items]


def _owed(item: Item, taxed: Mapping[UUID, Treatment | TaxPending]) -> Owed:
    is_deferred = item.recognition in STRAIGHT or item.included > 0
    return Owed(
        key=f"item:{item.id}",
        kind=item.kind,
        description=item.description,
        exact=item.amount,
        account=DEFERRED if is_deferred else REVENUE,
        quantity=item.quantity,
        discountable=item.discountable,
        tax_code=item.tax_code,
        service_start=item.service_start,
        service_end=item.service_end,
        item=item.id,
        subscription=item.subscription,
        contract=item.contract,
        charge_key=item.charge_key,
        plan_version=item.plan_version,
        treatment=None if item.credits is None else taxed.get(item.credits),
        detail={
            "steps": json.loads(item.steps),
            "credits": None if item.credits is None else str(item.credits),
            "included": item.included,
            "recognition": item.recognition,
            "source": item.source,
        },
    )
