"""A customer at the processor for each organization that is to pay, made when it is needed."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from billing.operations.commands.requesting import request
from billing.operations.commands.sending import AUTHOR
from billing.operations.dunning import notice
from billing.queries.commands import find_command, has_open_command
from billing.queries.customers import customer_named, customer_of
from billing.rules.payments import customers
from billing.rules.payments.applied import APPLIED, FOREIGN, UNCHANGED, Applied
from billing.rules.payments.commands import Command
from billing.rules.payments.customers import Customer
from billing.rules.payments.outcomes import Outcome, Succeeded
from billing.rules.payments.views import CustomerView
from common.errors import InvalidTransition, NotFound
from common.fields import is_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_customer

CREATE: Final = "create_customer"
UPDATE: Final = "update_customer"
_FORGET: Final = "DELETE FROM payment_methods WHERE organization = %s"


def require_payer(cur: Cursor, organization: UUID) -> Customer:
    """This function will lock an organization and return who it is at the processor.

    Raises NotFound, InvalidTransition for the platform, a sandbox (its time is not the processor's), and
    OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    require_customer(locked)
    if locked.sandbox:
        raise InvalidTransition("A sandbox pays nothing: its time is not the processor's.")
    return customer_of(cur, organization)


def ensure_customer(cur: Cursor, *, organization: UUID, author: Author) -> Command | None:
    """This function will have a customer made at the processor, unless there is one; then it returns None.

    One that was deleted there is made anew, by a new generation. Nothing personal is sent. Raises as `require_payer`.
    """
    row = require_payer(cur, organization)
    if row.customer is not None:
        return None
    params = {"description": f"organization {organization}"}
    key = f"organization:{organization}:{row.version}"
    return request(
        cur,
        organization=organization,
        purpose=CREATE,
        business_key=key,
        params=params,
        author=author,
        order_key=f"organization:{organization}",
    )


def settle_customer(cur: Cursor, command: Command, outcome: Outcome) -> None:
    """This function will note the customer that a command made."""
    if isinstance(outcome, Succeeded):
        _created(cur, command.organization, outcome.object_id, outcome.view, AUTHOR)


def apply_customer(cur: Cursor, view: CustomerView, *, author: Author) -> Applied:
    """This function will bring an organization's row to what the processor says of its customer.

    One that was deleted there pays nothing any more. Its default method there becomes ours, when it is one that it has
    here, and no change of ours is on its way. A customer that no command of ours asked for is foreign.
    """
    row = customer_named(cur, view.id)
    if row is None:
        return _adopt(cur, view, author)
    locked = lock_organization(cur, row.organization)
    row = customer_of(cur, row.organization)
    if row.customer != view.id:
        return Applied(UNCHANGED, "it has another customer by now")
    if view.deleted:
        return _deleted(cur, row, locked.now, author)
    is_changing = has_open_command(cur, organization=row.organization, purpose=UPDATE)
    if (
        is_changing
        or view.default_method in (None, row.default_method)
        or view.default_method not in row.methods
    ):
        return Applied(UNCHANGED)
    after = customers.chosen(row, str(view.default_method))
    record(cur, [customers.fact(after, "method_chosen", at=locked.now)], author=author)
    notice.method_changed(cur, organization=row.organization, author=author)
    return Applied(APPLIED, "another method pays")


def _deleted(cur: Cursor, row: Customer, now: datetime, author: Author) -> Applied:
    after = customers.deleted(row, at=now)
    record(cur, [customers.fact(after, "deleted", at=now)], author=author)
    cur.execute(_FORGET, (row.organization,))
    return Applied(APPLIED, "it was deleted")


def _adopt(cur: Cursor, view: CustomerView, author: Author) -> Applied:
    """A customer of ours that our own call has not told of yet; any other is foreign."""
    named, command = view.metadata.get("organization"), view.metadata.get("command")
    if view.deleted or named is None or command is None or not is_id(named) or not is_id(command):
        return Applied(FOREIGN)
    organization = UUID(named)
    try:
        asked = find_command(cur, UUID(command), organization=organization)
    except NotFound:
        return Applied(FOREIGN)
    if asked.purpose != CREATE:
        return Applied(FOREIGN)
    return _created(cur, organization, view.id, view, author)


def _created(
    cur: Cursor, organization: UUID, customer: str, view: CustomerView | None, author: Author
) -> Applied:
    locked = lock_organization(cur, organization)
    row = customer_of(cur, organization)
    if row.customer is not None:
        return Applied(UNCHANGED, "it has a customer already")
    livemode = view is not None and view.livemode
    after = customers.created(row, customer, livemode=livemode, at=locked.now)
    record(cur, [customers.fact(after, "created", at=locked.now)], author=author)
    return Applied(APPLIED, "it was made")
