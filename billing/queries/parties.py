"""Who invoices a customer, and whom the invoice is for."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from billing.rules.parties import Buyer, Contact, Seller
from billing.rules.tax import Answer
from events.store import Cursor
from orgs.queries.organizations import find_organization

NET_DAYS: Final = 14
GRACE_HOURS: Final = 1
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
_SELLER: Final = """
SELECT e.id, e.name, e.country, e.address::text, e.vat_ids::text, e.number_pattern, e.invoice_series,
    e.credit_note_series
FROM legal_entities e LEFT JOIN billing_profiles p ON p.organization = %s
WHERE e.id = p.legal_entity_id OR (p.legal_entity_id IS NULL AND e.is_default AND e.archived_at IS NULL)
ORDER BY e.id LIMIT 1
"""
_PROFILE: Final = """
SELECT country, vat_id, vat_answer, exemption_code, net_days, grace_hours, purchase_order, cycle_anchor, language
FROM billing_profiles WHERE organization = %s
"""
_CONTACT: Final = "SELECT name, email, address::text FROM billing_contacts WHERE organization = %s"
_ADDRESSEE: Final = "SELECT name, email, address::text FROM invoice_addressees WHERE invoice_id = %s"
_EMAIL: Final = """
SELECT p.email FROM members m JOIN member_profiles p ON p.member_id = m.id
WHERE m.organization = %s AND m.archived_at IS NULL AND m.role IN ('billing_admin', 'owner') AND p.email <> ''
ORDER BY m.role, m.id LIMIT 1
"""
_ANSWERS: Final[dict[str, Answer]] = {
    "valid": "valid",
    "invalid": "invalid",
    "unknown": "invalid",
    "pending": "unavailable",
}
_NOTHING: Final = (None, None, "not_asked", None, None, None, None, None, "en")


def seller_of(cur: Cursor, organization: UUID) -> Seller:
    """Return the legal entity that invoices this customer: the one that its profile names, else the default one."""
    row = cur.execute(_SELLER, (organization,)).fetchone()
    if row is None:
        return HOUSE
    identifier, name, country, address, vat_ids, pattern, series, credit_series = row
    data = {
        "name": name,
        "country": country,
        "address": json.loads(address),
        "vat_ids": json.loads(vat_ids),
    }
    return Seller(identifier, name, country, "UTC", pattern, series, credit_series, data)


def buyer_of(cur: Cursor, organization: UUID) -> Buyer:
    """Return how a customer is billed; what its profile leaves open is as the house has it. Raises NotFound.

    Without personal data: that is in `contact_of`, and in no event.
    """
    found = find_organization(cur, organization=organization)
    row = cur.execute(_PROFILE, (organization,)).fetchone() or _NOTHING
    country, vat_id, answer, exemption_code, net_days, grace_hours, purchase_order, anchor, language = row
    data: dict[str, Any] = {
        "name": found.name,
        "country": country,
        "vat_id": vat_id,
        "language": language,
    }
    return Buyer(
        name=found.name,
        country=country,
        vat_id=vat_id,
        exemption_code=exemption_code,
        answer=_ANSWERS.get(answer),
        net_days=NET_DAYS if net_days is None else net_days,
        grace=timedelta(hours=GRACE_HOURS if grace_hours is None else grace_hours),
        purchase_order=purchase_order,
        cycle_anchor=anchor,
        data={name: value for name, value in data.items() if value is not None},
    )


def contact_of(cur: Cursor, organization: UUID) -> Contact:
    """Return whom invoices are addressed to; without an address of its own, a billing administrator's or owner's."""
    row = cur.execute(_CONTACT, (organization,)).fetchone()
    name, email, address = row if row is not None else ("", "", "{}")
    if not email:
        found = cur.execute(_EMAIL, (organization,)).fetchone()
        email = found[0] if found else ""
    return Contact(name, email, json.loads(address))


def addressee_of(cur: Cursor, invoice: UUID) -> Contact | None:
    """Return whom a finalised invoice is addressed to; None when that was erased."""
    row = cur.execute(_ADDRESSEE, (invoice,)).fetchone()
    return None if row is None else Contact(row[0], row[1], json.loads(row[2]))
