"""The refusal of a suspended customer's call, and what such a customer may still spend."""

from __future__ import annotations

from typing import Any, Final

from spend.rules.budgets import SCOPE_RANK
from spend.rules.denials import Binding, Denied, Suspended
from spend.rules.plan import written
from spend.rules.standings import Standing
from spend.rules.state import Books

WHAT_TO_DO: Final = (
    "Pay what is overdue, or give a payment method that works; the next call after that passes."
)


def suspension(standing: Standing) -> tuple[type[Denied], Binding]:
    """Return the refusal of a suspended customer's call: since when, by which case, and what to do."""
    figures: dict[str, Any] = {
        "scope": "organization",
        "target": None,
        "case": None if standing.case is None else str(standing.case),
        "since": written(standing.since),
        "resolution": WHAT_TO_DO,
    }
    rank = SCOPE_RANK["organization"]
    return Suspended, Binding(scope="organization", rank=rank, figures=figures, requested=0)


def bought_credit(books: Books) -> Books:
    """Return of the books what a suspended customer may still spend: credit that it bought, no line."""
    return Books(books.credit, None, [grant for grant in books.grants if grant.source == "credit"])
