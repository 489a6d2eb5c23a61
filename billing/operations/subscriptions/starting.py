"""Starting a subscription (S72)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from uuid import UUID

from billing.operations.subscriptions.coupons import redeem
from billing.operations.subscriptions.funding import require_credit_limit
from billing.operations.subscriptions.opening import open_customer
from billing.operations.subscriptions.recording import coupons_of, record_decision, trial_days_left
from billing.queries.contracts import agreed_prices
from billing.queries.plans import find_plan, version_on_sale
from billing.queries.subscriptions import running_promotions
from billing.rules.catalog import PlanVersion
from billing.rules.subscriptions.decision import Decision
from billing.rules.subscriptions.row import Selection
from billing.rules.subscriptions.starting import NewSubscription, decide_start
from billing.rules.subscriptions.work import Known
from common.errors import CurrencyMismatch, InvalidField, InvalidTransition, NotFound
from common.ids import new_id
from common.localtime import local_time
from events.store import Cursor
from orgs.operations.facts import Author


@dataclass(frozen=True, slots=True)
class NewStart:
    """What a customer asks for. `plan`: key or id; `coupons`: codes; `anchor`: an instant that one boundary falls on;
    `trial_days` None: as the plan has it, but only for an organization that did not try the plan before."""

    plan: str
    currency: str | None = None
    quantities: Mapping[str, Fraction] = field(default_factory=dict)
    add_ons: Sequence[str] = ()
    coupons: Sequence[str] = ()
    start_at: datetime | None = None
    anchor: datetime | None = None
    trial_days: int | None = None
    ends_at: datetime | None = None


def start_subscription(
    cur: Cursor, organization: UUID, new: NewStart, *, is_bound: bool = False, author: Author
) -> Decision:
    """This function will subscribe an organization to the version of a plan that is on sale, now or at a date to come.

    Who `is_bound` has a trial as long as the plan's at most, tries a plan once, and redeems a coupon for one
    subscription only.
    Raises NotFound (organization, plan, coupon), InvalidTransition (an archived plan, a coupon that cannot be
    redeemed), CurrencyMismatch (not the organization's currency, or not the plan's), InvalidField, UnknownField,
    InvalidPeriod, CreditLimitUnknown and OrganizationClosed.
    """
    locked = open_customer(cur, organization)
    if new.currency not in (None, locked.currency):
        raise CurrencyMismatch(f"The organization's currency is {locked.currency}.", pointer="/currency")
    version = plan_on_sale(cur, new.plan)
    require_credit_limit(locked, version.terms)
    identifier = new_id()
    wanted = NewSubscription(
        id=identifier,
        organization=organization,
        currency=locked.currency,
        selection=Selection(version.plan_id, version.id, new.quantities, tuple(new.add_ons)),
        zone=locked.time_zone,
        trial_days=_trial_days(cur, organization, new, version, is_bound),
        starts_at=new.start_at,
        anchor=None if new.anchor is None else local_time(new.anchor, zone=locked.time_zone),
        ends_at=new.ends_at,
        coupons=tuple(
            redeem(
                cur,
                locked,
                code,
                subscription=identifier,
                pointer=f"/coupons/{place}",
                is_bound=is_bound,
                author=author,
            )
            for place, code in enumerate(new.coupons)
        ),
    )
    known = Known(
        version.terms,
        running=running_promotions(cur, organization=organization, at=locked.now),
        coupons=coupons_of(cur, locked, identifier),
        agreed=agreed_prices(cur, organization=organization),
    )
    decision = decide_start(wanted, known, at=locked.now)
    record_decision(cur, locked, decision, before=None, author=author)
    return decision


def plan_on_sale(cur: Cursor, name: str) -> PlanVersion:
    """This function will return what a plan, named by key or id, sells today. Raises NotFound and InvalidTransition."""
    plan = find_plan(cur, name, on_sale=True, pointer="/plan")
    version = version_on_sale(cur, plan)
    if plan.archived_at is not None:
        raise InvalidTransition("The plan is archived.", pointer="/plan")
    if version is None:
        raise NotFound("There is no such plan.", pointer="/plan")
    return version


def _trial_days(cur: Cursor, organization: UUID, new: NewStart, version: PlanVersion, is_bound: bool) -> int:
    """The days of the trial. Raises InvalidField for more than the organization has a right to."""
    most = trial_days_left(cur, organization, version.plan_id, version.terms)
    if new.trial_days is None:
        return most
    if new.trial_days > most and is_bound:
        raise InvalidField(f"The trial has {most} days here.", pointer="/trial_days")
    return new.trial_days
