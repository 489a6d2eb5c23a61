"""What a decision on a subscription comes to: its row then, and everything that the same event says beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from billing.rules.agreed import AgreedPrice, write_price
from billing.rules.items import NewItem, items_event_data
from billing.rules.subscriptions.allowances import Clawback
from billing.rules.subscriptions.counting import Part, Window
from billing.rules.subscriptions.row import Allowance, Subscription
from billing.rules.subscriptions.writing import write_subscription
from common.ids import new_id
from orgs.rules.facts import Fact, id_text, time_text, with_changes

STREAM: Final = "subscription"
_TOLD: Final = (
    "status", "plan", "plan_version", "quantities", "add_ons", "ends_at", "change_at", "cancel_at", "paused_at",
    "resumes_at",
)  # fmt: skip
"""What of a row is told as a change from what to what; the rest follows from it."""


@dataclass(frozen=True, slots=True)
class MeteredPeriod:
    """A part of a metered charge's time that has ended: its use in [start, end) is rated by the plan's version.

    `window`: the whole time over which the meter's count goes on, however it is split. `share`: what part of a period
    of the plan's `interval` it is; `ahead`: what more of it, to the window's end, was paid for. `agreed`: a contract's
    price that it is rated at instead of the version's.
    """

    id: UUID
    charge: str
    meter: str
    start: datetime
    end: datetime
    plan_version: UUID
    window: Window
    share: Fraction
    ahead: Fraction
    agreed: AgreedPrice | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """Credit that is granted now. Units; `deferred` of the amount is paid for by the fee."""

    grant: UUID
    amount: int
    deferred: int
    source: str
    priority: int
    effective_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Decision:
    """A subscription after a decision at `at`, and what comes with it."""

    row: Subscription
    verb: str
    at: datetime
    items: Sequence[NewItem] = ()
    metered: Sequence[MeteredPeriod] = ()
    grants: Sequence[Granted] = ()
    clawbacks: Sequence[Clawback] = ()
    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Return what all items of the decision come to, in units."""
        return sum(item.amount for item in self.items)


def granted_now(one: Allowance) -> Granted:
    """Return the credit of an allowance whose time has come."""
    assert one.grant is not None
    return Granted(
        grant=one.grant,
        amount=one.amount,
        deferred=one.deferred,
        source=one.source,
        priority=one.priority,
        effective_at=one.start,
        expires_at=one.end if one.expires else None,
    )


def metered_period(
    charge: str, plan_version: UUID, part: Part, *, is_left: bool, agreed: AgreedPrice | None = None
) -> MeteredPeriod:
    """Return a part of a charge's time as a metered period; what is left of its window was paid for unless the charge
    `is_left`."""
    return MeteredPeriod(
        id=new_id(),
        charge=charge,
        meter=part.window.meter,
        start=part.start,
        end=part.end,
        plan_version=plan_version,
        window=part.window,
        share=part.share,
        ahead=Fraction(0) if is_left else part.rest,
        agreed=agreed,
    )


def fact_of(decision: Decision, before: Subscription | None) -> Fact:
    """Return the fact of a decision, without the ledger's part."""
    row = decision.row
    data = write_subscription(row)
    if before is not None:
        told, was = ({name: side[name] for name in _TOLD} for side in (data, write_subscription(before)))
        data["changed"] = with_changes(told, was)["changed"]
    if decision.items:
        data["items"] = items_event_data(decision.items)
    if decision.metered:
        data["metered"] = [_metered(row.id, one) for one in decision.metered]
    data |= decision.said
    return Fact(row.organization, STREAM, row.id, row.version, decision.verb, data, decision.at)


def _metered(subscription: UUID, one: MeteredPeriod) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "subscription": str(subscription),
        "charge": one.charge,
        "meter": one.meter,
        "start": time_text(one.start),
        "end": time_text(one.end),
        "plan_version": id_text(one.plan_version),
        "window": [time_text(one.window.start), time_text(one.window.end)],
        "interval": one.window.interval,
        "share": str(one.share),
        "ahead": str(one.ahead),
        "agreed": None if one.agreed is None else write_price(one.agreed),
    }
