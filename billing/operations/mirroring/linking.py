"""Which organization a customer at the processor is, where nobody here made it; and what credit a price gives."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from billing.queries.mirroring import find_price, is_mirrored, linked_customer
from billing.rules.mirroring.rows import CreditPrice, customer_fact, price_fact
from common.errors import InvalidTransition, NameConflict, NotFound
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization, lock_organizations
from orgs.rules.organizations import require_customer


def link_customer(cur: Cursor, *, organization: UUID, customer: str, author: Author) -> datetime:
    """This function will say that a customer at the processor is this organization, and return when that was said.

    Saying the same again changes nothing. Raises NotFound, and InvalidTransition when it is another organization's and
    something of it is mirrored, or for the platform and closed organizations.
    """
    locked = lock_organizations(cur, {organization, PLATFORM_ID})
    require_customer(locked[organization])
    known = linked_customer(cur, customer)
    if known is not None and known[0] == organization:
        return locked[organization].now
    if known is not None and is_mirrored(cur, customer):
        raise InvalidTransition("What this customer has is mirrored for another organization.")
    version, now = (0 if known is None else known[1]), locked[organization].now
    record(cur, [customer_fact(organization, customer, version=version, at=now)], author=author)
    return now


def create_credit_price(
    cur: Cursor,
    *,
    price: str,
    name: str,
    credit: int,
    currency: str,
    lifetime_days: int | None,
    author: Author,
) -> CreditPrice:
    """This function will say how much credit (units) a price of the processor gives on a paid invoice.

    An archived one may be made anew. Raises NameConflict for a price that gives credit already.
    """
    locked = lock_organization(cur, PLATFORM_ID)
    try:
        before = find_price(cur, price)
    except NotFound:
        before = None
    if before is not None and before.archived_at is None:
        raise NameConflict("This price gives credit already.", pointer="/price")
    made = CreditPrice(
        price, name, credit, currency, lifetime_days, locked.now, version=before.version if before else 0
    )
    record(cur, [price_fact(made, PLATFORM_ID, verb="created", at=locked.now)], author=author)
    return replace(made, version=made.version + 1)


def change_credit_price(cur: Cursor, *, price: str, changes: dict[str, Any], author: Author) -> CreditPrice:
    """This function will change what a price gives, from the next paid invoice on. Raises NotFound, and
    InvalidTransition for an archived one."""
    return _changed(cur, price, changes, "changed", author)


def archive_credit_price(cur: Cursor, *, price: str, author: Author) -> CreditPrice:
    """This function will end a price's credit; what was given stays. Raises NotFound."""
    locked = lock_organization(cur, PLATFORM_ID)
    before = find_price(cur, price)
    if before.archived_at is not None:
        return before
    return _changed(cur, price, {"archived_at": locked.now}, "archived", author)


def _changed(cur: Cursor, price: str, changes: dict[str, Any], verb: str, author: Author) -> CreditPrice:
    locked = lock_organization(cur, PLATFORM_ID)
    before = find_price(cur, price)
    if before.archived_at is not None:
        raise InvalidTransition("The price is archived.")
    after = replace(before, **changes)
    if after == before:
        return before
    record(cur, [price_fact(after, PLATFORM_ID, verb=verb, at=locked.now)], author=author)
    return replace(after, version=after.version + 1)
