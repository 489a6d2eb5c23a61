"""Changing the plan, quantities and add-ons of a subscription, and showing beforehand what that does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Final
from uuid import UUID

from billing.operations.subscriptions.funding import require_credit_limit
from billing.operations.subscriptions.opening import Opened, open_subscription
from billing.operations.subscriptions.recording import record_decision, with_change
from billing.operations.subscriptions.starting import plan_on_sale
from billing.queries.plans import find_plan
from billing.rules.plans import PlanTerms
from billing.rules.subscriptions.changing import (
    Change,
    decide_change,
    with_add_ons,
    with_quantities,
)
from billing.rules.subscriptions.decision import Decision
from billing.rules.subscriptions.fees import kept_selection
from billing.rules.subscriptions.row import Selection, Subscription
from events.store import Cursor
from orgs.operations.facts import Author

Changed = tuple[Subscription, Decision | None]
PREVIEWER: Final = Author("system:preview")


@dataclass(frozen=True, slots=True)
class PlanChange:
    """A change that is asked for. `plan`: key or id, None: the present one; quantities and add-ons that are not named
    stay, as far as the plan has them. `mode`, `at`: see the rules."""

    plan: str | None = None
    quantities: Mapping[str, Fraction] = field(default_factory=dict)
    add_ons: Sequence[str] | None = None
    mode: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class QuantityChange:
    """Other quantities, by charge; those that are not named stay."""

    quantities: Mapping[str, Fraction]
    mode: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AddOnChange:
    """Add-ons to subscribe to and to leave, by their keys, and quantities of those that have one."""

    add: Sequence[str] = ()
    remove: Sequence[str] = ()
    quantities: Mapping[str, Fraction] = field(default_factory=dict)
    mode: str | None = None
    at: datetime | None = None


Wanted = PlanChange | QuantityChange | AddOnChange


def change_subscription(
    cur: Cursor,
    organization: UUID,
    subscription: UUID,
    wanted: Wanted,
    *,
    is_bound: bool = False,
    author: Author,
) -> Changed:
    """This function will change what is subscribed to, or let the change wait, and return the subscription and what was
    decided (None: there was nothing to change).

    Upgrades and downgrades are made as the present plan says, unless `mode` does; who `is_bound` may ask for less or
    later only. The present selection again drops a
    change that waits. Raises NotFound, InvalidTransition (ended, paused, an archived plan), CurrencyMismatch,
    InvalidField, UnknownField, Forbidden, CreditLimitUnknown and OrganizationClosed.
    """
    opened = open_subscription(cur, organization, subscription)
    selection, terms = _CHOICES[type(wanted)](cur, opened, wanted)
    change = Change(selection, terms, wanted.mode, wanted.at, is_bound)
    now = opened.locked.now
    known = with_change(cur, opened.locked, opened.known, opened.row, selection, terms, at=now)
    decision = decide_change(opened.row, change, known, at=now)
    record_decision(cur, opened.locked, decision, before=opened.row, author=author)
    return (opened.row if decision is None else decision.row), decision


def preview_change(
    cur: Cursor, organization: UUID, subscription: UUID, wanted: Wanted, *, is_bound: bool = False
) -> Changed:
    """This function will do the same and take everything back: nothing is written, and what it returns is what the
    change would do now. Raises what `change_subscription` raises."""
    with cur.connection.transaction(force_rollback=True):
        return change_subscription(
            cur, organization, subscription, wanted, is_bound=is_bound, author=PREVIEWER
        )


def _plan(cur: Cursor, opened: Opened, wanted: PlanChange) -> tuple[Selection, PlanTerms]:
    """Another plan is taken as it is on sale; the present one stays in its version, unless it is named."""
    row, terms = opened.row, opened.known.terms
    selection = row.selection
    if wanted.plan is not None and not _is_present(cur, row, wanted.plan):
        version = plan_on_sale(cur, wanted.plan)
        terms = version.terms
        require_credit_limit(opened.locked, terms)
        selection = Selection(version.plan_id, version.id, selection.quantities, selection.add_ons)
    if wanted.add_ons is not None:
        selection = Selection(
            selection.plan, selection.version, selection.quantities, tuple(sorted(set(wanted.add_ons)))
        )
        kept = kept_selection(terms, selection).quantities
    else:
        selection = kept_selection(terms, selection)
        kept = selection.quantities
    chosen = Selection(selection.plan, selection.version, {**kept, **wanted.quantities}, selection.add_ons)
    return chosen, terms


def _is_present(cur: Cursor, row: Subscription, name: str) -> bool:
    """Whether the present version is that of the plan on sale, or of one that is not sold any more."""
    plan = find_plan(cur, name, on_sale=True, pointer="/plan")
    return plan.id == row.selection.plan and (
        plan.archived_at is not None or plan.published_id == row.selection.version
    )


def _quantities(cur: Cursor, opened: Opened, wanted: QuantityChange) -> tuple[Selection, PlanTerms]:
    return with_quantities(opened.row, wanted.quantities), opened.known.terms


def _add_ons(cur: Cursor, opened: Opened, wanted: AddOnChange) -> tuple[Selection, PlanTerms]:
    chosen = with_add_ons(
        opened.row,
        opened.known.terms,
        add=wanted.add,
        remove=wanted.remove,
        quantities=wanted.quantities,
    )
    return chosen, opened.known.terms


_CHOICES: Final[Mapping[type, Callable[..., tuple[Selection, PlanTerms]]]] = {
    PlanChange: _plan,
    QuantityChange: _quantities,
    AddOnChange: _add_ons,
}
