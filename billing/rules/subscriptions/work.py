"""The steps that every decision is put together from: periods begin and end, and what they cost is billed.

A `Work` is one decision in the making: it holds the row as it is so far and collects what comes with it. Beside it are
`crediting`, for what comes back, and `moving`, for quantities with tiers that change within a period.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from billing.rules.agreed import Agreed, agreed_at, kept, priced
from billing.rules.amounts import exact_text
from billing.rules.items import NewItem
from billing.rules.periods import Period
from billing.rules.plans import PlanCharge, PlanTerms
from billing.rules.proration import ARREARS, blocked_share, span_share, unused_share, used_share
from billing.rules.rounding import round_to_document
from billing.rules.subscriptions.allowances import (
    Clawback,
    basis_for,
    granted_at,
    planned,
    still_running,
    without_ended,
)
from billing.rules.subscriptions.counting import parts_of
from billing.rules.subscriptions.couponing import (
    adopted,
    counted,
    cut_off,
    discounts,
    percentage_left,
)
from billing.rules.subscriptions.decision import Decision, Granted, MeteredPeriod, granted_now, metered_period
from billing.rules.subscriptions.fees import Price, charges_of, prices_of
from billing.rules.subscriptions.held import cost_of, course_of, is_tiered
from billing.rules.subscriptions.known import Known as Known
from billing.rules.subscriptions.known import going_on
from billing.rules.subscriptions.row import Fee, Move, Selection, Subscription
from billing.rules.subscriptions.steps import fee_steps
from common.localtime import local_time

NOTHING: Final = Fraction(0)
WHOLE: Final = Fraction(1)


@dataclass(slots=True)
class Work:
    """One decision in the making, at the instant `at`."""

    row: Subscription
    known: Known
    at: datetime
    items: list[NewItem] = field(default_factory=list)
    metered: list[MeteredPeriod] = field(default_factory=list)
    grants: list[Granted] = field(default_factory=list)
    clawbacks: list[Clawback] = field(default_factory=list)

    def __post_init__(self) -> None:
        """What was agreed on meanwhile for the running period's beginning holds for what is billed from now on. A count
        that began before a change goes on at its price: of free units and tiers a period has those of one price."""
        held = self.row.agreed
        if held is not None:
            fresh = self._agreed(self.row.selection, held.at)
            self.change(agreed=kept(fresh, held, going_on(self.row, self.known)))

    @property
    def terms(self) -> PlanTerms:
        """Return the terms of the plan that holds, with the prices that a contract agreed on."""
        return priced(self.known.terms, self.row.agreed)

    def agree(self, at: datetime) -> None:
        """Let the prices hold from here on that were agreed on for a moment."""
        self.change(agreed=self._agreed(self.row.selection, at))

    def terms_of(self, target: Selection, terms: PlanTerms) -> PlanTerms:
        """Return the terms of what is to be subscribed to from now on, with the prices that it will have: those of the
        running period if the plan's version stays."""
        if target.version == self.row.selection.version:
            return priced(terms, self.row.agreed)
        return priced(terms, self._agreed(target, self.at))

    def _agreed(self, target: Selection, at: datetime) -> Agreed:
        return agreed_at(self.known.agreed, target.plan, at, by=self.at)

    @property
    def basis(self) -> str:
        """Return how the plan prorates in the running interval."""
        return basis_for(self.row.interval, self.terms.proration)

    @property
    def straight(self) -> str:
        """Return how its fees are revenue over their service, as items say it."""
        method = self.terms.recognition
        return "straight" if method == "per_second" else method

    def change(self, **values: Any) -> None:
        """Set fields of the row."""
        self.row = replace(self.row, **values)

    def decided(self, verb: str, **said: Any) -> Decision:
        """Return the decision; the row has its next version."""
        self.change(version=self.row.version + 1)
        return Decision(self.row, verb, self.at, self.items, self.metered, self.grants, self.clawbacks, said)


def begin_period(work: Work, period: Period, *, is_billed: bool = True) -> None:
    """Begin a period: its fees in advance are billed, its credit is planned, its metered periods begin.

    Without `is_billed` (a pause) it costs and brings nothing.
    """
    work.change(
        period_start=period.start,
        period_end=period.end,
        fees=(),
        blocks=(),
        allowances=without_ended(work.row.allowances, period.start),
    )
    work.agree(period.start)
    begin_metered(work, period.start)
    if is_billed:
        work.change(coupons=cut_off(adopted(work.row.coupons, work.known.coupons), period.start))
        _bill_period(work, period)
        work.change(coupons=counted(work.row.coupons, start=period.start, end=period.end))
        grant_due(work)


def _bill_period(work: Work, period: Period) -> None:
    row = work.row
    share = span_share(period, period.start, period.end, basis=work.basis)
    prices = prices_of(work.terms, row.selection, currency=row.currency)
    amounts = [round_to_document(price.units * share, currency=row.currency) for price in prices]
    off = _discounts(work, prices, amounts, period.start)
    fees = [
        _fee(work, price, amount, taken, share, period.start)
        for price, amount, taken in zip(prices, amounts, off, strict=True)
    ]
    fees = _plan_allowances(work, fees, period.start, period.end)
    made = [
        _with_item(work, fee, price, amount, share, (period.start, period.end), due_at=work.at)
        for fee, price, amount in zip(fees, prices, amounts, strict=True)
    ]
    set_up(work)
    work.change(fees=tuple(made))


def bill_rest(
    work: Work, *, due_at: datetime, only: Iterable[str] | None = None, worth: Mapping[str, int] | None = None
) -> None:
    """Bill what is left of the running period for charges that begin now: all, or those named. `worth`: of included
    credit that these fees go on to pay for; without it the plan's credit for the rest of the period is planned."""
    row, period = work.row, work.row.period
    share = unused_share(period, work.at, basis=work.basis)
    names = None if only is None else frozenset(only)
    every = prices_of(work.terms, row.selection, currency=row.currency)
    prices = [price for price in every if names is None or price.charge.key in names]
    net = [replace(price, units=price.units * left_of(work, price.charge)) for price in prices]
    amounts = [round_to_document(price.units * share, currency=row.currency) for price in net]
    fees = [
        _fee(work, price, amount, 0, share, work.at, left=left_of(work, price.charge))
        for price, amount in zip(net, amounts, strict=True)
    ]
    span = (work.at, period.end)
    if worth is None:
        fees = _plan_allowances(work, fees, *span)
    else:
        fees = [replace(fee, worth=worth.get(fee.charge, 0)) for fee in fees]
    made = [
        _with_item(work, fee, price, amount, share, span, due_at=due_at, prorated=True, told=worth is None)
        for fee, price, amount in zip(fees, net, amounts, strict=True)
    ]
    set_up(work)
    work.change(fees=(*work.row.fees, *made))
    grant_due(work)


def set_up(work: Work) -> None:
    """Bill the one-time charges that this subscription was not billed yet."""
    row = work.row
    for price in prices_of(work.terms, row.selection, currency=row.currency, kinds=("one_time",)):
        name = f"{row.selection.plan}:{price.charge.key}"
        if name in work.row.set_up:
            continue
        work.change(set_up=(*work.row.set_up, name))
        amount = round_to_document(price.units, currency=row.currency)
        if amount:
            work.items.append(
                NewItem(
                    kind="one_time",
                    description=price.charge.name,
                    amount=amount,
                    due_at=work.at,
                    steps=price.steps,
                    **item_of(work, price),
                )
            )


def bill_arrears(work: Work, *, day_is_used: bool = False, only: Iterable[str] | None = None) -> None:
    """Bill what was used, up to now, of fees in arrears, less blocked days where the plan credits these; they end."""
    names = None if only is None else frozenset(only)
    prices = prices_of(work.terms, work.row.selection, currency=work.row.currency)
    held = {price.charge.key: price for price in prices}
    left = []
    for fee in work.row.fees:
        if fee.timing != ARREARS or (names is not None and fee.charge not in names):
            left.append(fee)
            continue
        _bill_used(work, fee, held.get(fee.charge) or price_named(work, fee), day_is_used)
    work.change(fees=tuple(left))


def _bill_used(work: Work, fee: Fee, price: Price, day_is_used: bool) -> None:
    period = work.row.period
    since = fee.moves[0].at if fee.moves else fee.start
    at = min(work.at, period.end)
    amount, steps, blocked = _used(work, fee, price, at, day_is_used)
    if amount and since < at:
        whole = at == period.end and since == period.start and not blocked
        work.items.append(
            NewItem(
                kind=price.charge.kind if whole else "proration_charge",
                description=described(price, fee.quantity),
                amount=amount,
                due_at=work.at,
                quantity=fee.quantity,
                service_start=since,
                service_end=at,
                steps=steps,
                recognition=work.straight,
                **item_of(work, price),
            )
        )


def _used(
    work: Work, fee: Fee, price: Price, at: datetime, day_is_used: bool
) -> tuple[int, Sequence[Any], Fraction]:
    """What was used of a fee until `at` comes to, how, and what share of the period of it was blocked. A quantity with
    tiers that changed costs what its whole course does."""
    row, period, basis = work.row, work.row.period, work.basis
    held = replace(period, start=fee.start, start_date=local_time(fee.start, zone=row.zone).date())
    whole = span_share(period, fee.start, period.end, basis=basis)
    share = whole if at == period.end else used_share(held, at, basis=basis, day_counts_as_used=day_is_used)
    blocks = row.blocks if work.terms.credit_blocked_time else ()
    blocked = blocked_share(held, blocks)
    if len(fee.moves) > 1:
        course = course_of(fee, period, basis=basis, unused=whole - share, blocks=blocks)
        cost = cost_of(price.charge, course, currency=row.currency)
        return round_to_document(cost.units, currency=row.currency), cost.steps, blocked
    share = max(share - blocked, NOTHING)
    amount = round_to_document(price.units * share, currency=row.currency)
    return amount, fee_steps(price, price.units, share, amount), blocked


def begin_metered(work: Work, at: datetime) -> None:
    """Begin the metered periods of every metered charge that has none."""
    charges = charges_of(work.terms, work.row.selection)
    running = {charge.key: work.row.metered.get(charge.key, at) for charge in charges if charge.meter}
    work.change(metered=running)


def end_metered(work: Work, *, keep: Iterable[str] = (), left: Iterable[str] = ()) -> None:
    """End the metered periods, but for the charges to keep: their use up to now is to be rated. Of those that are
    `left` the rest of the period is given back, and its free units are not theirs."""
    kept = {}
    for key, since in work.row.metered.items():
        charge = work.terms.charge(key)
        if key in keep:
            kept[key] = since
        elif charge is not None and charge.meter and since < work.at:
            work.metered += _metered_parts(work, key, charge.meter, since, is_left=key in left)
    work.change(metered=kept)


def _metered_parts(
    work: Work, key: str, meter: str, since: datetime, *, is_left: bool
) -> list[MeteredPeriod]:
    parts = parts_of(meter, work.row.period, since, work.at, work.known.windows)
    agreed = None if work.row.agreed is None else work.row.agreed.charges.get(key)
    version = work.row.selection.version
    return [metered_period(key, version, one, is_left=is_left, agreed=agreed) for one in parts]


def grant_due(work: Work) -> None:
    """Grant the planned credit whose time has come, less what other subscriptions give away for that time."""
    allowances, granted = granted_at(work.row.allowances, work.at, others=work.known.running)
    work.grants += [granted_now(one) for one in granted]
    work.change(allowances=allowances)


def _plan_allowances(work: Work, fees: list[Fee], start: datetime, end: datetime) -> list[Fee]:
    """Plan the credit that these fees bring, and note in each how much of it is worth out of it."""
    running = still_running(work.row.allowances, start)
    paid = sum(fee.billed for fee in fees)
    new = planned(work.row, work.terms, start=start, end=end, paid=paid, running=running)
    work.change(allowances=(*work.row.allowances, *new))
    rest, found = sum(one.deferred for one in new), []
    for fee in fees:
        worth = min(rest, max(fee.billed, 0))
        rest -= worth
        found.append(replace(fee, worth=worth))
    return found


def _fee(
    work: Work,
    price: Price,
    amount: int,
    discount: int,
    share: Fraction,
    start: datetime,
    *,
    left: Fraction = WHOLE,
) -> Fee:
    """A fee of which `amount` is billed for a share of the period, less its discount; in arrears nothing is yet.
    `left`: the share that percentages left of the amount already."""
    is_advance = price.charge.timing != ARREARS
    per_period = price.units - (Fraction(discount) / share if discount and share else 0)
    fee = Fee(
        charge=price.charge.key,
        timing=price.charge.timing,
        price=per_period if is_advance else price.units,
        quantity=price.quantity,
        start=start,
        billed=amount - discount if is_advance else 0,
        discount=discount if is_advance else 0,
    )
    if price.quantity is None or not is_tiered(price.charge, work.row.currency):
        return fee
    return replace(fee, moves=(Move(start, price.quantity),), source=price.charge.source, left=left)


def _discounts(work: Work, prices: Sequence[Price], amounts: Sequence[int], start: datetime) -> list[int]:
    """What coupons will take off the fees in advance; nothing off those in arrears, whose invoice comes later."""
    taken = [
        number
        for number, price in enumerate(prices)
        if price.charge.discountable and price.charge.timing != ARREARS and amounts[number] > 0
    ]
    off = discounts(
        [(prices[number].charge.key, amounts[number]) for number in taken],
        work.row.coupons,
        start=start,
        currency=work.row.currency,
    )
    found = dict(zip(taken, off, strict=True))
    return [found.get(number, 0) for number in range(len(prices))]


def left_of(work: Work, charge: PlanCharge) -> Fraction:
    """Return what share of a charge billed from now on percentages leave; in arrears its invoice takes them off."""
    if not charge.discountable or charge.timing == ARREARS:
        return WHOLE
    return percentage_left(charge.key, work.row.coupons, start=work.at, currency=work.row.currency)


def _with_item(
    work: Work,
    fee: Fee,
    price: Price,
    amount: int,
    share: Fraction,
    span: tuple[datetime, datetime],
    *,
    due_at: datetime,
    prorated: bool = False,
    told: bool = True,
) -> Fee:
    """The fee with its item, which is made unless nothing is billed in advance."""
    if fee.timing == ARREARS or not amount or span[0] >= span[1]:
        return fee
    item = NewItem(
        kind="proration_charge" if prorated else price.charge.kind,
        description=described(price, fee.quantity),
        amount=amount,
        due_at=due_at,
        quantity=fee.quantity,
        service_start=span[0],
        service_end=span[1],
        steps=fee_steps(price, price.units, share, amount),
        included=fee.worth if told else 0,
        recognition=work.straight,
        **{**item_of(work, price), "discountable": price.charge.discountable and not prorated},
    )
    work.items.append(item)
    return replace(fee, item=item.id)


def item_of(work: Work, price: Price) -> dict[str, Any]:
    """Return what every item of a charge has."""
    row = work.row
    return {
        "currency": row.currency,
        "subscription": row.id,
        "charge_key": price.charge.key,
        "plan_version": row.selection.version,
        "discountable": price.charge.discountable,
        "tax_code": price.charge.tax_code,
    }


def described(price: Price, quantity: Fraction | None) -> str:
    """Return what an item of a charge is called."""
    return price.charge.name if quantity is None else f"{price.charge.name} x {exact_text(quantity)}"


def price_named(work: Work, fee: Fee) -> Price:
    """Return the charge of a fee, which may have gone from what is subscribed to, at the fee's price."""
    charge = work.terms.charge(fee.charge)
    assert charge is not None  # a fee is one of the plan that is still in work.terms
    return Price(charge, fee.price, fee.quantity, ())
