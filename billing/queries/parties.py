"""Who invoices a customer, and whom the invoice is for."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from billing.rules.parties import Buyer, Seller
from events.store import Cursor
from orgs.queries.organizations import find_organization

NET_DAYS: Final = 14
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
_EMAIL: Final = """
SELECT p.email FROM members m JOIN member_profiles p ON p.member_id = m.id
WHERE m.organization = %s AND m.archived_at IS NULL AND m.role IN ('billing_admin', 'owner') AND p.email <> ''
ORDER BY m.role, m.id LIMIT 1
"""


def seller_of(cur: Cursor, organization: UUID) -> Seller:
    """Return the legal entity that invoices this customer."""
    return HOUSE


def buyer_of(cur: Cursor, organization: UUID) -> Buyer:
    """Return a customer's billing profile; what it does not say is that of the organization. Raises NotFound."""
    found = find_organization(cur, organization=organization)
    row = cur.execute(_EMAIL, (organization,)).fetchone()
    return Buyer(
        name=found.name,
        country=None,
        vat_id=None,
        exemption_code=None,
        answer=None,
        email=row[0] if row else None,
        net_days=NET_DAYS,
        purchase_order=None,
        data={"name": found.name},
    )
