"""Campaigns: what is asked for of a currency whose overdue balance has reached its threshold, and when. Pure.

A case of a policy with the trigger overdue_balance has one for each currency that is at its threshold; it ends when the
balance falls below that, and begins anew, from its first attempt, when it is reached again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from billing.rules.dunning.policy import Policy, moment_of
from orgs.rules.facts import time_text

_TIMES: Final = ("next_at", "asked_at")


@dataclass(frozen=True, slots=True)
class Campaign:
    """How far a currency's attempts are: how many were made or passed over, when the next one is due (None: there is
    none left), and when its invoices were asked for last."""

    currency: str
    attempts: int = 0
    next_at: datetime | None = None
    asked_at: datetime | None = None


Campaigns = tuple[Campaign, ...]


def carried_on(
    campaigns: Campaigns, reached: Iterable[str], *, now: datetime, zone: str, has_just_failed: bool
) -> Campaigns:
    """Return the campaigns of the currencies that are at their thresholds: those that run go on, the others begin now.

    Where a payment that failed is what brought it there (`has_just_failed`), the first attempt comes a day later: the
    same method was asked a moment ago.
    """
    running = {each.currency: each for each in campaigns}
    first = moment_of(1, anchor=now, zone=zone) if has_just_failed else now
    return tuple(running.get(currency) or Campaign(currency, next_at=first) for currency in sorted(reached))


def attempted(campaign: Campaign, policy: Policy, *, now: datetime, zone: str, is_asked: bool) -> Campaign:
    """Return the campaign after an attempt, which was made (`is_asked`) or had nothing to ask; the next one is due so
    many days after this one, at the earliest."""
    done = campaign.attempts + 1
    is_last = done >= policy.max_attempts
    following = None if is_last else moment_of(policy.days_between_attempts, anchor=now, zone=zone)
    asked_at = now if is_asked else campaign.asked_at
    return replace(campaign, attempts=done, next_at=following, asked_at=asked_at)


def put_off(campaigns: Campaigns, days: int, *, zone: str) -> Campaigns:
    """Return campaigns whose further attempts come so many days later."""
    return tuple(
        each
        if each.next_at is None
        else replace(each, next_at=moment_of(days, anchor=each.next_at, zone=zone))
        for each in campaigns
    )


def asked_for(campaigns: Campaigns, *, now: datetime) -> Campaigns:
    """Return campaigns all of whose invoices were asked for between two attempts, as with a new method."""
    return tuple(replace(each, asked_at=now) for each in campaigns)


def first_due(campaigns: Campaigns) -> Campaign | None:
    """Return whose attempt is due first; None when none is left."""
    waiting = [(each.next_at, each.currency, each) for each in campaigns if each.next_at is not None]
    return min(waiting)[2] if waiting else None


def write_campaigns(campaigns: Campaigns) -> dict[str, dict[str, Any]]:
    """Return campaigns as events hold them, by currency."""
    return {
        each.currency: {
            "attempts": each.attempts,
            **{name: time_text(getattr(each, name)) for name in _TIMES},
        }
        for each in campaigns
    }


def read_campaigns(document: Mapping[str, Mapping[str, Any]]) -> Campaigns:
    """Return what `write_campaigns` wrote."""
    return tuple(
        Campaign(currency, said["attempts"], *(_time(said[name]) for name in _TIMES))
        for currency, said in sorted(document.items())
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
