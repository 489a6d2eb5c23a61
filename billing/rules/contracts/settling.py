"""Settling a window once it is over: overage, true-up, what rolls over and what lapses (house rules 7, 27, 28).

For one window the customer pays max(committed, used at contract prices): what was drawn, what exceeded it on the
postpaid line (each on invoices as it is used) and the true-up; beyond the commitment the overage's surcharge. Of the
ledger's side: what lapses of an advance, and a true-up, are breakage; what is not paid goes back to deferred revenue.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from uuid import UUID

from billing.rules.amounts import amount_of
from billing.rules.charges.explaining import step_json
from billing.rules.charges.formula import Step, step, sum_step
from billing.rules.commitments import AT_LIST_PRICE, Charge, settle, true_up_units
from billing.rules.contracts.decision import NO_USE, WindowUse
from billing.rules.contracts.row import OPEN, ROLLED, SETTLED, SETTLES_AFTER, Window
from billing.rules.contracts.terms import Commitment
from billing.rules.contracts.windows import piece_steps
from billing.rules.contracts.work import Work, credit, label, service_of
from billing.rules.rounding import document_step, round_to_document
from billing.rules.takingback import COMMITMENT, Bound
from billing.rules.usagelines import POSTPAID
from common.money import UNITS_PER_MAJOR


def settle_due(work: Work) -> None:
    """Settle the windows that are due now: finally, or, where what is left rolls over, for the time being."""
    for window in [each for each in work.row.windows if each.settle_at == work.at]:
        use = work.known.use.get(window.id, NO_USE)
        if window.status == OPEN:
            window = replace(_charge_overage(work, window, use), line=use.line)
        else:  # what came since is charged without it, what was taken back since is not paid any more
            window = replace(window, line=min(window.line, use.line))
        if work.commitment.kind == "minimum":
            _lift(work, window, use)
        elif _goes_on(work, window):
            _roll_over(work, window, use)
        else:
            _settle_finally(work, window)
        work.passed.append("window_settled")


def _goes_on(work: Work, window: Window) -> bool:
    """Whether what a window has left can still be drawn."""
    return work.commitment.rollover and window.grants_end > window.end and work.at < window.grants_end


def _charge_overage(work: Work, window: Window, use: WindowUse) -> Window:
    """What exceeds the commitment stands on the line at its price; the item is what overage costs more, or less."""
    overage = work.commitment.overage
    if overage == AT_LIST_PRICE or not use.line:
        return window
    charges = [Charge(one.name, amount_of(one.amount), one.quantity) for one in use.exceeding if one.amount]
    found = settle(Fraction(0), charges, overage=overage, true_up=False)
    at_price = sum((charge.amount for charge in charges), Fraction(0))
    surcharge = _rounded(work, found.overage - at_price)
    if surcharge:
        steps = [one for drawn in found.charges for one in drawn.steps[1:]]
        steps.append(
            step("surcharge", "{overage} - {price} at contract prices", found.overage - at_price,
                 overage=found.overage, price=at_price)
        )  # fmt: skip
        work.owe(
            "overage",
            f"overage {label(work, window.start, window.end)}",
            surcharge,
            due_at=window.end,
            **service_of(window),
            recognition="at_once",
            steps=[step_json(one) for one in steps],
        )
    return replace(window, overage=surcharge)


def _lift(work: Work, window: Window, use: WindowUse) -> None:
    """A minimum: what fees and use of the window miss is owed (M1 to M6)."""
    billed = _document(work, use.line + use.own)
    missing = true_up_units(amount_of(window.amount), [window.fees, billed], currency=work.row.currency)
    if missing:
        compared = [("fees", window.fees), ("use", billed)]
        _owe_missing(work, window, missing, "minimum", _missing_step(window, compared))
    work.put(replace(window, status=SETTLED, settled_at=work.at, used=use.line + use.own, true_up=missing))


def _roll_over(work: Work, window: Window, use: WindowUse) -> None:
    """What is left stays, up to the cap; what is above lapses, the oldest first. What was used of it since the window
    ended was within what rolls over."""
    earlier = [each for each in work.row.windows if each.number <= window.number]
    left = sum(work.left(grant).remaining for each in earlier for grant, _ in each.grants)
    cap = work.commitment.rollover_cap
    carried = left + use.since if cap is None else min(cap, left + use.since)
    excess = min(left, left + use.since - carried)
    rolled = replace(window, status=ROLLED, rolled=carried, settle_at=window.grants_end + SETTLES_AFTER)
    for each in [*earlier[:-1], rolled]:
        excess -= _lapse(work, each, excess)


def _lapse(work: Work, window: Window, excess: int) -> int:
    """Let up to so much of a window lapse, in whole units of the currency; return how much it was."""
    unit = document_step(work.row.currency)
    free = work.free_of(window)
    total = min(excess, sum(amount for _, amount in free)) // unit * unit
    if total <= 0:
        work.put(window)
        return 0
    is_owed = work.commitment.kind == "postpaid"
    pays = not is_owed or work.commitment.true_up
    if is_owed and pays:
        above = amount_of(total)
        lapsed = step("lapsed", "{above} above what rolls over", above, above=above)
        _owe_missing(work, window, total, "true_up", lapsed)
    taken = _first_of(free, total)
    work.take(window, "more than rolls over", taken, income=total if pays else 0)
    work.put(
        replace(
            window,
            closed=window.closed + total,
            lapsed=window.lapsed + (total if pays else 0),
            true_up=window.true_up + (total if is_owed and pays else 0),
        )
    )
    return total


def _first_of(parts: Iterable[tuple[UUID, int]], amount: int) -> list[tuple[UUID, int]]:
    """The parts, in their order, up to an amount."""
    found, left = [], amount
    for grant, free in parts:
        part = min(free, left)
        found.append((grant, part))
        left -= part
    return found


def _settle_finally(work: Work, window: Window) -> None:
    remaining = sum(work.left(grant).remaining for grant, _ in window.grants)
    used = window.granted - window.parked - window.closed - remaining
    window, rounded = replace(window, used=used), 0
    if work.commitment.kind == "prepaid":
        window, income = _close_advance(work, window)
    else:
        window, income = _true_up(work, window)
        # Invoices bill the use as one rounded running sum out of deferred revenue.
        rounded = _document(work, used) - used
    work.take(window, "settled", work.free_of(window), income=income, rounded=rounded, ends=True)
    work.put(
        replace(
            window,
            status=SETTLED,
            settled_at=work.at,
            closed=window.closed + remaining,
            lapsed=window.lapsed + income,
        )
    )


def _close_advance(work: Work, window: Window) -> tuple[Window, int]:
    """What was invoiced above what is committed and used is credited, the rest of what is unused lapses."""
    unit = document_step(work.row.currency)
    kept = max(window.amount, -(-window.used // unit) * unit)
    if window.billed > kept:
        window = credit(work, window, window.billed - kept, "unused commitment")
    return window, window.billed - window.used - window.lapsed


def _true_up(work: Work, window: Window) -> tuple[Window, int]:
    """What the window's lines miss of what is committed is owed."""
    lines = [_document(work, window.used), _document(work, window.line), window.true_up]
    missing = 0
    if work.commitment.true_up:
        missing = true_up_units(amount_of(window.amount), lines, currency=work.row.currency)
    if missing:
        named = [("drawn", lines[0]), ("beyond it", lines[1]), ("earlier true-up", lines[2])]
        _owe_missing(work, window, missing, "true_up", _missing_step(window, named))
    return replace(window, true_up=window.true_up + missing), missing


def _owe_missing(work: Work, window: Window, missing: int, kind: str, explained: Step) -> None:
    words = {"true_up": "true-up", "minimum": "minimum"}[kind]
    is_minimum = kind == "minimum"
    steps = [*piece_steps(window.pieces), step_json(explained)]
    work.owe(
        kind,
        f"{words} {label(work, window.start, window.end)}",
        missing,
        due_at=window.end,
        **service_of(window),
        # The income of a true-up stands in the books since the settlement: its item only turns it into a receivable.
        recognition="at_once" if is_minimum else "straight",
        included=0 if is_minimum else missing,
        steps=steps,
    )


def _missing_step(window: Window, compared: Sequence[tuple[str, int]]) -> Step:
    """What is committed less what it is compared with: above 0, or nothing would be owed."""
    parts = [amount_of(window.amount), *(-amount_of(amount) for _, amount in compared if amount)]
    names = ", ".join(name for name, amount in compared if amount)
    return sum_step("missing", f"committed{' less ' if names else ''}{names}", parts)


def _document(work: Work, units: int) -> int:
    return round_to_document(units, currency=work.row.currency)


def _rounded(work: Work, exact: Fraction) -> int:
    return round_to_document(exact * UNITS_PER_MAJOR, currency=work.row.currency)


@dataclass(frozen=True, slots=True)
class WindowNow:
    """A settled window's use as it is by now, in units: on the postpaid `line`, from the customer's `own` credit and
    debt; `gone`: what was taken back of its grants' use since; `noted`: what credit notes took back of what was
    committed."""

    line: int
    own: int
    gone: int
    noted: int


def bound_of_window(commitment: Commitment, window: Window, now: WindowNow) -> Bound:
    """Return how much money comes back at most of use within a settled window: of what was compared with the
    commitment, what exceeds it."""
    used = window.used - now.gone
    if commitment.kind == "prepaid":  # its line was compared with nothing
        return Bound({COMMITMENT}, max(used - window.amount - now.noted, 0))
    if commitment.kind == "minimum":
        paid, sources = window.fees + now.line + now.own, {POSTPAID, "credit", "debt"}
    else:
        paid, sources = used + now.line, {POSTPAID, COMMITMENT}
    committed = window.amount if commitment.kind == "minimum" or commitment.true_up else 0
    return Bound(sources, max(paid + window.true_up - committed - now.noted, 0))
