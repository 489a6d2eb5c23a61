"""A dunning case's row, and the facts of its stream. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.rules.dunning.campaigns import Campaigns, first_due, write_campaigns
from billing.rules.dunning.policy import SPENDABLE, Policy, moment_of, write_policy
from billing.rules.dunning.states import CLOSED, GRACE, PAST_DUE
from orgs.rules.facts import Fact, id_text, time_text

STREAM: Final = "dunning_case"
SETTLED, BY_FINANCE, BELOW_THRESHOLD = "settled", "finance", "below_threshold"
CLOSINGS: Final = (SETTLED, BY_FINANCE, BELOW_THRESHOLD)
"""Why a case is closed: all its invoices are settled, finance let it be, or no balance is at its threshold any more."""


@dataclass(frozen=True, slots=True)
class Case:
    """A customer in arrears. One is open for each organization; `invoices` joined it, the first opened it.

    `anchor_at` is day 0; `step` how many steps of the frozen `policy` are done; `shift_days` by how much finance has
    moved the others. `pending` are the invoices whose collection is under way, until `waits_until` at most; `asked_at`
    when one was asked for last; `wants_retry`: a new method came meanwhile. `is_hard`: the last failure said that
    asking again is of no use. `exempt_until`: nothing is held against the customer; `extended_until`: nothing gets
    worse. `next_at` is when the timer has to look. `campaigns` are those of a policy by overdue balance, else none.
    """

    id: UUID
    organization: UUID
    state: str
    policy_id: UUID | None
    policy_number: int
    policy: Policy
    zone: str
    anchor_at: datetime
    opened_at: datetime
    changed_at: datetime
    invoices: tuple[UUID, ...]
    step: int = 0
    shift_days: int = 0
    pending: tuple[UUID, ...] = ()
    waits_until: datetime | None = None
    asked_at: datetime | None = None
    wants_retry: bool = False
    is_hard: bool = False
    failures: int = 0
    failure: Mapping[str, Any] | None = None
    exempt_until: datetime | None = None
    extended_until: datetime | None = None
    closed_at: datetime | None = None
    closing: str | None = None
    version: int = 0
    campaigns: Campaigns = ()

    @property
    def is_open(self) -> bool:
        """Whether it is not closed."""
        return self.state != CLOSED

    @property
    def next_step_at(self) -> datetime | None:
        """When the next step is due; None when all are done, or the case is closed."""
        if not self.is_open or self.step >= len(self.policy.steps):
            return None
        return self.moment(self.step)

    @property
    def next_at(self) -> datetime | None:
        """When the timer has something to do; None: never."""
        if not self.is_open:
            return None
        if self.exempt_until is not None:
            return min(self.exempt_until, self.waits_until) if self.waits_until else self.exempt_until
        first = first_due(self.campaigns)
        waits = self.waits_until if self.pending else self.next_step_at
        times = (waits, None if first is None else first.next_at)
        return min((at for at in times if at is not None), default=None)

    def moment(self, step: int) -> datetime:
        """Return when a step is due."""
        day = self.policy.steps[step].day + self.shift_days
        return moment_of(day, anchor=self.anchor_at, zone=self.zone)


@dataclass(frozen=True, slots=True)
class Consequence:
    """What the gate is to obey of a case: see spend's standing."""

    standing: str
    per_minute: int | None = None
    spends_credit: bool = False


CLEAR: Final = Consequence("clear")


def consequence_of(case: Case) -> Consequence:
    """Return what a case means for the gate: nothing while past due or exempt, slower work in grace, none from
    suspension on, whatever became of the debt, until the case is closed."""
    if case.state in (PAST_DUE, CLOSED) or case.exempt_until is not None:
        return CLEAR
    if case.state == GRACE:
        return Consequence("throttled", case.policy.throttle_per_minute)
    return Consequence("suspended", None, case.policy.prepaid_credit == SPENDABLE)


def after(case: Case, **changes: Any) -> Case:
    """Return the case one version on."""
    return replace(case, version=case.version + 1, **changes)


def fact(case: Case, verb: str, *, at: datetime, trigger: str, **more: Any) -> Fact:
    """Return what happened: the whole new row, what it came of (`trigger`), and `more` of it where there is more."""
    said = {name: value for name, value in more.items() if value is not None}
    return Fact(
        case.organization,
        STREAM,
        case.id,
        case.version,
        verb,
        {**data_of(case), "trigger": trigger, **said},
        at,
    )


_TIMES: Final = (
    "anchor_at", "opened_at", "changed_at", "waits_until", "asked_at", "exempt_until", "extended_until", "closed_at",
    "next_at",
)  # fmt: skip
_PLAIN: Final = (
    "state", "policy_number", "zone", "step", "shift_days", "wants_retry", "is_hard", "failures", "failure", "closing",
)  # fmt: skip


def data_of(case: Case) -> dict[str, Any]:
    """Return the row as events hold it."""
    return {
        **{name: getattr(case, name) for name in _PLAIN},
        **{name: time_text(getattr(case, name)) for name in _TIMES},
        "policy_id": id_text(case.policy_id),
        "policy": write_policy(case.policy),
        "invoices": [str(each) for each in case.invoices],
        "pending": [str(each) for each in case.pending],
        "campaigns": write_campaigns(case.campaigns),
    }
