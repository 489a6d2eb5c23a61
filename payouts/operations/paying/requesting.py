"""Making a payout: the balance is judged and the money taken in one transaction, under the partner's lock (S101)."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.conf import settings

from billing import stripe_gateway
from common.errors import InvalidTransition
from common.ids import new_id
from events.store import Cursor
from ledger.operations.books import lock_books
from orgs.operations.facts import Author
from orgs.rules.organizations import require_customer
from orgs.rules.rows import LockedOrganization
from payouts.operations.paying.machine import keep, proceed
from payouts.queries.partners import require_partner, withdrawable
from payouts.queries.payouts import latest_payout
from payouts.rules.paying.judging import amount_of
from payouts.rules.paying.row import Payout, taken
from payouts.rules.paying.states import REQUESTED

SCHEDULER: Final = Author("system:payouts.schedule")


def require_own_money(organization: LockedOrganization) -> None:
    """Refuse to move real money for a sandbox; against a test key it may. Raises InvalidTransition."""
    if organization.sandbox and "_live_" in (settings.STRIPE_API_KEY or ""):
        raise InvalidTransition("A sandbox is paid nothing.")


def request_payout(
    cur: Cursor,
    *,
    organization: UUID,
    amount: int | None,
    cause: str,
    author: Author,
    requested_by: str | None = None,
    batch: UUID | None = None,
) -> Payout:
    """This function will pay a partner `amount` units, or all that can be withdrawn, and return the payout: held,
    waiting for approval, or approved and about to be sent.

    The amount is cut down to what reaches a bank account; the rest stays. It leaves partner_payable in the same event,
    so no other payout sees it (P1). `requested_by`: on whose behalf, where that is not the author. Raises NotFound,
    OrganizationClosed, NotConfigured, PayoutAccountMissing, PayoutUnderWay, PayoutTooSoon, NotWithdrawable and
    BelowMinimumPayout: then nothing has moved.
    """
    stripe_gateway.require_configured()
    books = lock_books(cur, organization)
    require_customer(books.organization)
    require_own_money(books.organization)
    partner = require_partner(cur, organization)
    found = withdrawable(cur, organization)
    last = latest_payout(cur, organization)
    units = amount_of(partner, found, amount, last, now=books.now)
    assert partner.stripe_account is not None
    made = Payout(
        id=new_id(),
        organization=organization,
        amount=units,
        currency=partner.currency,
        state=REQUESTED,
        cause=cause,
        requested_at=books.now,
        requested_by=requested_by or author.actor,
        account=partner.stripe_account,
        destination=partner.destination,
        batch=batch,
    )
    keep(cur, books, None, made, taken(made), author=author)
    return proceed(cur, books, made, author=author)
