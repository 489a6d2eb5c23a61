"""From a decision on a subscription to stored events: its own, and one for each grant of credit that comes with it."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from billing.operations.entitling import publish_entitlements
from billing.operations.invoices.thresholds import end_period
from billing.queries.contracts import agreed_prices
from billing.queries.coupons import redemptions_for
from billing.queries.items import invoiced_of_items, noted_of_items
from billing.queries.plans import find_version
from billing.queries.profiles import billing_profile
from billing.queries.standing import standing_of
from billing.queries.subscriptions import (
    had_trial,
    running_promotions,
    running_windows,
    subscriptions_of,
    what_is_left,
)
from billing.rules.couponterms import Redemption as Redeemed
from billing.rules.cycles import cycle_end
from billing.rules.plans import PlanTerms
from billing.rules.subscriptions.allowances import Clawback
from billing.rules.subscriptions.counting import Window
from billing.rules.subscriptions.couponing import kept_redemption
from billing.rules.subscriptions.decision import Decision, Granted, fact_of
from billing.rules.subscriptions.meters import require_own_meters, selections_of
from billing.rules.subscriptions.row import Redemption, Selection, Subscription, entitles_otherwise
from billing.rules.subscriptions.states import SCHEDULED, TRIALING
from billing.rules.subscriptions.work import Known
from events.store import Cursor, append
from ledger.operations.books import Books, lock_books
from ledger.operations.grants import given_events
from ledger.queries.accounts import account_ids
from ledger.rules.effects import entry, granted
from orgs.operations.facts import Author, event_of
from orgs.rules.rows import LockedOrganization

BREAKS_AFTER: Final = timedelta(days=3)
"""So long after a plan's credit has ended what is charged for a moment before its end still burns it: the rating of
metered periods, and usage that is reported late."""


def known_of(cur: Cursor, locked: LockedOrganization, row: Subscription, *, at: datetime) -> Known:
    """This function will read what a decision on a subscription at `at` must know beside its row."""
    items = [item for fee in row.fees for item in fee.items]
    return Known(
        terms=terms_of(cur, row.selection.version),
        free=what_is_left(cur, row, debt=_debt(cur, locked)),
        running=running_promotions(cur, organization=locked.id, at=at, besides=row.id),
        coupons=coupons_of(cur, locked, row.id),
        noted=noted_of_items(cur, items),
        invoiced=invoiced_of_items(cur, items),
        windows=_windows(cur, row),
        agreed=agreed_prices(cur, organization=locked.id),
    )


def trial_days_left(
    cur: Cursor, organization: UUID, plan: UUID, terms: PlanTerms, *, besides: UUID | None = None
) -> int:
    """This function will return how many days the trial of a plan has for an organization: none once it tried the plan
    with any subscription `besides` this one."""
    days = terms.trial_days
    return 0 if days and had_trial(cur, organization=organization, plan=plan, besides=besides) else days


def with_change(
    cur: Cursor,
    locked: LockedOrganization,
    known: Known,
    row: Subscription,
    target: Selection,
    terms: PlanTerms,
    *,
    at: datetime,
) -> Known:
    """This function will return what is known, and what a change at `at` to a plan with these `terms` must know: how
    long its trial is for who has not paid yet, and else when the customer's next invoice is."""
    if row.status in (SCHEDULED, TRIALING):
        days = trial_days_left(cur, row.organization, target.plan, terms, besides=row.id)
        return replace(known, trial_days=days)
    return replace(known, next_cycle=_next_cycle(cur, locked, at))


def _next_cycle(cur: Cursor, locked: LockedOrganization, at: datetime) -> datetime:
    """When the cycle ends that `at` lies in, also while the billing run has yet to pass those before."""
    next_at = standing_of(cur, locked.id).next_at
    if next_at > at:
        return next_at
    anchor = billing_profile(cur, locked.id).cycle_anchor
    return cycle_end(at, zone=locked.time_zone, anchor=anchor)


def _windows(cur: Cursor, row: Subscription) -> list[Window]:
    if row.period_start is None or not row.metered:
        return []
    return running_windows(cur, organization=row.organization, after=row.period_start)


def coupons_of(cur: Cursor, locked: LockedOrganization, subscription: UUID) -> list[Redemption]:
    """This function will read the coupons that hold for a subscription, the organization's own included."""
    found = redemptions_for(cur, organization=locked.id, subscription=subscription)
    return [kept_redemption(one) for one in found if _has_amount(one, locked.currency)]


def terms_of(cur: Cursor, version: UUID) -> PlanTerms:
    """This function will read the terms of a plan version. Raises NotFound."""
    return find_version(cur, version).terms


def record_decision(
    cur: Cursor,
    locked: LockedOrganization,
    decision: Decision | None,
    *,
    before: Subscription | None,
    author: Author,
    asked: bool = True,
) -> Decision | None:
    """This function will append a decision's events and project them; nothing for None. One that was not `asked` for
    comes of what was decided before.

    The ledger's part rides along: what is clawed back in the subscription's event, every grant in one of its own. All
    are dated at the decision. What the customer is entitled to from then on is published to the gate, and a change of
    plan that is invoiced at once ends a period of progressive billing. Raises MeterInUse when it is to count what
    another subscription counts, NotFound for an organization without books, and AmountOutOfRange.
    """
    if decision is None:
        return None
    if asked:
        _require_own_meters(cur, decision.row, before)
    event = event_of(fact_of(decision, before), author)
    events = [event]
    if decision.grants or decision.clawbacks:
        books = lock_books(cur, locked.id)
        if decision.clawbacks:
            event.data["ledger"] = _clawed(books, decision)
        events += given_events(
            books, decision.grants, partial(_grant, books, decision), at=decision.at, author=author
        )
    append(cur, events)
    if _is_billed_plan_change(decision, before):
        end_period(cur, locked, at=decision.at, author=author)
    if entitles_otherwise(before, decision.row):
        publish_entitlements(cur, locked, at=decision.at, author=author)
    return decision


def _is_billed_plan_change(decision: Decision, before: Subscription | None) -> bool:
    """Whether another plan takes over and is invoiced at once, not with the customer's next invoice."""
    if before is None or before.selection.version == decision.row.selection.version:
        return False
    return decision.verb == "changed" and any(item.due_at <= decision.at for item in decision.items)


def _require_own_meters(cur: Cursor, row: Subscription, before: Subscription | None) -> None:
    if row.ended_at is not None or (before is not None and _counts_as(row) == _counts_as(before)):
        return
    others = subscriptions_of(cur, organization=row.organization)
    versions = {selection.version for one in (row, *others) for selection in selections_of(one)}
    require_own_meters(row, others, {version: terms_of(cur, version) for version in versions})


def _counts_as(row: Subscription) -> tuple[Any, ...]:
    """What of a subscription says what it counts, and until when."""
    return row.selection, row.pending, row.cancel_at, row.ends_at


def _clawed(books: Books, decision: Decision) -> dict[str, Any]:
    return {
        "entries": [_clawback_entry(books, decision, one) for one in decision.clawbacks],
        "burned": [[str(one.grant), one.amount] for one in decision.clawbacks],
    }


def _clawback_entry(books: Books, decision: Decision, one: Clawback) -> dict[str, Any]:
    given_away = one.amount - one.deferred
    lines = [books.line("customer_credit", -one.amount)]
    lines += [books.line("deferred_revenue", one.deferred)] if one.deferred else []
    lines += [books.line("promotional_expense", given_away)] if given_away else []
    return entry(
        kind="allowance_return",
        key=f"allowance_return:{one.grant}:{decision.row.version}",
        source=f"subscription:{decision.row.id}",
        lines=lines,
        currency=books.currency,
        reason=books.late_reason("Unused credit of a plan that was left", decision.at),
        effective_at=books.effective(decision.at),
    )


def _grant(books: Books, decision: Decision, one: Granted, repaid: int) -> dict[str, Any]:
    source, reason = f"grant:{one.grant}", f"Credit of subscription {decision.row.id}"
    given_away = one.amount - one.deferred
    lines = [books.line("customer_credit", one.amount)]
    lines += [books.line("deferred_revenue", -one.deferred)] if one.deferred else []
    lines += [books.line("promotional_expense", -given_away)] if given_away else []
    posted = entry(
        kind="grant",
        key=source,
        source=source,
        lines=lines,
        currency=books.currency,
        reason=books.late_reason(reason, decision.at),
        effective_at=books.effective(decision.at),
    )
    made = granted(
        grant=one.grant,
        account=books.credit,
        kind="included",
        currency=books.currency,
        amount=one.amount,
        cost_basis=one.deferred,
        effective_at=one.effective_at,
        expires_at=one.expires_at,
        priority=one.priority,
        reason=reason,
        source=source,
        repaid=repaid,
        funding_source=one.source,
        gift=given_away,
        breaks_at=None if one.expires_at is None else one.expires_at + BREAKS_AFTER,
    )
    ledger: dict[str, Any] = {"entries": [posted], "granted": [made]}
    if repaid:
        ledger["debt"] = [[str(books.credit), -repaid]]
    return ledger


def _has_amount(one: Redeemed, currency: str) -> bool:
    return one.terms.amounts is None or currency in one.terms.amounts


def _debt(cur: Cursor, locked: LockedOrganization) -> int:
    account = account_ids(cur, organization=locked.id, currency=locked.currency).get("customer_credit")
    if account is None:
        return 0
    row = cur.execute("SELECT debt FROM accounts WHERE id = %s", (account,)).fetchone()
    return int(row[0]) if row else 0
