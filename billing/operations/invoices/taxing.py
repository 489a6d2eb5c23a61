"""Asking how an invoice's lines are taxed, before its transaction: a provider may be another system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from billing.operations.tax_provider import TaxQuestion, ask_treatment
from billing.queries.invoices import find_invoice, lines_of
from billing.queries.parties import buyer_of, seller_of
from billing.rules.parties import Buyer, Seller, untaxed
from billing.rules.tax import TaxPending, TaxRateUnknown, Treatment
from common.errors import ServiceUnavailable
from common.transactions import run_in_transaction
from events.store import Cursor

PENDING: Final = TaxPending("")


@dataclass(frozen=True, slots=True)
class TaxAnswers:
    """How tax codes are taxed between two parties as they were when it was asked. A code that was not asked about, and
    one without a known rate (`refusals`), waits."""

    seller: Seller
    buyer: Buyer
    treatments: Mapping[str, Treatment | TaxPending]
    refusals: Mapping[str, TaxRateUnknown] = field(default_factory=dict)

    def patient(self, code: str) -> Treatment | TaxPending:
        """How a code is taxed; what nobody knows waits."""
        return untaxed(self.seller, code) or self.treatments.get(code, PENDING)

    def require_same(self, cur: Cursor, organization: UUID) -> None:
        """Refuse answers about parties that changed since. Raises ServiceUnavailable: ask again."""
        if parties_of(cur, organization=organization) != (self.seller, self.buyer):
            raise ServiceUnavailable("The parties of the invoice changed meanwhile.", retry_after=1)


def ask_tax(*, organization: UUID, codes: Iterable[str], at: datetime) -> TaxAnswers:
    """This function will ask how these tax codes are taxed on a day. Not to be called inside a transaction.

    A provider that does not answer, a customer without a country, and a rate that nobody knows lead to codes that wait.
    Raises NotFound.
    """
    seller, buyer = run_in_transaction(partial(parties_of, organization=organization))
    return ask_between(seller, buyer, codes=codes, at=at)


def parties_of(cur: Cursor, *, organization: UUID) -> tuple[Seller, Buyer]:
    """Return who invoices whom. Raises NotFound."""
    return seller_of(cur, organization), buyer_of(cur, organization)


def ask_between(seller: Seller, buyer: Buyer, *, codes: Iterable[str], at: datetime) -> TaxAnswers:
    """This function will ask the same about parties that were read already."""
    treatments: dict[str, Treatment | TaxPending] = {}
    refusals: dict[str, TaxRateUnknown] = {}
    for code in sorted(set(codes)):
        if seller.country is None or buyer.customer is None or untaxed(seller, code):
            continue
        question = TaxQuestion(seller.country, buyer.customer, at.date(), buyer.vat_answer, code, buyer.rates)
        try:
            treatments[code] = ask_treatment(question)
        except TaxRateUnknown as refusal:
            refusals[code] = refusal
    return TaxAnswers(seller, buyer, treatments, refusals)


def ask_tax_of_invoice(*, organization: UUID, invoice: UUID) -> TaxAnswers:
    """This function will ask about what a draft's lines wait for. Raises NotFound."""

    def read(cur: Cursor) -> tuple[datetime, set[str], Seller, Buyer]:
        found = find_invoice(cur, organization=organization, invoice=invoice)
        codes = {line.tax_code for line in lines_of(cur, invoice) if line.treatment is None}
        return found.dated_at, codes, *parties_of(cur, organization=organization)

    at, codes, seller, buyer = run_in_transaction(read)
    return ask_between(seller, buyer, codes=codes, at=at)
