"""Changing how an organization is billed, and erasing whom its invoices go to."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.operations.invoices.waiting import try_tax_again
from billing.queries.profiles import billing_contact, billing_profile
from billing.queries.sellers import default_legal_entity, find_legal_entity
from billing.rules.profiles import BillingProfile, Contact, profile_changed
from common import fields
from common.errors import InvalidTransition
from events.store import Cursor, encode
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_customer
from orgs.rules.rows import LockedOrganization

_SAVE: Final = """
INSERT INTO billing_contacts (organization, name, email, address) VALUES (%s, %s, %s, %s)
ON CONFLICT (organization) DO UPDATE SET name = EXCLUDED.name, email = EXCLUDED.email, address = EXCLUDED.address
"""


def change_billing_profile(
    cur: Cursor,
    organization: UUID,
    changes: Mapping[str, Any],
    *,
    author: Author,
    contact: Contact | None = None,
) -> BillingProfile:
    """This function will change how an organization is billed, from its next invoice on.

    `changes` by field; `legal_entity` is a key or id (None: the default one), `cycle_anchor` a wall time as text, in
    the organization's zone. A `contact` replaces the one that is. The same values again change nothing. Raises
    NotFound, InvalidTransition (an archived legal entity, the platform), OrganizationClosed, InvalidField,
    InvalidVatId, NonexistentLocalTime and InvalidDatetime.
    """
    locked = lock_organization(cur, organization)
    require_customer(locked)
    found = billing_profile(cur, organization)
    stated, seller_country = _resolved(cur, locked, found, dict(changes))
    is_new_contact = contact is not None and contact != billing_contact(cur, organization)
    changed, fact = profile_changed(
        found, stated, seller_country=seller_country, contact_changed=is_new_contact, at=locked.now
    )
    record(cur, [fact], author=author)
    if (changed.tax, changed.legal_entity_id) != (found.tax, found.legal_entity_id):
        try_tax_again(cur, locked, author=author)
    if contact is not None and is_new_contact:
        cur.execute(
            _SAVE, (organization, contact.name, contact.email, encode(dict(contact.address)).decode())
        )
    return changed


def erase_billing_contact(cur: Cursor, organization: UUID, *, author: Author) -> BillingProfile:
    """This function will erase the name, e-mail and address that invoices go to, also of a closed organization. Nothing
    of them stands in any event. Raises NotFound."""
    locked = lock_organization(cur, organization)
    found = billing_profile(cur, organization)
    is_there = billing_contact(cur, organization) != Contact()
    changed, fact = profile_changed(found, {}, seller_country=None, contact_changed=is_there, at=locked.now)
    record(cur, [fact], author=author)
    cur.execute("DELETE FROM billing_contacts WHERE organization = %s", (organization,))
    return changed


def _resolved(
    cur: Cursor, locked: LockedOrganization, profile: BillingProfile, changes: dict[str, Any]
) -> tuple[dict[str, Any], str | None]:
    """The changes with ids and times in the place of names and texts, and the country of who sells."""
    if "legal_entity" in changes:
        changes["legal_entity_id"] = _entity_to_name(cur, changes.pop("legal_entity"))
    if changes.get("cycle_anchor") is not None:
        changes["cycle_anchor"] = _anchor(changes["cycle_anchor"], locked.time_zone)
    seller = changes.get("legal_entity_id", profile.legal_entity_id)
    entity = default_legal_entity(cur) if seller is None else find_legal_entity(cur, str(seller))
    return changes, None if entity is None else entity.terms.country


def _entity_to_name(cur: Cursor, name: str | None) -> UUID | None:
    if name is None:
        return None
    entity = find_legal_entity(cur, name, lock="to_name", pointer="/legal_entity")
    if entity.archived_at is not None:
        raise InvalidTransition("The legal entity is archived.", pointer="/legal_entity")
    return entity.id


def _anchor(text: str, zone: str) -> datetime:
    """The wall time, which the zone's clocks must show."""
    fields.wall_time(text, zone=zone, pointer="/cycle_anchor")
    return datetime.fromisoformat(text.upper()).replace(microsecond=0)
