"""What others tell dunning, in their own transaction: an invoice is due, a payment went or failed, there is a new method.

One authority (S95): webhook, command, timer, admin and reconciliation all come through these four and through
`commanding`; each locks the organization, lets the machine decide, and records what follows. Without a case, and with
nothing overdue, they do nothing.
"""

from __future__ import annotations

from uuid import UUID

from billing.rules.payments.views import Failure
from events.store import Cursor
from orgs.operations.facts import Author


def invoice_opened_or_overdue(cur: Cursor, *, organization: UUID, author: Author) -> None:
    """This function will open a case for the first overdue invoice of a customer, or let further ones join it."""


def payment_failed(
    cur: Cursor, *, organization: UUID, invoice: UUID, failure: Failure, author: Author
) -> None:
    """This function will note that a payment of an invoice failed, and take the step that waited for its outcome."""


def payment_settled(cur: Cursor, *, organization: UUID, author: Author) -> None:
    """This function will close the case when all of its invoices are settled, which opens the gate."""


def method_changed(cur: Cursor, *, organization: UUID, author: Author) -> None:
    """This function will have everything that is unpaid collected at once by a customer's new payment method."""
