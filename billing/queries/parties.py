"""Who invoices a customer, and whom the invoice is for, as an invoice keeps them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from billing.queries import sellers
from billing.queries.contracts import invoicing_terms
from billing.queries.profiles import billing_contact, billing_profile
from billing.queries.taxrates import rates_of
from billing.rules.parties import Buyer, Seller
from billing.rules.profiles import Contact
from billing.rules.sellers import LegalEntity
from common.errors import NotFound
from events.store import Cursor

NET_DAYS: Final = 0
"""To pay, where neither contract nor plan nor billing profile says it; a contract that names none gives 30."""
GRACE_HOURS: Final = 72
"""From a draft to its number: time to look at it, and to void what is wrong."""
HOUSE: Final = Seller(
    id=UUID("01900000-0000-7000-8000-0000000000e1"),
    name="Counterfoil",
    country=None,
    zone="UTC",
    pattern="{series}-{year}-{counter:6}",
    series="INV",
    credit_series="CN",
    data={"name": "Counterfoil"},
)
"""Who invoices where no legal entity was set up: it charges no tax."""
_ADDRESSEE: Final = "SELECT name, email, address::text FROM invoice_addressees WHERE invoice_id = %s"
_BUYER: Final = "SELECT name, clock_timestamp() + clock_offset FROM organizations WHERE id = %s"
_EMAIL: Final = """
SELECT p.email FROM members m JOIN member_profiles p ON p.member_id = m.id
WHERE m.organization = %s AND m.archived_at IS NULL AND m.role IN ('billing_admin', 'owner') AND p.email <> ''
ORDER BY m.role, m.id LIMIT 1
"""


def seller_of(cur: Cursor, organization: UUID) -> Seller:
    """Return the legal entity that invoices this customer; the house itself where none was set up."""
    try:
        entity = sellers.seller_of(cur, organization)
    except NotFound:
        return HOUSE
    return _seller(entity)


def seller_named(cur: Cursor, entity: UUID) -> Seller:
    """Return the legal entity that a document names, whoever invoices its customer now. Raises NotFound."""
    return HOUSE if entity == HOUSE.id else _seller(sellers.find_legal_entity(cur, str(entity)))


def _seller(entity: LegalEntity) -> Seller:
    terms = entity.terms
    data = {
        "name": terms.name,
        "country": terms.country,
        "address": dict(terms.address),
        "vat_ids": dict(terms.vat_ids),
    }
    return Seller(
        entity.id,
        terms.name,
        terms.country,
        "UTC",
        terms.number_pattern,
        terms.invoice_series,
        terms.credit_note_series,
        data,
    )


def buyer_of(cur: Cursor, organization: UUID) -> Buyer:
    """Return how a customer is billed; what its profile leaves open is as the house has it. A contract's
    purchase order and days to pay come before the profile's. Raises NotFound.

    Without personal data: that is in `contact_of`, and in no event.
    """
    row = cur.execute(_BUYER, (organization,)).fetchone()
    if row is None:
        raise NotFound("There is no such organization.")
    name, now = row
    profile = billing_profile(cur, organization)
    agreed = invoicing_terms(cur, organization=organization, at=now)
    net_days = profile.net_days if agreed is None else agreed.net_days
    data: dict[str, Any] = {
        "name": name,
        "country": profile.tax.country,
        "vat_id": profile.tax.vat_id,
        "language": profile.language,
    }
    return Buyer(
        name=name,
        customer=profile.tax.customer,
        vat_answer=profile.tax.vat_answer,
        net_days=NET_DAYS if net_days is None else net_days,
        grace=timedelta(hours=GRACE_HOURS if profile.grace_hours is None else profile.grace_hours),
        purchase_order=(agreed and agreed.purchase_order) or profile.purchase_order,
        cycle_anchor=profile.cycle_anchor,
        consolidation=profile.consolidation,
        data={name: value for name, value in data.items() if value is not None},
        rates=rates_of(cur, profile.tax.country),
    )


def contact_of(cur: Cursor, organization: UUID) -> Contact:
    """Return whom invoices are addressed to; without an address of its own, a billing administrator's or owner's."""
    found = billing_contact(cur, organization)
    if found.email:
        return found
    row = cur.execute(_EMAIL, (organization,)).fetchone()
    return Contact(found.name, row[0] if row else "", found.address)


def addressee_of(cur: Cursor, invoice: UUID) -> Contact | None:
    """Return whom a finalised invoice is addressed to; None when that was erased."""
    row = cur.execute(_ADDRESSEE, (invoice,)).fetchone()
    return None if row is None else Contact(row[0], row[1], json.loads(row[2]))
