"""What was counted for a metered period, and in the earlier parts of its window that are priced alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from uuid import UUID

from billing.queries.metering import Quantity, aggregate
from billing.queries.meters import find_meter
from billing.queries.plans import find_version
from billing.queries.subscriptions import MeteredRow, find_metered_period, parts_of_window
from billing.rules.agreed import priced_charge, read_price
from billing.rules.cuts import Cut
from billing.rules.meteredlines import Counted, PeriodOfUse, Tally, shares_of
from billing.rules.meters import WEIGHTED_SUM, Meter
from billing.rules.plans import PlanCharge
from billing.rules.subscriptions.counting import is_same_price
from common.errors import NotFound
from events.store import Cursor


@dataclass(frozen=True, slots=True)
class Use:
    """A metered period as it is rated, with its row, and the earlier parts of its window, oldest first."""

    period: PeriodOfUse
    row: MeteredRow
    earlier: tuple[MeteredRow, ...]


def use_of(cur: Cursor, row: MeteredRow, currency: str) -> Use:
    """Return a metered period with the earlier parts of its window that count as one with it. Raises NotFound."""
    charge = charge_of(cur, row)
    parts = () if row.start_at == row.window_start else parts_of_window(cur, row)
    earlier = [one for one in counted_alike(cur, row, parts, currency) if one.start_at < row.start_at]
    shares = shares_of([(Fraction(one.share), Fraction(one.ahead)) for one in (*earlier, row)])
    period = PeriodOfUse(
        row.id,
        row.subscription,
        charge,
        row.plan_version,
        row.start_at,
        row.end_at,
        earlier=tuple(one.id for one in earlier),
        share=shares[-1],
        share_before=shares[-2] if earlier else shares[-1],
    )
    return Use(period, row, tuple(earlier))


def counted_alike(
    cur: Cursor, row: MeteredRow, parts: Sequence[MeteredRow], currency: str
) -> list[MeteredRow]:
    """Return those parts of a window whose charge prices the meter as a row's does, the row among them."""
    charge = charge_of(cur, row)
    return [one for one in parts if one.id == row.id or is_same_price(charge, charge_of(cur, one), currency)]


def counted_together(cur: Cursor, period: UUID, currency: str) -> list[UUID]:
    """Return a metered period and those before and after it whose count is the same: what any of them paid may come
    back. Raises NotFound."""
    row = find_metered_period(cur, period)
    return [each.id for each in counted_alike(cur, row, parts_of_window(cur, row), currency)]


def charge_of(cur: Cursor, row: MeteredRow) -> PlanCharge:
    """Return the charge of a metered period, with the price that it is rated at. Raises NotFound."""
    charge = find_version(cur, row.plan_version).terms.charge(row.charge_key)
    if charge is None:
        raise NotFound(f"The plan's version has no charge {row.charge_key}.")
    return charge if row.agreed is None else priced_charge(charge, read_price(json.loads(row.agreed)))


def tally_of(cur: Cursor, organization: UUID, use: Use, cut: Cut) -> Tally:
    """Return what a metered period adds at a cut to what was counted in the earlier parts of its window.

    Of a number that is no sum (max, latest, unique) that is how much more all of them give than the earlier ones; of a
    level, its average by the share of a period for which it held.
    """
    meter = find_meter(cur, use.row.meter)
    group_by = use.period.charge.group_by
    if meter.definition.aggregation == WEIGHTED_SUM:
        earlier = _merged([_level(cur, organization, meter, one, cut, group_by) for one in use.earlier])
        return Tally(tuple(_level(cur, organization, meter, use.row, cut, group_by)), tuple(earlier))
    own = _over(cur, organization, meter, [use.row], cut, group_by)
    if not use.earlier:
        return Tally(tuple(own))
    earlier = _over(cur, organization, meter, use.earlier, cut, group_by)
    if not meter.definition.is_additive:
        whole = _over(cur, organization, meter, [*use.earlier, use.row], cut, group_by)
        own = _added(own, whole, earlier)
    return Tally(tuple(own), tuple(earlier))


def _over(
    cur: Cursor,
    organization: UUID,
    meter: Meter,
    rows: Sequence[MeteredRow],
    cut: Cut,
    group_by: Sequence[str],
) -> list[Counted]:
    """What a meter says of parts that follow one another, as of one time with gaps."""
    gaps = [(one.end_at, other.start_at) for one, other in pairwise(rows) if one.end_at < other.start_at]
    start, end = rows[0].start_at, rows[-1].end_at
    found = aggregate(cur, organization, meter, start, end, cut, None, group_by, gaps=gaps)
    return [_counted(one) for one in found]


def _level(
    cur: Cursor, organization: UUID, meter: Meter, row: MeteredRow, cut: Cut, group_by: Sequence[str]
) -> list[Counted]:
    found = aggregate(cur, organization, meter, row.start_at, row.end_at, cut, None, group_by)
    return [_counted(one, Fraction(row.share)) for one in found]


def _counted(one: Quantity, share: Fraction = Fraction(1)) -> Counted:
    return Counted(one.group, one.quantity * share, one.records, one.digest.hex())


def _merged(parts: Sequence[Sequence[Counted]]) -> list[Counted]:
    """The quantities of parts together; what records they are of stands with each part."""
    found: dict[tuple[str | None, ...], Fraction] = {}
    for part in parts:
        for one in part:
            found[one.group] = found.get(one.group, Fraction(0)) + one.quantity
    return [Counted(group, quantity, 0, "") for group, quantity in found.items()]


def _added(own: Sequence[Counted], whole: Sequence[Counted], earlier: Sequence[Counted]) -> list[Counted]:
    """The records of a part, with how much more is known with them than without."""
    more = {one.group: one.quantity for one in whole}
    for one in earlier:
        more[one.group] = more.get(one.group, Fraction(0)) - one.quantity
    known = {one.group: one for one in own}
    found = [
        replace(known.get(group) or Counted(group, quantity, 0, ""), quantity=quantity)
        for group, quantity in more.items()
    ]
    return [one for one in found if one.quantity or one.records]
