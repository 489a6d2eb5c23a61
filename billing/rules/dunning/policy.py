"""A dunning policy: dated steps, as they are stated, checked and stored. Pure (S92).

Days are counted from the day on which the first overdue invoice fell due, at the same time of the wall clock in the
customer's zone: month ends, leap days and changes of the clock move nothing.
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
_FIELDS: Final = (
    "steps",
    "throttle_per_minute",
    "prepaid_credit",
    "retry_wait_hours",
    "longest_exemption_days",
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
    the outcome of a retry; finance extends and exempts by `longest_exemption_days` at most."""

    steps: tuple[Step, ...]
    throttle_per_minute: int = 10
    prepaid_credit: str = KEPT
    retry_wait_hours: int = 24
    longest_exemption_days: int = 30


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
    """Return the policy that a JSON object states. Raises one error with everything wrong (InvalidField, UnknownField):
    steps without order, an escalation before its day's retry, a day below 0, an escalation twice, too many steps."""
    if not isinstance(document, Mapping):
        raise InvalidField("A policy is an object.", pointer=pointer)
    reader = BodyReader(document, allowed=frozenset(_FIELDS), pointer=pointer)
    usual = Policy(())
    policy = Policy(
        steps=reader.required("steps", _steps) or (),
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
    )
    reader.check()
    return policy


def write_policy(policy: Policy) -> dict[str, Any]:
    """Return a policy as JSON; reading it gives the same policy."""
    return {
        "steps": [{"day": step.day, "action": step.action} for step in policy.steps],
        **{name: getattr(policy, name) for name in _FIELDS if name != "steps"},
    }


def _steps(value: object, *, pointer: str = "") -> tuple[Step, ...]:
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
    errors = errors or list(_disorder(found, pointer))
    if errors:
        raise combined(errors)
    return tuple(found)


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
