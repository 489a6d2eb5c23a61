"""What an invoice bills of a postpaid commitment's use: one running sum for each window. Pure.

Rounded line by line, the lines of a window could miss its commitment by cents, up or down. As differences of the
rounded running sum they come to the rounded whole, which is what the true-up is measured by.
"""

from __future__ import annotations

from dataclasses import dataclass

from billing.rules.rounding import round_to_document


@dataclass(frozen=True, slots=True)
class DrawnBefore:
    """What was drawn from a window's grants, exactly, and billed of it before, in units. A window begins with what its
    grants repaid of debt (`PostpaidGrant.repaid`, `repaid_billed`)."""

    exact: int = 0
    billed: int = 0


def draw_line(before: DrawnBefore, drawn: int, *, currency: str) -> tuple[int, DrawnBefore]:
    """Return what the next line over a window's use bills, in units at the currency's precision, and what is billed
    then. `drawn` is what its records drew, exactly."""
    exact = before.exact + drawn
    billed = round_to_document(exact, currency=currency)
    return billed - before.billed, DrawnBefore(exact, billed)
