"""A contract's fees: they fall due, end, are credited, and change with a version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from typing import Any

from billing.rules.amounts import amount_of
from billing.rules.charges.explaining import step_json
from billing.rules.charges.formula import step
from billing.rules.contracts.row import FeeState
from billing.rules.contracts.terms import ContractFee, ContractTerms
from billing.rules.contracts.windows import days_used_until
from billing.rules.contracts.work import Work, label
from billing.rules.items import NewItem
from billing.rules.rounding import round_to_document
from common.localtime import local_time
from common.money import UNITS_PER_MAJOR


def bill_fees(work: Work, timing: str) -> None:
    """Owe every fee in advance or in arrears that is due now."""
    for key in sorted(work.row.fees):
        fee = work.row.terms.fee(key)
        if fee is not None and fee.timing == timing and work.row.fee_due(key) == work.at:
            _bill_fee(work, fee)
            work.passed.append("fee_charged")


def _bill_fee(work: Work, fee: ContractFee) -> None:
    state, ends_at = work.row.fees[fee.key], work.row.ends_at
    period = work.row.fee_cycle(fee.key).period_at(state.since)
    end = min(period.end, ends_at)
    amount, item = fee_item(work, fee, state.since, end, work.at)
    _count_fee(work, state.since, amount)
    _put_fee(work, fee.key, FeeState(end, state.since, amount, None if item is None else item.id))


def fee_item(
    work: Work, fee: ContractFee, start: datetime, end: datetime, at: datetime
) -> tuple[int, NewItem | None]:
    """Owe a fee for [start, end): by days of its whole period."""
    zone = work.row.zone
    period = work.row.fee_cycle(fee.key).period_at(start)
    days = (days_used_until(end, zone) - local_time(start, zone=zone).date()).days
    whole = (
        local_time(period.whole_end, zone=zone).date() - local_time(period.whole_start, zone=zone).date()
    ).days
    share = Fraction(days, whole)
    amount = round_to_document(fee.amount * share, currency=work.row.currency)
    if amount == 0:
        return 0, None
    item = work.owe(
        "recurring",
        f"{fee.name} {label(work, start, end)}",
        amount,
        charge_key=fee.key,
        due_at=at,
        service_start=start,
        service_end=end,
        discountable=fee.discountable,
        tax_code=fee.tax_code,
        recognition="straight",
        steps=_fee_steps(fee, days, whole),
    )
    return amount, item


def _fee_steps(fee: ContractFee, days: int, whole: int) -> Sequence[dict[str, Any]]:
    whole_amount = amount_of(fee.amount)
    if days == whole:
        return [step_json(step("fee", "{fee}", whole_amount, fee=whole_amount))]
    part = whole_amount * Fraction(days, whole)
    values = {"fee": whole_amount, "days": Fraction(days), "whole": Fraction(whole)}
    return [step_json(step("fee", "{fee} x {days} / {whole} days", part, **values))]


def _put_fee(work: Work, key: str, state: FeeState) -> None:
    work.change(fees={**work.row.fees, key: state})


def _count_fee(work: Work, since: datetime, amount: int) -> None:
    """A minimum counts a fee in the window that its period begins in."""
    for window in work.row.windows:
        if window.start <= since < window.end:
            work.put(replace(window, fees=window.fees + amount))


def end_fees(work: Work, *, credits: bool) -> None:
    """End all fees now: what is in arrears is owed up to now, and with `credits` the unused part of what was paid in
    advance comes back."""
    for key, state in sorted(work.row.fees.items()):
        fee = work.row.terms.fee(key)
        if fee is None:
            continue
        if fee.timing == "arrears" and state.since < work.at:
            amount, _ = fee_item(work, fee, state.since, work.at, work.at)
            _count_fee(work, state.since, amount)
        elif credits and state.start is not None and state.since > work.at:
            credit_fee(work, fee, state, work.at)
    work.change(fees={})


def credit_fee(work: Work, fee: ContractFee, state: FeeState, start: datetime) -> FeeState:
    """Credit what was paid in advance for the time from `start` on, by days; return what is left of the fee until then.
    What coupons took off was never paid, and what a credit note took back is not paid any more."""
    zone = work.row.zone
    assert state.start is not None
    unused = (local_time(state.since, zone=zone).date() - days_used_until(start, zone)).days
    whole = (local_time(state.since, zone=zone).date() - local_time(state.start, zone=zone).date()).days
    share = Fraction(max(unused, 0), whole)
    unused_part = _document(work, state.amount * share)
    _count_fee(work, state.start, -unused_part)
    kept = replace(state, since=start, amount=state.amount - unused_part)
    if state.item is None:
        return kept
    found = work.owed(state.item, state.amount)
    paid = Fraction(state.amount * found.net, found.amount)
    amount = min(_document(work, paid * share), found.left)
    values = {"paid": paid / UNITS_PER_MAJOR, "unused": Fraction(unused), "whole": Fraction(whole)}
    exact = -values["paid"] * share
    made = step("unused", "-{paid} x {unused} / {whole} days", exact, **values)
    work.credit(
        "proration_credit",
        f"{fee.name}, unused {label(work, start, state.since)}",
        state.item,
        amount,
        charge_key=fee.key,
        service_start=start,
        service_end=state.since,
        # It is of what was paid after coupons; on one invoice with its fee, they are taken off both.
        discountable=fee.discountable and found.due_at is not None,
        tax_code=fee.tax_code,
        recognition="straight",
        steps=[step_json(made)],
    )
    return kept


def _document(work: Work, units: int | Fraction) -> int:
    return round_to_document(units, currency=work.row.currency)


def amend_fees(work: Work) -> None:
    """Bring the fees to the version that holds from now on: what was paid in advance stays until its period ends."""
    states = dict(work.row.fees)
    for fee in work.row.terms.fees:
        state = states.get(fee.key)
        if state is None:
            states[fee.key] = FeeState(max(work.at, work.row.starts_at))
        elif state.since > work.row.ends_at and state.start is not None:
            states[fee.key] = credit_fee(work, fee, state, work.row.ends_at)
    names = {fee.key for fee in work.row.terms.fees}
    work.change(fees={key: state for key, state in states.items() if key in names})


def bill_changed_arrears(work: Work, new: ContractTerms) -> None:
    """Owe what is in arrears up to now of fees that another version changes or drops, at the price until now."""
    for key, state in sorted(work.row.fees.items()):
        fee = work.row.terms.fee(key)
        if fee is None or fee.timing != "arrears" or fee == new.fee(key) or state.since >= work.at:
            continue
        amount, _ = fee_item(work, fee, state.since, work.at, work.at)
        _count_fee(work, state.since, amount)
        _put_fee(work, key, FeeState(work.at))
