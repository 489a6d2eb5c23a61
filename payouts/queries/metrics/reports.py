"""Revenue metrics as rows of texts and numbers: what answers, CSV files and the staff's page show alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from billing.rules.months import month_text
from common.money import format_amount, round_half_up
from events.store import Cursor
from payouts.queries.metrics.asked import Asked
from payouts.queries.metrics.earned import earned_by_customer, earned_by_month
from payouts.queries.metrics.recurring import Standing, moved_until, standing_at
from payouts.queries.metrics.used import RunRate, Used, run_rates, used_by
from payouts.rules.metrics.cohorts import CohortMonth, cohorts_of
from payouts.rules.metrics.concentration import Concentration, concentration_of
from payouts.rules.metrics.figures import (
    Kept,
    LifetimeValue,
    Month,
    arpa,
    balances_of,
    kept_over,
    lifetime_value,
    months_of,
)
from payouts.rules.metrics.movements import CHURN, KINDS, NEW, REACTIVATION
from payouts.rules.metrics.normalising import annual, share, share_text
from payouts.rules.metrics.revenue import Earned

Row = dict[str, Any]
TOTAL: Final = "total"
NOT_A_MONTH: Final = "not_a_month"
"""Why a whole span has no lifetime value."""
BASES: Final = ("mrr", "revenue")
_DAYS: Final = "%Y-%m-%d"


def mrr_rows(cur: Cursor, asked: Asked) -> list[Row]:
    """What recurs at the moment that is asked for, by currency, and the run-rate of use beside it."""
    standing = {one.currency: one for one in standing_at(cur, asked)}
    rates = {one.currency: one for one in run_rates(cur, asked)}
    return [
        _standing(standing.get(name) or Standing(name, 0, 0, 0, 0, 0, 0, 0), rates.get(name))
        for name in sorted({*standing, *rates})
    ]


def movement_rows(cur: Cursor, asked: Asked) -> list[Row]:
    """The movements of each month, from its start to its end."""
    return [_movements(month) for month in _months(cur, asked)]


def retention_rows(cur: Cursor, asked: Asked) -> list[Row]:
    """Retention and churn of each month, and of the whole span for each currency."""
    moved = moved_until(cur, asked)
    totals = kept_over(moved, first=asked.first, last=asked.last)
    rows = []
    for currency, months in months_of(moved, first=asked.first, last=asked.last).items():
        rows += [_retention(month) for month in months]
        rows.append(_kept(currency, TOTAL, totals[currency]))
    return rows


def cohort_rows(cur: Cursor, asked: Asked) -> list[Row]:
    """What is left of the customers of each month."""
    moved = moved_until(cur, asked)
    return [_cohort(one) for one in cohorts_of(moved, first=asked.first, last=asked.last)]


def revenue_rows(cur: Cursor, asked: Asked) -> list[Row]:
    """What was earned in each month."""
    found = earned_by_month(cur, asked)
    return [
        {"currency": currency, "month": month_text(month), **_earned(one)}
        for (currency, month), one in sorted(found.items())
    ]


def margin_rows(cur: Cursor, asked: Asked, group: str) -> list[Row]:
    """Charge and cost of use, and what of it is the partners' and the platform's, by model, agent or customer."""
    return [
        {
            **_used(one),
            "cost": format_amount(one.cost),
            "margin": format_amount(one.margin),
            "margin_rate": share_text(one.margin_rate),
            "partner_share": format_amount(one.partner_share),
            "platform_margin": format_amount(one.platform_margin),
            "platform_margin_rate": share_text(one.platform_margin_rate),
        }
        for one in used_by(cur, asked, group)
    ]


def top_customer_rows(cur: Cursor, asked: Asked, limit: int) -> list[Row]:
    """The customers that brought most, by gross revenue."""
    found = [
        (currency, one.gross, str(owner), name, one)
        for (currency, owner, name), one in earned_by_customer(cur, asked).items()
        if one.gross > 0
    ]
    totals = _totals((currency, gross) for currency, gross, *_ in found)
    found.sort(key=lambda each: (each[0], -each[1], each[2]))
    return [
        {
            "currency": currency,
            "rank": rank,
            "organization": owner,
            "organization_name": name,
            "gross_revenue": format_amount(gross),
            "net_revenue": format_amount(one.net),
            "share": share_text(share(gross, totals[currency])),
        }
        for rank, (currency, gross, owner, name, one) in _ranked(found, limit=limit)
    ]


def top_agent_rows(cur: Cursor, asked: Asked, limit: int) -> list[Row]:
    """The agents that were charged most."""
    found = [(one.currency, one) for one in used_by(cur, asked, "agent") if one.agent and one.charge > 0]
    totals = _totals((currency, one.charge) for currency, one in found)
    return [
        {"rank": rank, **_used(one), "share": share_text(share(one.charge, totals[currency]))}
        for rank, (currency, one) in _ranked(found, limit=limit)
    ]


def concentration_rows(cur: Cursor, asked: Asked, *, basis: str, count: int) -> list[Row]:
    """How much of MRR, or of the revenue of the months, stands on few customers."""
    by_currency: dict[str, list[int]] = {}
    if basis == BASES[0]:
        whole = replace(asked, last=max(asked.last, asked.until.date().replace(day=1)))
        for currency, held in balances_of(moved_until(cur, whole)).items():
            by_currency[currency] = list(held.values())
    else:
        for (currency, _, _), one in earned_by_customer(cur, asked).items():
            by_currency.setdefault(currency, []).append(one.gross)
    return [
        _concentration(currency, basis, concentration_of(amounts, count=count))
        for currency, amounts in sorted(by_currency.items())
    ]


def run_rate_rows(cur: Cursor, asked: Asked) -> list[Row]:
    """What use of the last 28 days comes to a month and a year."""
    return [
        {
            "currency": one.currency,
            "from": one.start.strftime(_DAYS),
            "to": one.end.strftime(_DAYS),
            "charged": format_amount(one.charged),
            "monthly": format_amount(one.monthly),
            "annual": format_amount(one.annual),
        }
        for one in run_rates(cur, asked)
    ]


def _months(cur: Cursor, asked: Asked) -> Iterable[Month]:
    found = months_of(moved_until(cur, asked), first=asked.first, last=asked.last)
    return [month for months in found.values() for month in months]


def _standing(one: Standing, rate: RunRate | None) -> Row:
    per_customer = arpa(one.mrr, one.customers)
    return {
        "currency": one.currency,
        "mrr": format_amount(one.mrr),
        "arr": format_amount(annual(one.mrr)),
        "committed_mrr": format_amount(one.committed),
        "trial_mrr": format_amount(one.trial),
        "past_due_mrr": format_amount(one.past_due),
        "customers": one.customers,
        "arpa": _maybe(per_customer),
        "sources": one.sources,
        "trials": one.trials,
        "paused": one.paused,
        "usage_run_rate": format_amount(0 if rate is None else rate.monthly),
    }


def _movements(month: Month) -> Row:
    return {
        "currency": month.currency,
        "month": month_text(month.month),
        "start": format_amount(month.start),
        **{kind: format_amount(month.moved[kind]) for kind in KINDS},
        "end": format_amount(month.end),
        "arr": format_amount(annual(month.end)),
        "customers_start": month.customers_start,
        "customers_new": month.counts[NEW],
        "customers_reactivated": month.counts[REACTIVATION],
        "customers_churned": month.counts[CHURN],
        "customers_end": month.customers_end,
        "arpa": _maybe(month.arpa),
    }


def _retention(month: Month) -> Row:
    value = lifetime_value(month.arpa, month.kept.customer_churn)
    rates = (month.gross_churn, month.net_churn)
    return _kept(month.currency, month_text(month.month), month.kept, rates=rates, value=value)


def _kept(
    currency: str,
    period: str,
    kept: Kept,
    *,
    rates: tuple[Any, Any] = (None, None),
    value: LifetimeValue | None = None,
) -> Row:
    """Churn rates and lifetime value are those of a month; of a whole span only what was kept is said."""
    worth = value or LifetimeValue(None, NOT_A_MONTH)
    return {
        "currency": currency,
        "period": period,
        "start": format_amount(kept.start),
        "gross_retention": share_text(kept.gross_retention),
        "net_retention": share_text(kept.net_retention),
        "gross_churn": share_text(rates[0]),
        "net_churn": share_text(rates[1]),
        "customers_start": kept.customers,
        "customers_lost": kept.lost,
        "customer_churn": share_text(kept.customer_churn),
        "lifetime_value": _maybe(worth.units),
        "lifetime_value_reason": worth.reason,
    }


def _cohort(one: CohortMonth) -> Row:
    return {
        "currency": one.currency,
        "cohort": month_text(one.cohort),
        "age": one.age,
        "month": month_text(one.month),
        "size": one.size,
        "began_with": format_amount(one.began),
        "customers": one.customers,
        "mrr": format_amount(one.mrr),
        "customer_retention": share_text(one.customer_retention),
        "mrr_retention": share_text(one.mrr_retention),
    }


def _earned(one: Earned) -> Row:
    return {
        "gross_revenue": format_amount(one.gross),
        "partner_share": format_amount(one.partner_share),
        "clawed_back": format_amount(one.clawed_back),
        "promotions": format_amount(one.promotions),
        "net_revenue": format_amount(one.net),
        "platform_fee": format_amount(one.platform_fee),
        "take_rate": share_text(one.take_rate),
        "provider_cost": format_amount(one.provider_cost),
        "margin": format_amount(one.margin),
        "margin_rate": share_text(one.margin_rate),
    }


def _used(one: Used) -> Row:
    return {
        "currency": one.currency,
        "organization": None if one.organization is None else str(one.organization),
        "organization_name": one.organization_name,
        "agent": None if one.agent is None else str(one.agent),
        "key": one.key,
        "provider": one.provider,
        "calls": one.calls,
        "charge": format_amount(one.charge),
    }


def _concentration(currency: str, basis: str, found: Concentration) -> Row:
    hhi = None
    if found.hhi is not None:
        hhi = round_half_up(found.hhi.numerator, found.hhi.denominator)
    return {
        "currency": currency,
        "basis": basis,
        "customers": found.customers,
        "total": format_amount(found.total),
        "top": min(found.count, found.customers),
        "top_amount": format_amount(found.top),
        "top_share": share_text(found.top_share),
        "hhi": hhi,
    }


def _ranked(rows: list[Any], *, limit: int) -> Iterable[tuple[int, Any]]:
    """The first rows of each currency with their rank; they come by currency."""
    ranks: dict[str, int] = {}
    for row in rows:
        ranks[row[0]] = ranks.get(row[0], 0) + 1
        if ranks[row[0]] <= limit:
            yield ranks[row[0]], row


def _totals(rows: Iterable[tuple[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for currency, amount in rows:
        sums[currency] = sums.get(currency, 0) + amount
    return sums


def _maybe(units: int | None) -> str | None:
    return None if units is None else format_amount(units)
