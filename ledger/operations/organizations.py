"""Making an organization together with its books, in one transaction."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.ids import new_id
from events.store import Cursor, Event, append
from ledger.rules.chart import KINDS, LIVE, credit_limit
from orgs import PLATFORM_ID
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from orgs.operations.organizations import created_event


@dataclass(frozen=True, slots=True)
class NewOrganization:
    """What a new organization is to be; credit_limit in units, of postpaid ones only (None: no limit)."""

    name: str
    currency: str = "USD"
    time_zone: str = "UTC"
    funding: str = "prepaid"
    credit_limit: int | None = None
    sandbox: bool = False


def create_organization(cur: Cursor, new: NewOrganization, *, author: Author) -> UUID:
    """This function will make an organization with its standard chart of accounts and return its id.

    The platform's row is locked meanwhile: the new one has none yet. Raises InvalidField.
    """
    now = lock_organization(cur, PLATFORM_ID).now
    organization = new_id()
    made = created_event(
        organization=organization,
        name=new.name,
        currency=new.currency,
        time_zone=new.time_zone,
        funding=new.funding,
        credit_limit=new.credit_limit,
        now=now,
        author=author,
        sandbox=new.sandbox,
    )
    append(cur, [made, *_chart(organization, new, now, author)])
    return organization


def _chart(organization: UUID, new: NewOrganization, now: datetime, author: Author) -> Iterator[Event]:
    for kind in KINDS:
        limit = credit_limit(kind, funding=new.funding, limit=new.credit_limit)
        data = {"kind": kind, "currency": new.currency, "live": kind in LIVE, "credit_limit": limit}
        yield Event(organization, "account", new_id(), 1, "account.opened", data, now, author.actor)
