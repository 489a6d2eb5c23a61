"""Billing profiles, and the contact that stands apart from them."""

from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import msgspec

from billing.rules.profiles import BillingProfile, Contact, TaxProfile
from common.ids import new_id
from events.store import Cursor

_decode = msgspec.json.Decoder(dict[str, str]).decode
_PROFILE: Final = """
SELECT id, organization, legal_entity_id, net_days, grace_hours, purchase_order, cycle_anchor, consolidation, language,
    country, vat_id, vat_answer, vat_checked_at, exemption_code, contact_version, version, created_at,
    collection
FROM billing_profiles
"""
_WAITING: Final = (
    "SELECT organization FROM billing_profiles WHERE vat_answer = 'pending' ORDER BY id LIMIT %s"
)


def billing_profile(cur: Cursor, organization: UUID) -> BillingProfile:
    """Return how an organization is billed: its profile, or before its first change the defaults (version 0), with the
    id that a first change would give it."""
    row = cur.execute(_PROFILE + " WHERE organization = %s", (organization,)).fetchone()
    return BillingProfile(new_id(), organization) if row is None else _profile(row)


def billing_contact(cur: Cursor, organization: UUID) -> Contact:
    """Return where an organization's invoices go; an empty contact when nothing was said, or it was erased."""
    statement = "SELECT name, email, address::text FROM billing_contacts WHERE organization = %s"
    row = cur.execute(statement, (organization,)).fetchone()
    return Contact() if row is None else Contact(row[0], row[1], _decode(row[2]))


def waiting_for_answers(cur: Cursor, *, limit: int) -> list[UUID]:
    """Return up to `limit` organizations whose VAT id the register has not answered for."""
    return [row[0] for row in cur.execute(_WAITING, (limit,)).fetchall()]


def _profile(row: tuple[Any, ...]) -> BillingProfile:
    tax = TaxProfile(*row[9:14])
    contact_version, version, created_at, collection = row[14:]
    return replace(
        BillingProfile(*row[:9]),
        tax=tax,
        contact_version=contact_version,
        version=version,
        created_at=created_at,
        collection=collection,
    )
