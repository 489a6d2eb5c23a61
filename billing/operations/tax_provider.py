"""Who says how a customer is taxed: the rates by country that come along, or a provider that the setting names.

A provider may be another system, so it is never asked inside a transaction, and it may not answer: whatever waits for
it is `pending`, and nothing is taxed by a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial
from importlib import import_module
from typing import Final, Protocol
from uuid import UUID

from django.conf import settings

from billing.queries.profiles import billing_profile, waiting_for_answers
from billing.rules.profiles import BillingProfile, answer_recorded
from billing.rules.tax import STANDARD, Answer, Customer, TaxPending, TaxRate, Treatment, tax_treatment
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization

AUTHOR: Final = Author("system:tax")
AT_ONCE: Final = 100


class TaxProviderUnavailable(Exception):
    """The tax provider does not answer now."""


@dataclass(frozen=True, slots=True)
class TaxQuestion:
    """How is this customer taxed by a seller of this country on a day? `vat_answer`: as a tax profile has it;
    `entered`: the rates that the platform entered for the customer's country."""

    seller_country: str
    customer: Customer
    on: date
    vat_answer: str = "not_asked"
    tax_code: str = STANDARD
    entered: tuple[TaxRate, ...] = ()


class TaxProvider(Protocol):
    """What a provider answers. Each method raises TaxProviderUnavailable when it cannot now."""

    def vat_id_answer(self, vat_id: str) -> str:
        """Return whether a VAT id is "valid", "invalid", or "unknown" for good: there is no register to ask."""

    def treatment(self, question: TaxQuestion) -> Treatment | TaxPending:
        """Return how the customer is taxed, or what has to be known before."""


class CountryRates:
    """The provider that comes along: the rates that were entered, else those of the package, of the tax code where one
    of them has it in that country, else the standard rate. It knows no register, so whether a VAT id of another
    country is valid, a person states; until then what depends on it is pending."""

    def vat_id_answer(self, vat_id: str) -> str:
        """Return "unknown": there is no register to ask."""
        return "unknown"

    def treatment(self, question: TaxQuestion) -> Treatment | TaxPending:
        """Return the treatment by the rules of the seller's area. Raises TaxRateUnknown."""
        answers: dict[str, Answer] = {"valid": "valid", "invalid": "invalid"}
        return tax_treatment(
            question.seller_country,
            question.customer,
            answer=answers.get(question.vat_answer),
            on=question.on,
            tax_code=question.tax_code,
            entered=question.entered,
        )


def tax_provider() -> TaxProvider:
    """This function will return the provider that the setting TAX_PROVIDER names as "module:class"."""
    return _provider(settings.TAX_PROVIDER)


def ask_treatment(question: TaxQuestion) -> Treatment | TaxPending:
    """This function will ask the provider how a customer is taxed; TaxPending when it does not answer.

    Not to be called inside a transaction. Raises TaxRateUnknown.
    """
    try:
        return tax_provider().treatment(question)
    except TaxProviderUnavailable:
        return TaxPending(question.customer.vat_id or "")


def ask_vat_id(organization: UUID) -> str:
    """This function will ask the provider about the VAT id that an organization's profile waits for, record the answer,
    and return the state: "pending" still when it does not answer.

    Three steps: read, ask outside any transaction, write under the lock. An answer for an id that was changed
    meanwhile is dropped. Raises NotFound.
    """
    profile = run_in_transaction(lambda cur: billing_profile(cur, organization))
    vat_id = profile.tax.vat_id
    if vat_id is None or profile.tax.vat_answer not in ("pending", "unknown"):
        return profile.tax.vat_answer
    try:
        answer = tax_provider().vat_id_answer(vat_id)
    except TaxProviderUnavailable:
        return profile.tax.vat_answer
    changed = run_in_transaction(partial(_record, organization=organization, vat_id=vat_id, answer=answer))
    return changed.tax.vat_answer


def ask_waiting_vat_ids() -> int:
    """This function will ask about every VAT id that waits, and return how many were answered. A provider that does not
    answer is left alone until the next time."""
    answered = 0
    for organization in run_in_transaction(partial(waiting_for_answers, limit=AT_ONCE)):
        if ask_vat_id(organization) == "pending":
            break
        answered += 1
    return answered


def _record(cur: Cursor, *, organization: UUID, vat_id: str, answer: str) -> BillingProfile:
    locked = lock_organization(cur, organization)
    changed, fact = answer_recorded(billing_profile(cur, organization), vat_id, answer, at=locked.now)
    record(cur, [fact], author=AUTHOR)
    return changed


@lru_cache(maxsize=8)
def _provider(path: str) -> TaxProvider:
    module, _, name = path.partition(":")
    provider: TaxProvider = getattr(import_module(module), name)()
    return provider
