"""A partner: an organization that publishes listings and is paid its share. What it may be, the facts of its life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from billing.rules.payments.views import AccountView
from common.errors import InvalidField, InvalidTransition
from orgs.rules.facts import Fact, time_text, with_changes

STREAM: Final = "partner"
OTHER_CURRENCY: Final = "currency_mismatch"
"""Why an account whose currency is another than its partner's takes no money: the processor would convert or refuse it,
for ever. Beside the processor's own reasons."""
STATUSES: Final = ("onboarding", "verifying", "active", "restricted")
ONBOARDING, VERIFYING, ACTIVE, RESTRICTED = STATUSES
SCHEDULES: Final = ("manual", "daily", "weekly", "monthly")
DEFAULT_HOLDBACK_DAYS: Final = 7
MOST_HOLDBACK_DAYS: Final = 365
WHOLE: Final = 1_000_000
"""Rates here are integers in millionths: 200,000 is 20 %."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What finance agrees with a partner. `minimum`: the least payout in units, None: the default of the currency;
    `reserve_rate`: the part, in millionths, of what came past the holdback lately that stays back; `hold_reason`: why
    nothing is paid out, None: nothing holds it."""

    minimum: int | None = None
    schedule: str = "manual"
    holdback_days: int = DEFAULT_HOLDBACK_DAYS
    reserve_rate: int = 0
    hold_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Partner:
    """The row of a partner. `stripe_account` to `requirements` are what the processor says of the connected account;
    `country` is that of the account, `currency` that of its organization."""

    organization: UUID
    currency: str
    status: str
    terms: Terms
    version: int
    created_at: datetime
    stripe_account: str | None = None
    country: str | None = None
    destination: str | None = None
    destination_changed_at: datetime | None = None
    payouts_enabled: bool = False
    disabled_reason: str | None = None
    requirements: Sequence[str] = field(default=())

    @property
    def id(self) -> UUID:
        """The id of its stream."""
        return stream_of(self.organization)


def stream_of(organization: UUID) -> UUID:
    """Return the stream of an organization's life as a partner; there is one."""
    return uuid5(NAMESPACE_OID, f"{STREAM}:{organization}")


def check_terms(terms: Terms) -> None:
    """Refuse terms that make no sense. Raises InvalidField."""
    if terms.schedule not in SCHEDULES:
        raise InvalidField("A schedule is manual, daily, weekly or monthly.", pointer="/schedule")
    if not 0 <= terms.holdback_days <= MOST_HOLDBACK_DAYS:
        raise InvalidField(f"From 0 to {MOST_HOLDBACK_DAYS} days.", pointer="/holdback_days")
    if not 0 <= terms.reserve_rate <= WHOLE:
        raise InvalidField("A rate is from 0 to 1.", pointer="/reserve_rate")
    if terms.minimum is not None and terms.minimum <= 0:
        raise InvalidField("A minimum is more than zero.", pointer="/minimum")
    if terms.hold_reason is not None and not terms.hold_reason.strip():
        raise InvalidField("A hold has a reason.", pointer="/hold_reason")


def partner_enrolled(
    organization: UUID, currency: str, terms: Terms, *, at: datetime
) -> tuple[Partner, Fact]:
    """The partner that an organization becomes, and the fact of it. Raises InvalidField."""
    check_terms(terms)
    made = Partner(organization, currency, ONBOARDING, terms, 1, at)
    return made, Fact(organization, STREAM, made.id, 1, "enrolled", data_of(made), at)


def partner_changed(
    partner: Partner, changes: Mapping[str, Any], *, at: datetime
) -> tuple[Partner, Fact | None]:
    """The partner with other terms, and the fact of it, None where nothing is different. Raises InvalidField."""
    terms = replace(partner.terms, **changes)
    check_terms(terms)
    return _next(partner, replace(partner, terms=terms), "changed", at)


def account_seen(partner: Partner, view: AccountView, *, at: datetime) -> tuple[Partner, Fact | None]:
    """The partner with what the processor says of its account now, and the fact of it, None where nothing is new.

    A destination that changes says when; the first one is no change. An account of another currency than the partner's
    is restricted. Raises InvalidTransition for another account
    than the partner has.
    """
    if partner.stripe_account not in (None, view.id):
        raise InvalidTransition("The partner has another account.")
    is_other = status_of(view) == ACTIVE and view.currency != partner.currency
    is_moved = partner.destination is not None and partner.destination != view.external_account
    after = replace(
        partner,
        stripe_account=view.id,
        country=view.country,
        status=RESTRICTED if is_other else status_of(view),
        destination=view.external_account or partner.destination,
        destination_changed_at=at
        if is_moved and view.external_account is not None
        else partner.destination_changed_at,
        payouts_enabled=view.payouts_enabled and view.transfers_active,
        disabled_reason=OTHER_CURRENCY if is_other else view.disabled_reason,
        requirements=tuple(sorted({*view.past_due, *view.currently_due})),
    )
    return _next(partner, after, "account_changed", at)


def status_of(view: AccountView) -> str:
    """How far a connected account is: what has to be done, who waits for whom, and whether money can be sent."""
    if view.payouts_enabled and view.transfers_active:
        return ACTIVE
    if not view.details_submitted:
        return ONBOARDING
    return RESTRICTED if view.disabled_reason or view.past_due else VERIFYING


def data_of(partner: Partner) -> dict[str, Any]:
    """The whole definition, as events hold it."""
    terms = partner.terms
    return {
        "currency": partner.currency,
        "status": partner.status,
        "minimum": terms.minimum,
        "schedule": terms.schedule,
        "holdback_days": terms.holdback_days,
        "reserve_rate": terms.reserve_rate,
        "hold_reason": terms.hold_reason,
        "stripe_account": partner.stripe_account,
        "country": partner.country,
        "destination": partner.destination,
        "destination_changed_at": time_text(partner.destination_changed_at),
        "payouts_enabled": partner.payouts_enabled,
        "disabled_reason": partner.disabled_reason,
        "requirements": list(partner.requirements),
        "created_at": time_text(partner.created_at),
    }


def _next(old: Partner, new: Partner, verb: str, at: datetime) -> tuple[Partner, Fact | None]:
    before, data = data_of(old), data_of(new)
    if before == data:
        return old, None
    made = replace(new, version=old.version + 1)
    return made, Fact(made.organization, STREAM, made.id, made.version, verb, with_changes(data, before), at)
