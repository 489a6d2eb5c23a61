"""How an organization is billed: who sells, terms, cycle, language, and what its tax depends on. Pure.

There is one profile per organization; before its first change the defaults below hold. The e-mail and postal address
are no part of it: they are personal data, stand in an operational table and can be erased. A fact says only that they
changed (`contact_version`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.rules.plans import MAX_GRACE_HOURS, MAX_NET_DAYS
from billing.rules.sellers import vat_id_of
from billing.rules.tax import Customer, id_to_ask_for
from common.errors import InvalidField
from orgs.rules.facts import Fact, id_text, time_text, with_changes

PER_SUBSCRIPTION: Final = "subscription"
CONSOLIDATIONS: Final = ("customer", PER_SUBSCRIPTION)
CHARGE_AUTOMATICALLY, SEND_INVOICE = "charge_automatically", "send_invoice"
COLLECTIONS: Final = (CHARGE_AUTOMATICALLY, SEND_INVOICE)
ANSWERS: Final = ("valid", "invalid", "unknown", "pending", "not_asked")
MAX_CODE: Final = 50
STATED_ANSWERS: Final = ("valid", "invalid")
LONGEST_NET_DAYS: Final = MAX_NET_DAYS
LONGEST_GRACE_HOURS: Final = MAX_GRACE_HOURS
PLATFORM_ONLY: Final = frozenset(
    ("legal_entity", "net_days", "grace_hours", "cycle_anchor", "exemption_code", "vat_answer")
)
"""What a customer does not grant itself: terms, the seller, and what frees it of tax."""
_TAXING: Final = frozenset(("country", "vat_id", "exemption_code", "vat_answer", "legal_entity_id"))
_LANGUAGE: Final = re.compile(r"[a-z]{2}(-[A-Z]{2})?")


@dataclass(frozen=True, slots=True)
class TaxProfile:
    """Where a customer is taxed. `vat_answer`: what the register said about `vat_id`: "valid", "invalid", "unknown" (it
    was asked and cannot say), "pending" (it has not answered yet), "not_asked" (nothing depends on it)."""

    country: str | None = None
    vat_id: str | None = None
    vat_answer: str = "not_asked"
    vat_checked_at: datetime | None = None
    exemption_code: str | None = None

    @property
    def customer(self) -> Customer | None:
        """Return the customer as tax rules see it; None while its country is not known."""
        if self.country is None:
            return None
        return Customer(self.country, self.vat_id, self.exemption_code)


@dataclass(frozen=True, slots=True)
class BillingProfile:
    """A profile's row. `legal_entity_id` None: the default seller; `net_days`, `grace_hours` None: as the
    house has it; what a plan says holds before either.

    `cycle_anchor`: a wall time in the organization's zone that one of its billing boundaries falls on; None: the
    calendar month. `consolidation`: one invoice per customer, or one per subscription. `collection`: whether an invoice
    is charged when it opens, or waits to be paid; None: it is charged where there is a payment method. `version` 0:
    never changed.
    """

    id: UUID
    organization: UUID
    legal_entity_id: UUID | None = None
    net_days: int | None = None
    grace_hours: int | None = None
    purchase_order: str | None = None
    cycle_anchor: datetime | None = None
    consolidation: str = "customer"
    language: str = "en"
    tax: TaxProfile = TaxProfile()
    contact_version: int = 0
    version: int = 0
    created_at: datetime | None = None
    collection: str | None = None

    def charges(self, *, has_method: bool) -> bool:
        """Whether its invoices are charged by themselves."""
        if self.collection is None:
            return has_method
        return self.collection == CHARGE_AUTOMATICALLY and has_method


@dataclass(frozen=True, slots=True)
class Contact:
    """Where invoices go: personal data, kept apart from the profile."""

    name: str = ""
    email: str = ""
    address: Mapping[str, str] = field(default_factory=dict)


def profile_changed(
    profile: BillingProfile,
    changes: Mapping[str, Any],
    *,
    seller_country: str | None,
    contact_changed: bool = False,
    at: datetime,
) -> tuple[BillingProfile, Fact | None]:
    """Return the profile with other terms, and the fact of it; none when nothing differs.

    `changes` names fields of the profile and of its tax. When the country or the VAT id is another one, or who sells,
    the register's answer is forgotten: `pending` where the treatment hangs on it, else `not_asked`. Raises InvalidField
    and InvalidVatId for a VAT id that is none of the country's.
    """
    tax = _tax(profile.tax, changes, seller_country, at) if _TAXING & changes.keys() else profile.tax
    own = {name: value for name, value in changes.items() if name in _OWN}
    new = replace(profile, **own, tax=tax, contact_version=profile.contact_version + int(contact_changed))
    return _next(profile, new, "changed", at)


def answer_recorded(
    profile: BillingProfile, vat_id: str, answer: str, *, at: datetime
) -> tuple[BillingProfile, Fact | None]:
    """Return the profile with what the register said about a VAT id; no fact when it has another id by now, or nobody
    waits for the answer."""
    if profile.tax.vat_id != vat_id or profile.tax.vat_answer not in ("pending", "unknown"):
        return profile, None
    tax = replace(profile.tax, vat_answer=answer, vat_checked_at=at)
    return _next(profile, replace(profile, tax=tax), "vat_id_checked", at)


def read_language(value: object, *, pointer: str = "") -> str:
    """Return a language such as en or pt-BR. Raises InvalidField."""
    if type(value) is not str or not _LANGUAGE.fullmatch(value):
        raise InvalidField("A language is written as en or pt-BR.", pointer=pointer)
    return value


_OWN: Final = (
    "legal_entity_id", "net_days", "grace_hours", "purchase_order", "cycle_anchor", "consolidation", "language",
    "collection",
)  # fmt: skip


def _tax(old: TaxProfile, changes: Mapping[str, Any], seller_country: str | None, at: datetime) -> TaxProfile:
    stated = {name: changes[name] for name in ("country", "vat_id", "exemption_code") if name in changes}
    new = replace(old, **stated)
    if new.vat_id is not None:
        if new.country is None:
            raise InvalidField("A VAT id needs the customer's country.", pointer="/tax/country")
        new = replace(new, vat_id=vat_id_of(new.vat_id, new.country, pointer="/tax/vat_id"))
    if "vat_answer" in changes:
        if new.vat_id is None:
            raise InvalidField("There is no VAT id to answer for.", pointer="/tax/vat_answer")
        return replace(new, vat_answer=changes["vat_answer"], vat_checked_at=at)
    same = (new.country, new.vat_id) == (old.country, old.vat_id)
    if same and old.vat_answer in ("valid", "invalid", "unknown"):
        return new
    hangs = new.customer and seller_country and id_to_ask_for(seller_country, new.customer)
    return replace(new, vat_answer="pending" if hangs else "not_asked", vat_checked_at=None)


def _next(
    old: BillingProfile, new: BillingProfile, verb: str, at: datetime
) -> tuple[BillingProfile, Fact | None]:
    before, data = _data(old), _data(new)
    if before == data:
        return old, None
    new = replace(new, version=old.version + 1, created_at=old.created_at or at)
    said = with_changes(_data(new), before)
    return new, Fact(new.organization, "billing_profile", new.id, new.version, verb, said, at)


def _data(profile: BillingProfile) -> dict[str, Any]:
    tax, anchor = profile.tax, profile.cycle_anchor
    return {
        "legal_entity_id": id_text(profile.legal_entity_id),
        "net_days": profile.net_days,
        "grace_hours": profile.grace_hours,
        "purchase_order": profile.purchase_order,
        "cycle_anchor": None if anchor is None else anchor.isoformat(),
        "consolidation": profile.consolidation,
        "language": profile.language,
        "country": tax.country,
        "vat_id": tax.vat_id,
        "vat_answer": tax.vat_answer,
        "vat_checked_at": time_text(tax.vat_checked_at),
        "exemption_code": tax.exemption_code,
        "contact_version": profile.contact_version,
        "collection": profile.collection,
        "created_at": time_text(profile.created_at),
    }
