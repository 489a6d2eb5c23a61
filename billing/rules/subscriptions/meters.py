"""A meter has one price at a time: of two live charges on it, both would bill every event. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from uuid import UUID

from billing.rules.plans import PlanTerms
from billing.rules.subscriptions.fees import charges_of
from billing.rules.subscriptions.row import Selection, Subscription
from common.errors import ProblemError

TermsOf = Mapping[UUID, PlanTerms]
"""The terms of plan versions by their id."""


class MeterInUse(ProblemError):
    """Another live charge of the organization counts this meter, so that both would bill what it counts."""

    code = "meter_in_use"
    status = 409
    title = "Meter in use"


def meters_of(row: Subscription, terms: TermsOf) -> dict[str, str]:
    """Return the meters that a subscription counts, now or after the change that waits, with the charge that does.

    Raises MeterInUse when two of its charges count the same.
    """
    found: dict[str, str] = {}
    for selection in selections_of(row):
        counting = _counting(selection, terms)
        twice = [meter for meter, times in Counter(meter for meter, _ in counting).items() if times > 1]
        if twice:
            raise MeterInUse(
                f"Two charges that are subscribed to count the meter {twice[0]}: choose one of them.",
                pointer="/add_ons",
            )
        found |= dict(counting)
    return found


def selections_of(row: Subscription) -> list[Selection]:
    """Return what is subscribed to, and what will be after a change that waits."""
    return [row.selection] if row.pending is None else [row.selection, row.pending.selection]


def require_own_meters(row: Subscription, others: Iterable[Subscription], terms: TermsOf) -> None:
    """Refuse a subscription that would count a meter while another one counts it. Raises MeterInUse."""
    mine = meters_of(row, terms)
    for other in others:
        if other.id == row.id or not _meet(row, other):
            continue
        for meter in {key for one in selections_of(other) for key, _ in _counting(one, terms)}:
            if meter in mine:
                raise MeterInUse(
                    f"Subscription {other.id} counts the meter {meter} already. End it first, begin when it ends, or"
                    f" leave out the charge {mine[meter]}.",
                    pointer="/plan",
                )


def _counting(selection: Selection, terms: TermsOf) -> list[tuple[str, str]]:
    charges = charges_of(terms[selection.version], selection)
    return [(charge.meter, charge.key) for charge in charges if charge.meter]


def _meet(one: Subscription, other: Subscription) -> bool:
    """Whether both live at a time."""
    return _begins_before_end(one, other) and _begins_before_end(other, one)


def _begins_before_end(one: Subscription, other: Subscription) -> bool:
    ends = [at for at in (other.cancel_at, other.ends_at, other.ended_at) if at is not None]
    return not ends or one.starts_at < min(ends)
