"""What a decision on a subscription must know beside its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from billing.rules.agreed import DatedPrice
from billing.rules.plans import PlanTerms
from billing.rules.subscriptions.allowances import Left, Running
from billing.rules.subscriptions.counting import Window, running_in
from billing.rules.subscriptions.row import Redemption, Subscription


@dataclass(frozen=True, slots=True)
class Known:
    """What a decision must know beside the row: the terms of its plan, what is left of each grant, and promotional
    credit of the organization's other subscriptions, ended or not, that still runs. `coupons`: the redemptions that
    hold now, the organization's own included; None: not known. `noted`: what credit notes took back of items, in units;
    `invoiced`: amount and discount of items on living invoices. `windows`: in which the organization's meters were
    counted before and that have not ended. `trial_days`: of the plan it is changed to, as many as the organization has
    a right to; None: as the plan has it. `next_cycle`: when the customer's cycle ends; None: not known. `agreed`: what
    the organization's contracts agree on for charges of plans."""

    terms: PlanTerms
    free: Mapping[UUID, Left] = field(default_factory=dict)
    running: Sequence[Running] = ()
    coupons: Sequence[Redemption] | None = None
    noted: Mapping[UUID, int] = field(default_factory=dict)
    invoiced: Mapping[UUID, tuple[int, int]] = field(default_factory=dict)
    windows: Sequence[Window] = ()
    trial_days: int | None = None
    next_cycle: datetime | None = None
    agreed: Sequence[DatedPrice] = ()


def going_on(row: Subscription, known: Known) -> set[str]:
    """Return the metered charges whose running part follows another one of its window, so that their count goes on.
    Before its first period, in a trial, there is none."""
    if row.cycle_start is None:
        return set()
    found = set()
    for key, since in row.metered.items():
        charge = known.terms.charge(key)
        if charge is not None and charge.meter:
            windows = running_in(charge.meter, row.period, since, known.windows)
            found |= {key for one in windows if one.start < since}
    return found
