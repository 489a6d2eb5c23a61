"""What every call on a subscription begins with: the lock, what is due, and the row as it is then."""

from typing import NamedTuple
from uuid import UUID

from billing.operations.subscriptions.advance import advance
from billing.operations.subscriptions.recording import known_of
from billing.queries.subscriptions import find_subscription
from billing.rules.subscriptions.row import Subscription
from billing.rules.subscriptions.work import Known
from events.store import Cursor
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_customer
from orgs.rules.rows import LockedOrganization


class Opened(NamedTuple):
    """A subscription under its organization's lock, with what decisions on it know."""

    locked: LockedOrganization
    row: Subscription
    known: Known


def open_customer(cur: Cursor, organization: UUID) -> LockedOrganization:
    """This function will lock a customer and pass every boundary of its subscriptions that is due: a decision is never
    made on a period that is over. Raises NotFound, InvalidTransition (the platform) and OrganizationClosed."""
    locked = lock_organization(cur, organization)
    require_customer(locked)
    advance(cur, locked, until=locked.now)
    return locked


def open_subscription(cur: Cursor, organization: UUID, subscription: UUID) -> Opened:
    """This function will do so and read one subscription. Raises NotFound, and what `open_customer` raises."""
    locked = open_customer(cur, organization)
    row = find_subscription(cur, organization=organization, subscription=subscription)
    return Opened(locked, row, known_of(cur, locked, row, at=locked.now))
