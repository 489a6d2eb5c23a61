"""Money that goes back to the payer, or comes back from there: out of which pocket. Pure.

It goes first out of the credit that the payment gave and that credit notes of its invoice gave, then it is owed on the
invoice again, and what is more than all of that is in suspense. It comes back in the other order. So the pockets depend
on the sum alone, whatever the order of refunds and disputes (W2). What a dispute took is owed on the invoice only once
the dispute is lost: nobody is asked for money that is still argued about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from billing.rules.payments.effects import Effect, disputed_of, refunded_of
from billing.rules.payments.row import Payment

Amounts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Standing:
    """The invoice of a payment: what was paid on it, what is due, credit that its notes gave and no money that went
    back has taken yet, and whether what was due is a loss already. All zero for a top-up."""

    paid: int = 0
    due: int = 0
    note_credit: int = 0
    is_written_off: bool = False


@dataclass(frozen=True, slots=True)
class Returned:
    """The row after an effect, how what was paid on its invoice changed, and the postings by kind of account."""

    payment: Payment
    paid: int
    postings: Amounts


def returned(payment: Payment, effect: Effect, standing: Standing) -> Returned:
    """Return what an effect on money that went back does; `payment` has the effect among its applied ones already."""
    totals = refunded_of(payment), disputed_of(payment)
    moved = replace(payment, refunded=totals[0], disputed=totals[1], fee=payment.fee + effect.fee)
    change = sum(totals) - (payment.credit_back + payment.invoice_back + payment.beyond)
    after = _went(moved, change, standing) if change >= 0 else _came(moved, -change)
    gone = refunded_of(payment) + disputed_of(payment, lost=True)
    after, paid, over = _reopened(after, min(after.invoice_back, max(0, gone - after.credit_back)), standing)
    return Returned(after, paid, _postings(payment, after, effect, standing, paid, over))


def _went(payment: Payment, amount: int, standing: Standing) -> Payment:
    bought = payment.excess - (payment.credit_back - payment.note_taken)
    from_excess = min(amount, bought)
    from_notes = min(amount - from_excess, standing.note_credit)
    taken = payment.note_taken + from_notes
    owed = min(payment.settled - taken - payment.invoice_back, standing.paid - payment.pending)
    from_invoice = min(amount - from_excess - from_notes, max(0, owed))
    return replace(
        payment,
        credit_back=payment.credit_back + from_excess + from_notes,
        note_taken=taken,
        invoice_back=payment.invoice_back + from_invoice,
        beyond=payment.beyond + amount - from_excess - from_notes - from_invoice,
    )


def _came(payment: Payment, amount: int) -> Payment:
    from_beyond = min(amount, payment.beyond)
    from_invoice = min(amount - from_beyond, payment.invoice_back)
    from_credit = amount - from_beyond - from_invoice
    return replace(
        payment,
        beyond=payment.beyond - from_beyond,
        invoice_back=payment.invoice_back - from_invoice,
        credit_back=payment.credit_back - from_credit,
        note_taken=max(0, payment.note_taken - from_credit),
    )


def _reopened(payment: Payment, target: int, standing: Standing) -> tuple[Payment, int, int]:
    """The row with what is owed on the invoice now, how its paid changes, and what the invoice does not take any more.

    A note that was issued while money was argued about gave credit for money that is gone now: the credit goes. An
    invoice that was paid otherwise meanwhile takes nothing: it is the customer's credit.
    """
    change = target - payment.reopened
    if change >= 0:
        falls = min(change, standing.paid)
        noted = change - falls
        return (
            replace(
                payment,
                reopened=payment.reopened + falls,
                invoice_back=payment.invoice_back - noted,
                credit_back=payment.credit_back + noted,
                note_taken=payment.note_taken + noted,
            ),
            -falls,
            0,
        )
    rises = min(-change, standing.due)
    over = -change - rises
    after = replace(payment, reopened=target, settled=payment.settled - over, excess=payment.excess + over)
    return after, rises, over


def _postings(
    before: Payment, after: Payment, effect: Effect, standing: Standing, paid: int, over: int
) -> Amounts:
    receivable = -(after.invoice_back - before.invoice_back) - over
    loss = paid if standing.is_written_off else 0
    made = {
        "processor_clearing": -effect.amount + effect.fee,
        "processor_fees": -effect.fee,
        "customer_credit": -(after.credit_back - before.credit_back) + over,
        "receivable": receivable - loss,
        "bad_debt": loss,
        "suspense": -(after.beyond - before.beyond),
    }
    return {kind: amount for kind, amount in made.items() if amount}


def fee_postings(fee: int) -> Amounts:
    """Return what the processor keeps of its balance."""
    return {"processor_clearing": fee, "processor_fees": -fee} if fee else {}


def receipt_postings(amount: int) -> Mapping[str, int]:
    """Return money that became the customer's credit."""
    return {"processor_clearing": -amount, "customer_credit": amount}
