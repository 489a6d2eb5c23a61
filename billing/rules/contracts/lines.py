"""What an invoice bills of a postpaid commitment's use: one running sum for each window. Pure.

Rounded line by line, the lines of a window could miss its commitment by cents, up or down. As differences of the
rounded running sum they come to the rounded whole, which is what the true-up is measured by.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing.rules.amounts import amount_of
from billing.rules.assembling import DEFERRED, REVENUE, Owed
from billing.rules.charges.explaining import step_json
from billing.rules.charges.formula import step
from billing.rules.rounding import round_to_document

KIND = "commitment"


@dataclass(frozen=True, slots=True)
class CommittedUse:
    """What a window's grants have paid for so far (`drawn`, exact units), and what of it was `billed`, in units at the
    currency's precision; both with what the window repaid of debt."""

    contract: UUID
    window: int
    name: str
    start: datetime
    end: datetime
    grants: tuple[UUID, ...]
    drawn: int
    billed: int


def committed_line(use: CommittedUse, *, currency: str) -> Owed | None:
    """Return the line over what was drawn and not billed yet; None when that is nothing. The gate booked the revenue
    as it was used: the line turns deferred revenue into a receivable."""
    owed = round_to_document(use.drawn, currency=currency) - use.billed
    if owed == 0:
        return None
    drawn, billed = amount_of(use.drawn), amount_of(use.billed)
    explained = step(
        "drawn", "{drawn} drawn so far - {billed} billed", amount_of(owed), drawn=drawn, billed=billed
    )
    return Owed(
        key=f"commitment:{use.contract}:{use.window}",
        kind=KIND,
        description=f"{use.name}: use of the commitment from {use.start:%Y-%m-%d}",
        exact=owed,
        account=DEFERRED,
        discountable=False,
        service_start=use.start,
        service_end=use.end,
        contract=use.contract,
        detail={
            "window": use.window,
            "grants": [str(grant) for grant in use.grants],
            "drawn": use.drawn,
            "billed": use.billed,
            "steps": [step_json(explained)],
            "credits": None,
            "included": abs(owed),
            "recognition": "at_once",
            "source": f"contract:{use.contract}",
        },
    )


def noted_line(line: Owed, *, paid: int) -> Owed | None:
    """Return what of a line that gives use of a commitment back credit notes had given back: what it exceeds that by
    which stays `paid` for the use of its window, in units; None when that is nothing. It is revenue again, for of a
    note's money the revenue went."""
    twice = -line.exact - max(paid, 0)
    if twice <= 0:
        return None
    return Owed(
        key=f"{line.key}:noted",
        kind="adjustment",
        description=f"{line.description}: given back by a credit note",
        exact=twice,
        account=REVENUE,
        discountable=False,
        service_start=line.service_start,
        service_end=line.service_end,
        contract=line.contract,
        detail={"window": line.detail["window"]},
    )
