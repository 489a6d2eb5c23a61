"""What an invoice, its payments and its credit notes do to the books (docs/ledger.md). Pure; a credit is positive.

Use was revenue when it was charged; its line moves from unbilled to receivable, and a coupon on it takes revenue back.
A fee over a period is deferred, any other is revenue now. Tax is owed to its authority. What rounding the document
left over goes to `rounding`, and so does the line that brings the total to what can be charged. So the postings of
an invoice sum to its total, and its total to its lines and tax.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from billing.rules.assembling import REVENUE, UNBILLED

Amounts = dict[str, int]


class PostedLine(Protocol):
    """What a posting asks of an invoice's line, new or stored."""

    @property
    def account(self) -> str: ...
    @property
    def amount(self) -> int: ...
    @property
    def remainder(self) -> int: ...
    @property
    def discount(self) -> int: ...
    @property
    def net(self) -> int: ...
    @property
    def tax(self) -> int: ...


def invoice_postings(lines: Iterable[PostedLine]) -> Amounts:
    """Return the finalization by kind of account; of a total below zero the customer gets credit."""
    moved: Amounts = {}
    for line in lines:
        if line.account == UNBILLED:
            _add(moved, UNBILLED, line.amount - line.remainder)
            _add(moved, "rounding", line.remainder)
            _add(moved, REVENUE, -line.discount)
        else:
            _add(moved, line.account, line.net)
        _add(moved, "tax_payable", line.tax)
    total = sum(moved.values())
    _add(moved, "receivable" if total > 0 else "customer_credit", -total)
    return _without_nothing(moved)


def payment_postings(*, amount: int, applied: int, was_written_off: bool, contra: str = "cash") -> Amounts:
    """Return a payment: what it settles, and what is over as credit. One written off already is no loss any more."""
    moved: Amounts = {contra: -amount}
    _add(moved, "bad_debt" if was_written_off else "receivable", applied)
    _add(moved, "customer_credit", amount - applied)
    return _without_nothing(moved)


def write_off_postings(due: int) -> Amounts:
    """Return what is not to be had any more."""
    return {"bad_debt": -due, "receivable": due}


def credit_note_postings(
    lines: Iterable[tuple[str, int, int]], *, receivable: int, credit: int, is_written_off: bool
) -> Amounts:
    """Return a credit note over (account of the invoice's line, net, tax): `receivable` of it is not to be paid any
    more, `credit` of it was paid and is the customer's again. Of use it is revenue that goes."""
    moved: Amounts = {}
    for account, net, tax in lines:
        _add(moved, REVENUE if account == UNBILLED else account, -net)
        _add(moved, "tax_payable", -tax)
    _add(moved, "bad_debt" if is_written_off else "receivable", receivable)
    _add(moved, "customer_credit", credit)
    return _without_nothing(moved)


def _add(moved: Amounts, kind: str, amount: int) -> None:
    moved[kind] = moved.get(kind, 0) + amount


def _without_nothing(moved: Mapping[str, int]) -> Amounts:
    return {kind: amount for kind, amount in moved.items() if amount}
