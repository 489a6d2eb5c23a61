"""An invoice's states, its row, and what happens to it. Pure (S76).

draft -> open -> paid is the rule. A draft whose tax nobody knows yet is tax_pending; one that cannot be finalised is
failed, visible, and tried again by a person. Nothing leaves void, and paid is left only when the money goes back to the
payer: then it is open again. Stripe's names where Stripe has the state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from billing.rules.assembling import Document, Line, percent_of
from billing.rules.progressive import THRESHOLD
from billing.rules.tax import Treatment
from common.errors import InvalidTransition
from orgs.rules.facts import Fact, id_text, time_text

DRAFT, TAX_PENDING, FAILED = "draft", "tax_pending", "failed"
OPEN, PAID, UNCOLLECTIBLE, VOID = "open", "paid", "uncollectible", "void"
STATES: Final = (DRAFT, TAX_PENDING, FAILED, OPEN, PAID, UNCOLLECTIBLE, VOID)
UNFINISHED: Final = frozenset({DRAFT, TAX_PENDING, FAILED})
"""Without a number yet."""
TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    DRAFT: frozenset({TAX_PENDING, FAILED, OPEN, PAID, VOID}),
    TAX_PENDING: frozenset({TAX_PENDING, FAILED, OPEN, PAID, VOID}),
    FAILED: frozenset({TAX_PENDING, FAILED, OPEN, PAID, VOID}),
    OPEN: frozenset({OPEN, PAID, VOID, UNCOLLECTIBLE}),
    UNCOLLECTIBLE: frozenset({UNCOLLECTIBLE, PAID}),
    PAID: frozenset({PAID, OPEN}),
    VOID: frozenset(),
}
FIRST_PAUSE: Final = timedelta(hours=1)
LONGEST_PAUSE: Final = timedelta(days=1)
MOST_TRIES: Final = 34
"""Of an invoice's tax, a month in all: what nobody said by then, nobody will say without being asked."""
CAUSES: Final = ("cycle", "items", THRESHOLD, "manual")


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice's row; money in units at its currency's precision. `progressive`: what the last invoice of a period
    states of those that thresholds made before."""

    id: UUID
    organization: UUID
    status: str
    cause: str
    currency: str
    legal_entity: UUID
    series: str | None
    year: int | None
    counter: int | None
    number: str | None
    seller: Mapping[str, Any]
    customer: Mapping[str, Any]
    purchase_order: str | None
    dated_at: datetime
    period_start: datetime
    period_end: datetime
    net_days: int
    finalize_at: datetime
    due_at: datetime | None
    subtotal: int
    discount: int
    net: int
    tax: int
    total: int
    discounts: Sequence[Mapping[str, Any]]
    taxes: Sequence[Mapping[str, Any]]
    usage: Sequence[Any] | None
    paid: int
    credited: int
    written_off: int
    entry: UUID | None
    created_at: datetime
    finalized_at: datetime | None
    sent_at: datetime | None
    paid_at: datetime | None
    voided_at: datetime | None
    uncollectible_at: datetime | None
    error: str | None
    version: int
    progressive: Mapping[str, Any] | None = None

    @property
    def due(self) -> int:
        """What is still to pay; of one without a number what it would be."""
        if self.status == VOID:
            return 0
        return max(0, self.unpaid - self.written_off)

    @property
    def unpaid(self) -> int:
        """What nobody paid and nothing took back of a document, also where that was written off."""
        return self.total - self.paid - self.credited

    @property
    def is_finalized(self) -> bool:
        """Whether it is a document for ever."""
        return self.finalized_at is not None


def moved(invoice: Invoice, status: str, **changes: Any) -> Invoice:
    """Return the invoice in another state, one version on. Raises InvalidTransition."""
    if status not in TRANSITIONS[invoice.status]:
        raise InvalidTransition(f"An invoice that is {invoice.status} does not become {status}.")
    return replace(invoice, status=status, version=invoice.version + 1, **changes)


def pause_of_tax(invoice: Invoice) -> timedelta | None:
    """Return how long an invoice waits until its tax is asked for again: from an hour on twice as long each time, up to
    a day; None when it was asked for so often that a person has to see to it. A try is a version of the invoice."""
    if invoice.status == TAX_PENDING and invoice.version > MOST_TRIES:
        return None
    return min(FIRST_PAUSE * (1 << min(invoice.version - 1, 5)), LONGEST_PAUSE)


def finalized(
    invoice: Invoice, *, series: str, year: int, counter: int, number: str, entry: UUID | None, now: datetime
) -> Invoice:
    """Return the invoice with its number. Nothing to pay is paid at once. Raises InvalidTransition.

    It is due `net_days` after the moment of its number, whatever date it is for: nobody pays before there is an
    invoice.
    """
    if invoice.is_finalized:
        raise InvalidTransition("The invoice is finalised already.")
    is_settled = invoice.total <= 0
    return moved(
        invoice,
        PAID if is_settled else OPEN,
        series=series,
        year=year,
        counter=counter,
        number=number,
        entry=entry,
        due_at=now + timedelta(days=invoice.net_days),
        finalized_at=now,
        paid_at=now if is_settled else None,
        error=None,
    )


def with_document(
    invoice: Invoice, document: Document, codes: Mapping[str, str], *, together: UUID
) -> Invoice:
    """Return the invoice with the figures of a document, whose coupons are named by their redemptions; `codes` names
    the coupon of each. `together`: the first invoice of those that are drafted at once, which a coupon that lowers
    several of them counts once."""
    return replace(
        invoice,
        subtotal=document.subtotal,
        discount=document.discount,
        net=document.net,
        tax=document.tax,
        total=document.total,
        discounts=[
            {
                "coupon": codes[one.coupon],
                "redemption": one.coupon,
                "amount": one.amount,
                "together": str(together),
            }
            for one in document.discounts
        ],
        taxes=[{**treatment_data(one.treatment), "base": one.base, "tax": one.tax} for one in document.taxes],
    )


def settled(invoice: Invoice, *, now: datetime) -> Invoice:
    """Return an open or uncollectible invoice as it is after its figures moved: paid when nothing is left."""
    if invoice.status in (OPEN, UNCOLLECTIBLE) and invoice.unpaid <= 0:
        return moved(invoice, PAID, paid_at=now)
    return moved(invoice, invoice.status)


def repaid(invoice: Invoice, change: int, *, now: datetime) -> Invoice:
    """Return an invoice of whose payments money went back (`change` < 0, units) or came back after all (> 0).

    What is owed again makes a paid invoice open; of one that was written off it is a loss, too. Raises
    InvalidTransition.
    """
    loss = invoice.written_off - (change if invoice.status == UNCOLLECTIBLE else 0)
    after = replace(invoice, paid=invoice.paid + change, written_off=loss)
    if invoice.status == PAID and change < 0:
        return moved(after, OPEN, paid_at=None)
    return settled(after, now=now)


def fact(invoice: Invoice, verb: str, *, at: datetime, **more: Any) -> Fact:
    """Return what happened: the invoice's whole new row, and with `more` what moves beside it."""
    kept = {name: value for name, value in more.items() if value}
    return Fact(
        invoice.organization, "invoice", invoice.id, invoice.version, verb, {**data_of(invoice), **kept}, at
    )


_TIMES: Final = (
    "dated_at", "period_start", "period_end", "finalize_at", "due_at", "created_at", "finalized_at", "sent_at",
    "paid_at", "voided_at", "uncollectible_at",
)  # fmt: skip
_IDS: Final = ("legal_entity", "entry")
_PLAIN: Final = (
    "status", "cause", "currency", "series", "year", "counter", "number", "seller", "customer", "purchase_order",
    "net_days", "subtotal", "discount", "net", "tax", "total", "discounts", "taxes", "usage", "paid", "credited",
    "written_off", "error", "progressive",
)  # fmt: skip


def data_of(invoice: Invoice) -> dict[str, Any]:
    """Return the row as events hold it."""
    return {
        **{name: getattr(invoice, name) for name in _PLAIN},
        **{name: time_text(getattr(invoice, name)) for name in _TIMES},
        **{name: id_text(getattr(invoice, name)) for name in _IDS},
    }


def line_data(line: Line) -> dict[str, Any]:
    """Return a line as the event of its invoice holds it."""
    owed = line.owed
    return {
        "n": line.number,
        "kind": owed.kind,
        "description": owed.description,
        "quantity": owed.quantity,
        "charge": owed.charge,
        "funded": dict(owed.funded),
        "amount": line.amount,
        "remainder": line.remainder,
        "discount": line.discount,
        "net": line.net,
        "tax": line.tax,
        "tax_code": owed.tax_code,
        "treatment": None if line.treatment is None else treatment_data(line.treatment),
        "account": owed.account,
        "service_start": time_text(owed.service_start),
        "service_end": time_text(owed.service_end),
        "item_id": id_text(owed.item),
        "subscription": id_text(owed.subscription),
        "contract": id_text(owed.contract),
        "charge_key": owed.charge_key,
        "plan_version": id_text(owed.plan_version),
        "detail": dict(owed.detail),
    }


def treatment_data(treatment: Treatment) -> dict[str, Any]:
    """Return a tax treatment as events hold it; `rate` is an exact fraction, `percent` for people, `tax_rate` the id of
    an entered rate."""
    data = {
        "rate": str(treatment.rate),
        "percent": percent_of(treatment.rate),
        "category": treatment.category,
        "country": treatment.country,
        "exemption_code": treatment.exemption_code,
    }
    return data if treatment.tax_rate is None else {**data, "tax_rate": str(treatment.tax_rate)}


def treatment_of(data: Mapping[str, Any]) -> Treatment:
    """Return the treatment that was written so."""
    stated = data.get("tax_rate")
    return Treatment(
        Fraction(data["rate"]),
        data["category"],
        data["country"],
        data["exemption_code"],
        None if stated is None else UUID(stated),
    )
