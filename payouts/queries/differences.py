"""How far differences of tiers are collected: as what their partner earned by these terms in that month is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Final
from uuid import UUID

from events.store import Cursor
from payouts.rules.collecting import ADJUSTMENT, Fraction, Source, by_payers
from payouts.rules.owing import Debt
from spend.rules.splits import DEBT, LINE

_EARNED: Final = """
SELECT partner::text, rule, to_char(day, 'YYYY-MM'), payer, sum(share)::bigint FROM earning_buckets
WHERE organization = %(organization)s AND rule = ANY(%(rules)s) AND payer <> 'adjustment'
    AND day >= (%(first)s::text || '-01')::date AND to_char(day, 'YYYY-MM') = ANY(%(months)s)
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
# Which invoices bill use of which months (UTC). Some hours of another month are a time zone's.
_BILLING: Final = """
SELECT m.month, i.id::text FROM unnest(%s::text[]) AS m(month) CROSS JOIN LATERAL (
    SELECT (m.month || '-01')::timestamp AT TIME ZONE 'UTC' AS begins,
        ((m.month || '-01')::timestamp + interval '1 month') AT TIME ZONE 'UTC' AS ends) t
JOIN invoices i ON i.organization = %s AND i.number IS NOT NULL AND i.status <> 'void'
    AND least(i.period_end, t.ends) - greatest(i.period_start, t.begins)
        > least(interval '1 day', (i.period_end - i.period_start) / 2)
ORDER BY 1, 2
"""


def differences_of(
    cur: Cursor,
    organization: UUID,
    sources: Sequence[Source],
    fractions: Mapping[str, Fraction],
    debts: Iterable[Debt],
) -> dict[str, Fraction]:
    """Return how far the differences among a caller's sources are collected, by `payer`. `fractions` are those of its
    other sources, `debts` what its calls owed."""
    differences = [source for source in sources if source.name.startswith(ADJUSTMENT)]
    if not differences:
        return {}
    shares = {(source.partner, source.name): source.share for source in sources}
    earned = _earned(cur, organization, differences)
    of_month = _of_months(cur, organization, {_month_of(source.name) for source in differences}, debts)

    def held(source: Source, payer: str) -> list[tuple[int, Fraction]]:
        month = _month_of(source.name)
        names = of_month.get((month, payer), [])
        if payer not in (LINE, DEBT):
            names = [f"grant:{payer}", *(f"{name}:{payer}" for name in of_month.get((month, LINE), []))]
        known = [name for name in names if name in fractions and (source.partner, name) in shares]
        return [(shares[source.partner, name], fractions[name]) for name in known]

    found = {
        source.payer: by_payers(
            (share, held(source, payer)) for payer, share in earned.get((source.partner, source.name), ())
        )
        for source in differences
    }
    return {payer: fraction for payer, fraction in found.items() if fraction is not None}


def _earned(
    cur: Cursor, organization: UUID, differences: Iterable[Source]
) -> dict[tuple[str, str], list[tuple[str, int]]]:
    """What each payer earned a partner of what a difference is of, by partner and name of the difference."""
    names = {source.name for source in differences}
    months = sorted({_month_of(name) for name in names})
    rules = sorted({name.removeprefix(ADJUSTMENT).partition(":")[0] for name in names})
    given = {"organization": organization, "rules": rules, "months": months, "first": months[0]}
    found: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for partner, rule, month, payer, share in cur.execute(_EARNED, given).fetchall():
        found.setdefault((partner, f"{ADJUSTMENT}{rule}:{month}"), []).append((payer, share))
    return found


def _of_months(
    cur: Cursor, organization: UUID, months: Iterable[str], debts: Iterable[Debt]
) -> dict[tuple[str, str], list[str]]:
    """The sources that the line and debt of each month may have become, by month and payer."""
    found: dict[tuple[str, str], list[str]] = {}
    for month, invoice in cur.execute(_BILLING, (sorted(months), organization)).fetchall():
        found.setdefault((month, LINE), []).append(f"invoice:{invoice}")
    for debt in debts:
        found.setdefault((f"{debt.at.astimezone(UTC):%Y-%m}", DEBT), []).append(debt.name)
    return found


def _month_of(name: str) -> str:
    return name.rpartition(":")[2]
