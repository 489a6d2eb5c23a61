"""Rating metered periods for an invoice, and charging what they come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from billing.queries.contractbounds import money_bound
from billing.queries.invoices import LineRow
from billing.queries.metering import earliest_news, late_span
from billing.queries.meters import find_meter
from billing.queries.plans import find_version
from billing.queries.ratedlines import (
    BilledPeriod,
    billed_periods,
    lines_left_behind,
    lines_of_periods,
    treatment_of_charges,
)
from billing.queries.subscriptions import (
    MeteredRow,
    has_metered_periods,
    open_metered_periods,
)
from billing.queries.tallying import counted_together, tally_of, use_of
from billing.rules.assembling import Owed
from billing.rules.cuts import Cut
from billing.rules.meteredlines import RatedUse, metered_key, metered_line, rate, with_credit_back
from billing.rules.meters import WEIGHTED_SUM
from billing.rules.takingback import BilledUse, TakenBack, read_back, take_back
from events.store import Cursor
from ledger.operations.returning import give_back_gifts, is_unsettled
from ledger.queries.balances import find_grants
from orgs.operations.facts import Author
from spend.operations.charging import charge_quantity, receipt_of
from spend.rules.charging import MeteredCharge

SOURCE: Final = "billing"
GIVEN: Final = frozenset({"included", "promotional"})
"""Kinds of grants that nobody bought as such: their use becomes no money."""
LOOKED_BACK: Final = timedelta(days=100)
"""So long after its end a period is looked at for what the gate recorded late; for events as far back as they tell."""

_AS_BILLED: Final[Mapping[str, int]] = MappingProxyType({})


def rate_metered(
    cur: Cursor, *, organization: UUID, currency: str, cut: Cut, last: Cut | None
) -> list[RatedUse]:
    """Return what is to be billed of metered charges at a cut: each period that ended and is on no invoice, and of
    periods that were billed what is known otherwise now, however long ago they ended. Without any lock: what a cut
    holds never changes. `last` is the customer's last cut.

    Raises NotFound, NotPriced and PeriodRetired.
    """
    if not has_metered_periods(cur, organization=organization):
        return []
    rows = open_metered_periods(cur, organization=organization, until=cut.until)
    found = [_first(cur, organization, row, currency, cut) for row in rows]
    since = cut.until - LOOKED_BACK
    news = earliest_news(cur, organization, cut, last)
    for billed in billed_periods(cur, organization, since=since if news is None else min(since, news)):
        again = _late(cur, organization, billed, currency, cut)
        if again is not None:
            found.append(again)
    return found


def billed_again(cur: Cursor, organization: UUID) -> list[Owed]:
    """This function will return the lines that void invoices left behind as what is owed once more."""
    return [one for line in lines_left_behind(cur, organization) for one in _owed_again(cur, line)]


def waiting_for(
    cur: Cursor, rated: Sequence[RatedUse], again: Sequence[Owed], currency: str
) -> list[RatedUse]:
    """This function will return what of rated use takes back what a line bills `again`: it comes back as that costs
    now, which is known when the coupons of the invoice are. Raises NotFound."""
    periods = (
        {UUID(line.detail["period"]) for line in again} if any(one.amount < 0 for one in rated) else set()
    )
    behind = {other for period in periods for other in counted_together(cur, period, currency)}
    return [one for one in rated if one.amount < 0 and one.period.id in behind]


def charge_metered(
    cur: Cursor,
    *,
    organization: UUID,
    currency: str,
    rated: Iterable[RatedUse],
    author: Author,
    nets: Mapping[str, int] = _AS_BILLED,
) -> list[Owed]:
    """This function will charge rated use by the waterfall and return its lines. A period that another run billed
    meanwhile is left out. The caller holds the lock. `nets`: what lines that are billed again have to pay, in units by
    their key.

    Each is charged once for ever under its own id. Raises what `charge_quantity` raises.
    """
    lines: list[Owed] = []
    wanted = list(rated)
    rows = {row.id for row in open_metered_periods(cur, organization=organization)} if wanted else set()
    for one in wanted:
        if one.late or one.period.id in rows:
            lines += _charged(cur, organization, currency, one, author, nets)
    return lines


def _owed_again(cur: Cursor, line: LineRow) -> list[Owed]:
    """A stored line as what is owed once more: it was charged when it was first billed."""
    assert line.plan_version is not None and line.charge_key is not None  # a metered line has both
    charge = find_version(cur, line.plan_version).terms.charge(line.charge_key)
    owed = Owed(
        key=metered_key(line.detail["charge_id"]),
        kind=line.kind,
        description=line.description,
        exact=line.amount - line.remainder,
        account=line.account,
        quantity=line.quantity,
        charge=line.charge,
        funded=line.funded,
        discountable=charge is None or charge.discountable,
        tax_code=line.tax_code,
        service_start=line.service_start,
        service_end=line.service_end,
        subscription=line.subscription,
        charge_key=line.charge_key,
        plan_version=line.plan_version,
        treatment=treatment_of_charges(cur, line.organization, line.detail.get("taxed_as", ())),
        detail=line.detail,
    )
    return with_credit_back(owed)


def _first(cur: Cursor, organization: UUID, row: MeteredRow, currency: str, cut: Cut) -> RatedUse:
    found = use_of(cur, row, currency)
    return rate(found.period, tally_of(cur, organization, found, cut), currency=currency, cut=cut.written())


def _late(cur: Cursor, organization: UUID, billed: BilledPeriod, currency: str, cut: Cut) -> RatedUse | None:
    if not _is_touched(cur, organization, billed, cut):
        return None
    found = use_of(cur, billed.row, currency)
    tally = tally_of(cur, organization, found, cut)
    if tally.quantities == billed.tally.quantities:
        return None
    return rate(
        found.period,
        tally,
        currency=currency,
        cut=cut.written(),
        before=billed.tally,
        number=billed.lines,
    )


def _is_touched(cur: Cursor, organization: UUID, billed: BilledPeriod, cut: Cut) -> bool:
    """Whether anything became known since that may concern the period or its window before: a level holds on into
    later ones."""
    meter = find_meter(cur, billed.row.meter)
    span = late_span(cur, organization, meter, cut, billed.cut)
    if span is None or span[0] >= billed.row.end_at:
        return False
    return span[1] >= billed.row.window_start or meter.definition.aggregation == WEIGHTED_SUM


def _charged(
    cur: Cursor,
    organization: UUID,
    currency: str,
    one: RatedUse,
    author: Author,
    nets: Mapping[str, int],
) -> list[Owed]:
    if one.amount < 0:
        back = _taken_back(cur, organization, currency, one, author, nets)
        treatment = treatment_of_charges(cur, organization, back.charges)
        return with_credit_back(metered_line(one, {}, back, treatment))
    if one.amount == 0:
        return [metered_line(one, {})]
    charge = MeteredCharge(
        source=SOURCE,
        id=one.charge_id,
        amount=one.amount,
        currency=currency,
        meter=one.period.charge.meter or one.period.charge.key,
        charge_key=one.period.charge.key,
        start=one.period.start,
        end=one.period.end,
        quantity=str(one.quantity),
        detail={"period": str(one.period.id)},
    )
    charged = charge_quantity(cur, organization=organization, charge=charge, author=author)
    paid: dict[str, int] = {}
    for part in charged.receipt:
        paid[part.source] = paid.get(part.source, 0) + part.amount
    return [metered_line(one, paid)]


def _taken_back(
    cur: Cursor,
    organization: UUID,
    currency: str,
    one: RatedUse,
    author: Author,
    nets: Mapping[str, int],
) -> TakenBack:
    """What comes back of a period that was billed too high; what was given away, or drawn from a
    commitment that is not settled, goes back to its grants here."""
    billed = []
    lines = lines_of_periods(cur, organization, counted_together(cur, one.period.id, currency))
    for line in lines:
        receipt = receipt_of(cur, organization=organization, source=SOURCE, charge=line.charge)
        back, kept = read_back(line.detail)
        paid = [(part.source, part.grant, part.amount) for part in receipt]
        net = max(nets.get(metered_key(line.charge), line.net), 0)
        billed.append(BilledUse(paid, net, back, line.back + kept))
    names = {grant for use in billed for _, grant, _ in use.paid if grant is not None}
    rows = [row.grant for row in find_grants(cur, organization=organization, grants=sorted(names))]
    given = {grant.id for grant in rows if grant.kind in GIVEN or is_unsettled(grant)}
    bound = money_bound(cur, organization=organization, end=one.period.end)
    found = take_back(-one.amount, billed, given=given, currency=currency, bound=bound)
    give_back_gifts(cur, organization=organization, gifts=found.gifts, charge=one.charge_id, author=author)
    return replace(found, charges=[line.charge for line in lines if line.net > 0])
