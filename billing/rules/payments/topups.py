"""When credit is bought without anybody asking. Pure (docs/top-ups.md).

One at a time, never within the cool-off of the last one, never above the month's cap, and not any more after three
failures in a row, or after money went back, until a person says so: the card may be stolen, and who gets a refund does
not want to be charged for it again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5
from zoneinfo import ZoneInfo

from billing.rules.payments.minor import FinerThanProcessor, charged_step
from common.errors import CurrencyMismatch, InvalidAmount, InvalidField
from orgs.rules.facts import Fact, id_text, time_text

ACTIVE, STOPPED = "active", "stopped"
REFUNDED, DISPUTED, WARNED = "refunded", "disputed", "fraud_warning"
RETURNS: Final = frozenset({REFUNDED, DISPUTED, WARNED})
"""Why a rule stops that has not failed: credit that was bought was refunded; money was disputed, or its bank warns."""
MAX_FAILURES: Final = 3
DEFAULT_COOL_OFF_SECONDS: Final = 3_600
MAX_COOL_OFF_SECONDS: Final = 31 * 86_400


@dataclass(frozen=True, slots=True)
class AutoTopUp:
    """The rule of an organization: below `threshold` (units of available credit) buy `amount`; `monthly_cap` units are
    bought in a calendar month of its time zone at most (None: any)."""

    id: UUID
    organization: UUID
    enabled: bool
    threshold: int
    amount: int
    currency: str
    cool_off_seconds: int
    monthly_cap: int | None
    status: str = ACTIVE
    failures: int = 0
    stopped_reason: str | None = None
    last_payment: UUID | None = None
    last_at: datetime | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Situation:
    """What the rule is judged on: available credit and what was bought automatically this month, in units; whether a
    top-up is under way; whether the gate is shut for arrears, so that no credit can be spent."""

    available: int
    bought: int
    is_under_way: bool
    is_suspended: bool
    now: datetime


def auto_top_up_stream(organization: UUID) -> UUID:
    """Return the id of an organization's rule: there is one for each, for ever."""
    return uuid5(NAMESPACE_OID, f"auto_top_up:{organization}")


def month_start(now: datetime, zone: str) -> datetime:
    """Return when the calendar month of a moment began, where the organization is."""
    local = now.astimezone(ZoneInfo(zone))
    return local.replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)


def why_unwanted(rule: AutoTopUp, now: Situation) -> str | None:
    """Return why the rule wants no credit, whatever was bought before; None: it does."""
    if not rule.enabled:
        return "disabled"
    if rule.status == STOPPED:
        return "stopped"
    if now.is_suspended:
        return "suspended"
    return "above_threshold" if now.available >= rule.threshold else None


def why_not(rule: AutoTopUp, now: Situation) -> str | None:
    """Return why nothing is bought now; None: it is due."""
    unwanted = why_unwanted(rule, now)
    if unwanted is not None:
        return unwanted
    if now.is_under_way:
        return "under_way"
    if rule.last_at is not None and now.now < rule.last_at + timedelta(seconds=rule.cool_off_seconds):
        return "cool_off"
    if rule.monthly_cap is not None and now.bought + rule.amount > rule.monthly_cap:
        return "monthly_cap"
    return None


def why_not_any_more(rule: AutoTopUp, now: Situation, *, amount: int) -> str | None:
    """Return why `amount` units that the rule asked for, and that were never sent, are not wanted any more; what was
    bought this month counts them. None: they are."""
    unwanted = why_unwanted(rule, now)
    if unwanted is not None:
        return unwanted
    if amount > rule.amount:
        return "changed"
    return "monthly_cap" if rule.monthly_cap is not None and now.bought > rule.monthly_cap else None


def checked(rule: AutoTopUp, *, currency: str) -> AutoTopUp:
    """Return the rule if it makes sense. Raises CurrencyMismatch, InvalidAmount, FinerThanProcessor and
    InvalidField."""
    if rule.currency != currency:
        raise CurrencyMismatch(f"The organization's currency is {currency}.", pointer="/currency")
    for name in ("amount", "monthly_cap"):
        units = getattr(rule, name)
        if units is not None and units <= 0:
            raise InvalidAmount("Credit is bought, so it is above zero.", pointer=f"/{name}")
        if units is not None and units % charged_step(currency):
            raise FinerThanProcessor(
                f"That is finer than what can be charged in {currency}.", pointer=f"/{name}"
            )
    if rule.monthly_cap is not None and rule.monthly_cap < rule.amount:
        raise InvalidField("The cap of a month lets one top-up through at least.", pointer="/monthly_cap")
    if not 0 <= rule.cool_off_seconds <= MAX_COOL_OFF_SECONDS:
        raise InvalidField("A cool-off is at most 31 days.", pointer="/cool_off_seconds")
    return rule


def started(rule: AutoTopUp, payment: UUID, *, now: datetime) -> AutoTopUp:
    """Return the rule after it has asked for a payment."""
    return replace(rule, last_payment=payment, last_at=now, version=rule.version + 1)


def ended(rule: AutoTopUp, *, paid: bool, reason: str) -> AutoTopUp | None:
    """Return the rule after its payment ended: failures are counted, and the third in a row stops it. None: nothing
    changes; one that has stopped keeps its reason."""
    if paid:
        return replace(rule, failures=0, version=rule.version + 1) if rule.failures else None
    if rule.status == STOPPED:
        return None
    failures = rule.failures + 1
    if failures < MAX_FAILURES:
        return replace(rule, failures=failures, version=rule.version + 1)
    return replace(rule, failures=failures, status=STOPPED, stopped_reason=reason, version=rule.version + 1)


def halted(rule: AutoTopUp, reason: str) -> AutoTopUp | None:
    """Return the rule after money went back (one of RETURNS). None: it buys nothing anyway."""
    if not rule.enabled or rule.status == STOPPED:
        return None
    return replace(rule, status=STOPPED, stopped_reason=reason, version=rule.version + 1)


_APART: Final = frozenset({"id", "organization", "version", "last_payment", "last_at"})
_PLAIN: Final = tuple(field.name for field in fields(AutoTopUp) if field.name not in _APART)


def fact(rule: AutoTopUp, verb: str, *, at: datetime) -> Fact:
    """Return what happened to a rule: its whole new row."""
    data: dict[str, Any] = {
        **{name: getattr(rule, name) for name in _PLAIN},
        "last_payment": id_text(rule.last_payment),
        "last_at": time_text(rule.last_at),
    }
    return Fact(rule.organization, "auto_top_up", rule.id, rule.version, verb, data, at)
