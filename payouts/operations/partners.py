"""Enrolling partners and changing what finance agrees with them; and what the processor says of their accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from billing.rules.payments.views import AccountView
from common.errors import InvalidTransition
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_customer
from payouts.operations.paying.machine import end_review, forget_review
from payouts.queries.partners import find_partner, require_partner
from payouts.rules.partners import Partner, Terms, account_seen, partner_changed, partner_enrolled

_KEY: Final = "INSERT INTO partner_reference_keys (partner) VALUES (%s) ON CONFLICT DO NOTHING"


def enroll_partner(cur: Cursor, *, organization: UUID, terms: Terms | None = None, author: Author) -> Partner:
    """This function will make an organization a partner, which may then publish listings.

    Its money is in the organization's currency. Raises NotFound, InvalidTransition (it is one already, or it is the
    platform), OrganizationClosed and InvalidField.
    """
    locked = lock_organization(cur, organization)
    require_customer(locked)
    if find_partner(cur, organization) is not None:
        raise InvalidTransition("The organization is a partner already.")
    made, fact = partner_enrolled(organization, locked.currency, terms or Terms(), at=locked.now)
    record(cur, [fact], author=author)
    cur.execute(_KEY, (organization,))
    return made


def change_partner(cur: Cursor, *, organization: UUID, changes: Mapping[str, Any], author: Author) -> Partner:
    """This function will change fields of a partner's Terms; `hold_reason` holds its payouts, None lets them go on,
    also the one that is held for it now. Another reason holds what was released for the one before.

    What was collected before is judged by the new holdback, too, unless it was moved. Raises NotFound and InvalidField.
    """
    locked = lock_organization(cur, organization)
    before = require_partner(cur, organization)
    changed, fact = partner_changed(before, changes, at=locked.now)
    record(cur, [fact], author=author)
    if changed.terms.hold_reason != before.terms.hold_reason:
        forget_review(cur, organization, author=author)
    if changed.terms.hold_reason is None:
        end_review(cur, organization, author=author)
    return changed


def set_account(cur: Cursor, *, organization: UUID, view: AccountView, author: Author) -> Partner:
    """This function will keep what the processor says of a partner's connected account; the same twice changes nothing.

    Raises NotFound, and InvalidTransition for another account than the partner has.
    """
    locked = lock_organization(cur, organization)
    seen, fact = account_seen(require_partner(cur, organization), view, at=locked.now)
    record(cur, [fact], author=author)
    return seen
