"""Whether a call may be made now: a pure decision over the locked rows, all layers or none (S1, S2, S29, S36).

Source of the order and of the meaning of each code: the API contract ("The gate"). Equality with a cap passes.
"""

from collections.abc import Sequence
from typing import Any

from common.errors import AmountOutOfRange
from common.money import MAX_UNITS, format_amount
from ledger.rules.grants import GRANT_SOURCES, GrantSubject, allocate
from spend.rules.budgets import SCOPE_RANK
from spend.rules.denials import (
    Binding,
    BudgetBusy,
    BudgetExhausted,
    CreditExhausted,
    Denied,
    RunCeilingReached,
    TooLarge,
)
from spend.rules.state import Books, Layer

CREDIT_RANK = 99
RETRY_BUSY_SECONDS = 1
CLASSES = {403: 0, 429: 1, 402: 2, 409: 3}
"""Which class of refusal is told first: never to come, later, for money, in a moment."""
Receipt = list[list[Any]]


def layer_figures(layer: Layer) -> dict[str, Any]:
    """Return limit, spent, held and remaining of a layer as the API shows them."""
    budget, spent, held = layer.budget, layer.spent, layer.held
    return {
        "limit": budget.shown(budget.amount_limit + layer.extra) if layer.extra else budget.limit_text,
        "spent": budget.shown(spent),
        "held": budget.shown(held),
        "remaining": budget.shown(max(0, layer.most - spent - held)),
        "resets_at": layer.resets_at,
    }


def refusal_of_layer(layer: Layer) -> type[Denied] | None:
    """Return why this layer refuses what is requested of it; None when it has room (equality passes)."""
    budget, requested = layer.budget, layer.requested
    if layer.spent + layer.held + requested <= layer.most:
        return None
    if requested > budget.amount_limit + budget.overdraft + layer.extra:
        return TooLarge
    if layer.spent + requested > layer.most:
        return RunCeilingReached if budget.scope == "run" else BudgetExhausted
    return BudgetBusy


def layer_binding(layer: Layer) -> Binding:
    """Return the layer as the binding of a denial."""
    budget = layer.budget
    figures = {
        "scope": budget.scope,
        "target": layer.label,
        "budget_id": budget.id,
        **layer_figures(layer),
        "requested": budget.shown(layer.requested),
        "unit": budget.unit,
    }
    return Binding(
        scope=budget.scope,
        rank=SCOPE_RANK[budget.scope],
        figures=figures,
        requested=layer.requested,
        budget_id=budget.id,
        version=budget.version,
    )


def check_booking(books: Books, charge: int) -> None:
    """Raises AmountOutOfRange for a charge with which the books would owe more than a bigint holds.

    Found here it is this call's own matter; found by the database it is that of its whole transaction.
    """
    for account in (books.credit, books.line):
        if account is not None and charge > MAX_UNITS - max(-account.posted, account.debt):
            raise AmountOutOfRange


def check_holding(books: Books, charge: int) -> None:
    """The same for what a line without a limit would hold."""
    line = books.open_line
    if line is not None and line.credit_limit is None and charge > MAX_UNITS - line.held:
        raise AmountOutOfRange


def fund(books: Books, charge: int, subject: GrantSubject, now: Any) -> tuple[Receipt, int, int]:
    """Return (grant parts of the receipt, credit part, postpaid part) for a charge; the rest is not funded.

    Allowance, commitment and credit, which are grants in burn order, then the postpaid line up to its limit (S75). Debt
    shuts the line, too, until a grant has repaid it (S08).
    """
    line = books.open_line
    receipt, missing = allocate(books.grants, charge, now, subject, debt=books.credit.debt)
    credit = charge - missing
    if missing and line is not None:
        room = line.room()
        return receipt, credit, missing if room is None else max(0, min(missing, room))
    return receipt, credit, 0


def told_sources(receipt: Receipt) -> list[str] | None:
    """Return what an event says of the sources of its grants, in their order: nothing where all are credit."""
    for part in receipt:
        if part[0] == "allowance" or part[0] == "commitment":
            return [source for source, _, _ in receipt if source in GRANT_SOURCES]
    return None


def refuse(failing: Sequence[tuple[type[Denied], Binding]]) -> Denied:
    """Return the one refusal of all that failed: 403, 429, 402, 409, then the narrowest scope, then by code."""
    ordered = sorted(failing, key=lambda item: (CLASSES[item[0].status], item[1].rank, item[0].code))
    first, binding = ordered[0]
    also = [{"code": kind.code, **other.figures} for kind, other in ordered[1:]]
    return first(
        _sentence(first, binding),
        binding=binding,
        extra={"binding": binding.figures, "also_failing": also},
        retry_after=_retry_after(first, failing),
    )


def _retry_after(kind: type[Denied], failing: Sequence[tuple[type[Denied], Binding]]) -> int | None:
    """In how many seconds the call may fit: the longest wait of all limits; None where waiting does not help."""
    if kind is BudgetBusy:
        return RETRY_BUSY_SECONDS
    if kind.status != 429:
        return None
    waits = [binding.wait for other, binding in failing if other.status == 429]
    return None if None in waits else max(wait for wait in waits if wait is not None)


def credit_refusal(
    books: Books, charge: int, funded: int, currency: str, idle: int
) -> tuple[type[Denied], Binding]:
    """Return the refusal for money that credit and line together do not cover; busy if they would without the holds
    (`idle` is what they could then give; S05, S39).
    """
    credit, line = books.credit, books.line
    held = credit.held + (line.held if line else 0)
    kind: type[Denied] = BudgetBusy if idle >= charge else CreditExhausted
    limit = credit.posted + ((line.posted + (line.credit_limit or 0)) if line else 0)
    figures = {
        "scope": "credit",
        "target": None,
        "limit": format_amount(limit),
        "spent": format_amount(credit.debt),
        "held": format_amount(held),
        "requested": format_amount(charge),
        "remaining": format_amount(max(0, funded)),
        "resets_at": None,
        "unit": currency,
    }
    return kind, Binding(scope="credit", rank=CREDIT_RANK, figures=figures, requested=charge)


def _sentence(kind: type[Denied], binding: Binding) -> str:
    shown_as = binding.figures
    if "limit" not in shown_as:  # a duty, not a sum
        return f"{(kind.__doc__ or '').strip()} Binding: {binding.scope}."
    of_rule = "rule" in shown_as
    layer = binding.scope if of_rule or binding.scope == "credit" else f"budget of scope {binding.scope}"
    names = ("limit", "burst", "spent", "held", "requested", "step", "attempt", "repeats")
    figures = ", ".join(f"{name} {shown_as[name]}" for name in names if name in shown_as)
    unit = f" {shown_as['unit']}" if "unit" in shown_as else ""
    return f"{(kind.__doc__ or '').strip()} Binding: {layer} ({figures}{unit})."
