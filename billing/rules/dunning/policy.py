"""A dunning policy: dated steps, as they are stated, checked and stored. Pure (S92).

Days are counted from the day on which the first overdue invoice fell due, or a threshold was reached, at the same time
of the wall clock in the customer's zone: month ends, leap days and changes of the clock move nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from billing.rules.dunning.states import CANCELED, GRACE, SUSPENDED, WRITTEN_OFF
from common import fields
from common.bodies import BodyReader
from common.errors import InvalidField, ProblemError, combined
from common.localtime import boundary_instant, local_time
from common.money import format_document_amount
from common.strictjson import child_pointer

RETRY, NOTIFY, THROTTLE, SUSPEND, CANCEL, WRITE_OFF = (
    "retry", "notify", "throttle", "suspend", "cancel", "write_off",
)  # fmt: skip
ACTIONS: Final = (RETRY, NOTIFY, THROTTLE, SUSPEND, CANCEL, WRITE_OFF)
"""In the order in which they stand on one day: an escalation never comes before its day's retry."""
LEADS_TO: Final = {THROTTLE: GRACE, SUSPEND: SUSPENDED, CANCEL: CANCELED, WRITE_OFF: WRITTEN_OFF}
MAX_STEPS: Final = 40
MAX_DAY: Final = 730
MAX_PER_MINUTE: Final = 100_000
KEPT, SPENDABLE = "kept", "spendable"
PREPAID: Final = (KEPT, SPENDABLE)
MAX_WAIT_HOURS: Final = 168
MAX_EXEMPTION_DAYS: Final = 366
BY_INVOICE, BY_BALANCE = "invoice_overdue", "overdue_balance"
BEGINS_BY: Final = (BY_INVOICE, BY_BALANCE)
MAX_ATTEMPTS: Final = 40
_CAMPAIGN: Final = ("thresholds", "max_attempts", "days_between_attempts")
_NO_THRESHOLD: Final = (
    "Give at least one currency with the overdue balance from which on a campaign begins, such as "
    '{"EUR": "150.00"}.'
)
_NO_RETRY: Final = (
    f"With the trigger {BY_BALANCE} the attempts are the retries: leave this step out, and give max_attempts and "
    "days_between_attempts."
)
_FIELDS: Final = (
    "steps",
    "throttle_per_minute",
    "prepaid_credit",
    "retry_wait_hours",
    "longest_exemption_days",
    "trigger",
)


@dataclass(frozen=True, slots=True)
class Step:
    """What is done on a day after the due date, unless everything is paid before."""

    day: int
    action: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What is done when. A throttled customer makes `throttle_per_minute` new calls; `prepaid_credit` kept: a suspended
    one spends nothing, spendable: credit that it bought still pays; an escalation waits `retry_wait_hours` at most for
    the outcome of a retry; finance extends and exempts by `longest_exemption_days` at most.

    With `trigger` invoice_overdue any overdue invoice opens a case, and retries are steps. With overdue_balance the
    overdue balance of a currency does, once it reaches its threshold (`thresholds`, in units): a campaign, of
    `max_attempts` payments at most, each at least `days_between_attempts` after the one before.
    """

    steps: tuple[Step, ...]
    throttle_per_minute: int = 10
    prepaid_credit: str = KEPT
    retry_wait_hours: int = 24
    longest_exemption_days: int = 30
    trigger: str = BY_INVOICE
    thresholds: tuple[tuple[str, int], ...] = ()
    max_attempts: int = 0
    days_between_attempts: int = 0

    @property
    def is_by_balance(self) -> bool:
        """Whether a threshold opens its cases."""
        return self.trigger == BY_BALANCE

    def reached(self, balances: Mapping[str, int]) -> tuple[str, ...]:
        """Return the currencies whose overdue balance (in units) has reached its threshold, in order."""
        return tuple(currency for currency, least in self.thresholds if balances.get(currency, 0) >= least)


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A policy as it stands. `plans` (keys) and `contracts` (ids) are whose customers it is for; `is_default`: all
    others. `number` counts its documents; a case keeps the one that it was opened with."""

    id: UUID
    organization: UUID
    key: str
    name: str
    plans: tuple[str, ...]
    contracts: tuple[UUID, ...]
    is_default: bool
    number: int
    policy: Policy
    version: int
    created_at: datetime
    archived_at: datetime | None = None


DEFAULT: Final = Policy(
    (
        Step(2, RETRY),
        Step(7, RETRY),
        Step(7, THROTTLE),
        Step(14, RETRY),
        Step(14, SUSPEND),
        Step(21, RETRY),
        Step(21, CANCEL),
    )
)
"""The house's policy (S92): past due on day 0, written off by finance alone."""


def moment_of(day: int, *, anchor: datetime, zone: str) -> datetime:
    """Return when a day's steps are due: so many days on the calendar after the anchor, at its wall time."""
    return boundary_instant(local_time(anchor, zone=zone) + timedelta(days=day), zone=zone)


def parse_policy(document: object, pointer: str = "") -> Policy:
    """Return the policy that a JSON object states. Raises one error with everything wrong (InvalidField, UnknownField,
    InvalidCurrency, InvalidAmount): steps without order, an escalation before its day's retry, a day below 0, an
    escalation twice, too many steps, no threshold or attempt where a balance begins it, or one where it does not."""
    if not isinstance(document, Mapping):
        raise InvalidField("A policy is an object.", pointer=pointer)
    reader = BodyReader(document, allowed=frozenset((*_FIELDS, *_CAMPAIGN)), pointer=pointer)
    usual = Policy(())
    trigger = reader.defaulted("trigger", fields.choice, BY_INVOICE, options=BEGINS_BY)
    policy = Policy(
        steps=reader.required("steps", _steps, is_by_balance=trigger == BY_BALANCE) or (),
        throttle_per_minute=reader.defaulted(
            "throttle_per_minute",
            fields.integer,
            usual.throttle_per_minute,
            minimum=1,
            maximum=MAX_PER_MINUTE,
        ),
        prepaid_credit=reader.defaulted("prepaid_credit", fields.choice, KEPT, options=PREPAID),
        retry_wait_hours=reader.defaulted(
            "retry_wait_hours", fields.integer, usual.retry_wait_hours, minimum=1, maximum=MAX_WAIT_HOURS
        ),
        longest_exemption_days=reader.defaulted(
            "longest_exemption_days",
            fields.integer,
            usual.longest_exemption_days,
            minimum=1,
            maximum=MAX_EXEMPTION_DAYS,
        ),
        trigger=trigger,
        **_campaign(reader, trigger),
    )
    reader.check()
    return policy


def write_policy(policy: Policy) -> dict[str, Any]:
    """Return a policy as JSON; reading it gives the same policy."""
    return {
        "steps": [{"day": step.day, "action": step.action} for step in policy.steps],
        **{name: getattr(policy, name) for name in _FIELDS if name != "steps"},
        **(_write_campaign(policy) if policy.is_by_balance else {}),
    }


def _write_campaign(policy: Policy) -> dict[str, Any]:
    thresholds = {
        currency: format_document_amount(least, currency=currency) for currency, least in policy.thresholds
    }
    return {
        "thresholds": thresholds,
        "max_attempts": policy.max_attempts,
        "days_between_attempts": policy.days_between_attempts,
    }


def _campaign(reader: BodyReader, trigger: str | None) -> dict[str, Any]:
    """The fields of a policy that a balance begins; a `trigger` that is wrong says nothing of them."""
    if trigger == BY_INVOICE:
        for name in _CAMPAIGN:
            if name in reader:
                reader.refuse(
                    InvalidField(f"Only with the trigger {BY_BALANCE}.", pointer=reader.pointer(name))
                )
    if trigger != BY_BALANCE:
        return {}
    if "thresholds" not in reader:
        reader.refuse(InvalidField(_NO_THRESHOLD, pointer=reader.pointer("thresholds")))
    found: dict[str, Any] = {
        "thresholds": reader.required("thresholds", _thresholds) if "thresholds" in reader else (),
        "max_attempts": reader.required("max_attempts", fields.integer, minimum=1, maximum=MAX_ATTEMPTS),
        "days_between_attempts": reader.required(
            "days_between_attempts", fields.integer, minimum=1, maximum=MAX_DAY
        ),
    }
    attempts, days = found["max_attempts"], found["days_between_attempts"]
    if attempts and days and (attempts - 1) * days > MAX_DAY:
        reader.refuse(
            InvalidField(
                f"The last attempt would come {(attempts - 1) * days} days after the first: at most {MAX_DAY}.",
                pointer=reader.pointer("days_between_attempts"),
            )
        )
    return found


def parse_balances(
    value: Mapping[str, object], *, pointer: str = "", allow_zero: bool = True
) -> dict[str, int]:
    """Return amounts in units by currency. Raises one error with everything wrong (InvalidCurrency, InvalidAmount)."""
    found: dict[str, int] = {}
    errors = []
    for code, amount in value.items():
        here = child_pointer(pointer, code)
        try:
            currency = fields.currency(code, pointer=here)
            found[currency] = fields.amount(
                amount, pointer=here, currency=currency, document=True, allow_zero=allow_zero
            )
        except ProblemError as error:
            errors.append(error)
    if errors:
        raise combined(errors)
    return found


def _thresholds(value: object, *, pointer: str = "") -> tuple[tuple[str, int], ...]:
    if not isinstance(value, Mapping) or not value:
        raise InvalidField(_NO_THRESHOLD, pointer=pointer)
    return tuple(sorted(parse_balances(value, pointer=pointer, allow_zero=False).items()))


def _steps(value: object, *, is_by_balance: bool = False, pointer: str = "") -> tuple[Step, ...]:
    if not isinstance(value, list):
        raise InvalidField("The steps are a list.", pointer=pointer)
    if len(value) > MAX_STEPS:
        raise InvalidField(f"A policy has at most {MAX_STEPS} steps.", pointer=pointer)
    found, errors = [], []
    for place, given in enumerate(value):
        try:
            found.append(_step(given, child_pointer(pointer, str(place))))
        except ProblemError as error:
            errors.append(error)
    errors = errors or [*_disorder(found, pointer), *(_retries(found, pointer) if is_by_balance else ())]
    if errors:
        raise combined(errors)
    return tuple(found)


def _retries(steps: Sequence[Step], pointer: str) -> list[ProblemError]:
    """What is asked for by campaign is asked for by its attempts alone."""
    return [
        InvalidField(_NO_RETRY, pointer=child_pointer(pointer, str(place)))
        for place, step in enumerate(steps)
        if step.action == RETRY
    ]


def _step(value: object, pointer: str) -> Step:
    if not isinstance(value, Mapping):
        raise InvalidField("A step is an object of day and action.", pointer=pointer)
    reader = BodyReader(value, allowed=frozenset({"day", "action"}), pointer=pointer)
    day = reader.required("day", fields.integer, minimum=0, maximum=MAX_DAY)
    action = reader.required("action", fields.choice, options=ACTIONS)
    reader.check()
    assert day is not None and action is not None
    return Step(day, action)


def _disorder(steps: Sequence[Step], pointer: str) -> list[ProblemError]:
    found: list[ProblemError] = []
    last, highest = (-1, -1), -1
    for place, step in enumerate(steps):
        here, rank = child_pointer(pointer, str(place)), ACTIONS.index(step.action)
        if (step.day, rank) <= last:
            found.append(InvalidField(_order_broken(step, last), pointer=here))
        if step.action in LEADS_TO:
            if rank <= highest:
                found.append(
                    InvalidField("Each escalation comes once, and none before a milder one.", pointer=here)
                )
            highest = max(highest, rank)
        elif highest == ACTIONS.index(WRITE_OFF):
            found.append(InvalidField("Nothing comes after a write-off.", pointer=here))
        last = max(last, (step.day, rank))
    return found


def _order_broken(step: Step, last: tuple[int, int]) -> str:
    if step.day < last[0]:
        return "The steps stand in the order of their days."
    if ACTIONS.index(step.action) == last[1]:
        return f"There is one {step.action} on a day."
    return "On one day a retry comes first, then a notice, then what escalates."
