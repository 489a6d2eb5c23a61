"""What comes back of fees that were billed in advance, and of which items.

What was unused of a fee is credited up to what was billed of it, less the worth of included credit that did not come
back. A credit names the item that it takes back, so one that is more than stands on the newest item has several parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from billing.rules.amounts import amount_of
from billing.rules.charges.explaining import step_json
from billing.rules.charges.formula import step
from billing.rules.items import NewItem
from billing.rules.proration import ARREARS, blocked_share, span_share, unused_share
from billing.rules.rounding import round_to_document
from billing.rules.subscriptions.allowances import closed
from billing.rules.subscriptions.couponing import fees_as_invoiced
from billing.rules.subscriptions.row import Fee
from billing.rules.subscriptions.steps import credit_steps
from billing.rules.subscriptions.work import NOTHING, Work, described, item_of, price_named


def credit_unused(
    work: Work,
    *,
    due_at: datetime,
    day_is_used: bool = False,
    keeps_credit: Mapping[str, int] | None = None,
    only: Iterable[str] | None = None,
) -> None:
    """Credit what is unused of fees billed in advance; they end.

    Unless the plan `keeps_credit` (worth by charge that stays out), its allowances are closed, and of what they are
    worth only that is credited which came back. A credit never exceeds what was billed (house rule 25).
    """
    names = None if only is None else frozenset(only)
    work.change(fees=fees_as_invoiced(work.row, work.known.invoiced, basis=work.basis))
    came_back = 0
    if keeps_credit is None:
        back = closed(work.row, work.at, basis=work.basis, free=work.known.free, day_is_used=day_is_used)
        work.change(allowances=back.allowances)
        work.clawbacks += back.clawbacks
        came_back = back.worth
    left = []
    for fee in work.row.fees:
        if fee.timing == ARREARS or (names is not None and fee.charge not in names):
            left.append(fee)
            continue
        stays = 0 if keeps_credit is None else keeps_credit.get(fee.charge, 0)
        back_here = min(came_back, fee.worth)
        came_back -= back_here
        _credit(work, fee, back_here, stays if keeps_credit is not None else None, due_at, day_is_used)
    work.change(fees=tuple(left))


def _credit(
    work: Work, fee: Fee, came_back: int, stays: int | None, due_at: datetime, day_is_used: bool
) -> None:
    row, period, billed = work.row, work.row.period, standing(work, fee)
    share = unused_share(period, work.at, basis=work.basis, day_counts_as_used=day_is_used)
    raw = min(round_to_document(fee.price * share, currency=row.currency), billed)
    if stays is not None:
        amount = min(raw, max(billed - stays, 0))
    else:
        whole = span_share(period, fee.start, period.end, basis=work.basis)
        bound = round_to_document(fee.worth * share / whole if whole else NOTHING, currency=row.currency)
        paid_for = fee.worth - came_back  # what stays of the credit stays paid, however sides were rounded
        amount = min(max(raw - bound, 0) + came_back, billed, max(fee.billed - paid_for, 0))
    if amount and work.at < period.end:
        steps = credit_steps(price_named(work, fee), fee, share, amount, currency=row.currency)
        _take_unused(work, fee, amount, steps, (work.at, period.end), due_at, worth=came_back)


def credit_blocked(work: Work, until: datetime) -> None:
    """Credit the days of the running period in which the subscription was paused until `until`, if the plan says so
    and the period was billed (house rule 26); what included credit is worth stays."""
    row = work.row
    if row.paused_at is None or row.period_start is None:
        return
    start = max(row.paused_at, row.period_start)
    work.change(blocks=(*row.blocks, (start, until)))
    if not work.terms.credit_blocked_time or row.paused_at < row.period_start:
        return
    period = row.period
    share = blocked_share(period, work.row.blocks) - blocked_share(period, row.blocks)
    work.change(fees=fees_as_invoiced(work.row, work.known.invoiced, basis=work.basis))
    for number, fee in enumerate(work.row.fees):
        amount = min(
            round_to_document(fee.price * share, currency=row.currency),
            max(standing(work, fee) - fee.worth, 0),
        )
        if fee.timing == ARREARS or not amount:
            continue
        steps = credit_steps(price_named(work, fee), fee, share, amount, currency=row.currency)
        fees = list(work.row.fees)
        fees[number] = _take_unused(work, fee, amount, steps, (start, until), work.at, worth=0)
        work.change(fees=tuple(fees))


def standing(work: Work, fee: Fee) -> int:
    """Return what stands on a fee's items and was not taken back by a credit note: nothing is credited twice. Units."""
    noted = sum(_noted(work, item) for item in fee.items)
    left = sum(max(billed - _noted(work, item), 0) for item, billed in _items(fee))
    return min(left, max(fee.billed - noted, 0))


def take_back(
    work: Work,
    fee: Fee,
    amount: int,
    *,
    description: str,
    steps: Sequence[Any],
    span: tuple[datetime, datetime],
    due_at: datetime,
    worth: int = 0,
) -> Fee:
    """Credit an amount that stands on a fee's items, the newest first, and return the fee with so much less billed.

    `worth`: of the amount, what comes back of included credit. Units; raises ValueError for more than stands.
    """
    price, parts, rest = price_named(work, fee), list(fee.parts), amount
    for number, (item, billed) in enumerate(_items(fee)):
        taken = min(rest, max(billed - _noted(work, item), 0))
        rest -= taken
        if not taken:
            continue
        if number < len(parts):
            place = len(parts) - 1 - number
            parts[place] = replace(parts[place], billed=billed - taken)
        told = [] if taken == amount else [_part_step(taken, amount)]
        credited = NewItem(
            kind="proration_credit",
            description=description,
            amount=-taken,
            due_at=due_at,
            quantity=fee.quantity,
            service_start=span[0],
            service_end=span[1],
            steps=[*steps, *told],
            credits=item,
            included=min(worth, taken),
            recognition=work.straight,
            **{**item_of(work, price), "discountable": False},
        )
        worth -= credited.included
        work.items.append(credited)
    if rest:
        raise ValueError("no more is credited than stands")
    return replace(fee, billed=fee.billed - amount, parts=tuple(parts))


def _take_unused(
    work: Work,
    fee: Fee,
    amount: int,
    steps: Sequence[Any],
    span: tuple[datetime, datetime],
    due_at: datetime,
    *,
    worth: int,
) -> Fee:
    name = f"Unused: {described(price_named(work, fee), fee.quantity)}"
    return take_back(work, fee, amount, description=name, steps=steps, span=span, due_at=due_at, worth=worth)


def _items(fee: Fee) -> list[tuple[UUID | None, int]]:
    """A fee's items with what stands on each, the newest first; the one that it began with is the last."""
    later = [(part.item, part.billed) for part in reversed(fee.parts)]
    return [*later, (fee.item, fee.billed - sum(billed for _, billed in later))]


def _noted(work: Work, item: UUID | None) -> int:
    return 0 if item is None else work.known.noted.get(item, 0)


def _part_step(taken: int, amount: int) -> dict[str, Any]:
    words = "of {amount} the part that this line takes back of one item"
    return step_json(step("part", words, -amount_of(taken), amount=-amount_of(amount)))
