"""What a customer pays with: left by a setup at the processor, chosen, and detached."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from billing import stripe_gateway
from billing.operations.commands.requesting import request
from billing.operations.commands.sending import AUTHOR, deliver
from billing.operations.dunning import notice
from billing.operations.payments.charging import PAY
from billing.operations.payments.customers import UPDATE, ensure_customer, require_payer
from billing.queries.commands import find_command
from billing.queries.customers import customer_named, customer_of, holder_of_method
from billing.rules.payments import customers
from billing.rules.payments.applied import APPLIED, FOREIGN, UNCHANGED, Applied
from billing.rules.payments.commands import SUCCEEDED, Command
from billing.rules.payments.customers import Customer
from billing.rules.payments.outcomes import Outcome, Refused
from billing.rules.payments.row import Payment
from billing.rules.payments.views import MethodView, SetupView
from common.clock import wall_now
from common.errors import InvalidTransition, NotFound
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization

logger = logging.getLogger(__name__)

SETUP: Final = "create_setup"
DETACH: Final = "detach_method"
# seen_at stays what it was: a card that the network renewed was left by nobody a second time.
_SAVE: Final = """
INSERT INTO payment_methods AS m (id, organization, kind, brand, last4, exp_month, exp_year, fingerprint, seen_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET organization = EXCLUDED.organization, kind = EXCLUDED.kind, brand = EXCLUDED.brand,
    last4 = EXCLUDED.last4, exp_month = EXCLUDED.exp_month, exp_year = EXCLUDED.exp_year,
    fingerprint = EXCLUDED.fingerprint
WHERE (m.brand, m.last4, m.exp_month, m.exp_year) IS DISTINCT FROM
    (EXCLUDED.brand, EXCLUDED.last4, EXCLUDED.exp_month, EXCLUDED.exp_year)
RETURNING xmax <> 0
"""
_LAST: Final = """
SELECT c.state = 'refused' OR p.status IN ('failed', 'canceled') FROM outbound_commands c
LEFT JOIN payments p ON p.id = (c.params->'metadata'->>'payment')::uuid
WHERE c.organization = %s AND c.purpose = %s AND c.params->>'payment_method' = %s
    AND c.state IN ('succeeded', 'refused') ORDER BY c.id DESC LIMIT 1
"""
"""Whether the last payment by a method was declined: a bank debit is made, and fails days later. The next collection
cancels what failed."""
_CAME_AFTER: Final = "SELECT 1 FROM payment_methods WHERE id = %s AND seen_at > %s"
_FORGET: Final = "DELETE FROM payment_methods WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Setup:
    """How a customer leaves a payment method: the processor's SetupIntent, and its secret for the customer's browser.
    The secret is asked for each time and never stored. `status` is the processor's."""

    id: UUID
    setup_intent: str
    client_secret: str
    status: str


def require_setup(*, organization: UUID, author: Author) -> None:
    """This function will see to it that there is a customer at the processor, and make one now where there is none.

    No transaction is open while the processor is called. Raises what `require_payer` raises, and ProcessorUnavailable
    when it does not answer now: the customer is made later, and the call is repeated.
    """
    stripe_gateway.require_configured()
    asked = run_in_transaction(lambda cur: ensure_customer(cur, organization=organization, author=author))
    if asked is not None and deliver(asked.id).state != SUCCEEDED:
        raise stripe_gateway.ProcessorUnavailable(retry_after=5)


def request_setup(cur: Cursor, *, organization: UUID, identifier: UUID, author: Author) -> Command:
    """This function will ask for a setup under an id of the caller's; `finish_setup` completes it after the commit.
    Raises what `require_payer` raises, and InvalidTransition without a customer."""
    row = require_payer(cur, organization)
    if row.customer is None:
        raise InvalidTransition("There is no customer at the processor yet.")
    return request(
        cur,
        organization=organization,
        purpose=SETUP,
        business_key=f"setup:{identifier}",
        params={
            "customer": row.customer,
            "usage": "off_session",
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        },
        author=author,
        order_key=row.customer,
        identifier=identifier,
    )


def finish_setup(*, organization: UUID, setup: UUID) -> Setup:
    """This function will make a setup that was asked for, if it is not made yet, and return it with its secret, and
    with what became of it by now.

    Raises NotFound, ProcessorUnavailable and InvalidTransition (the processor refused it).
    """
    found = run_in_transaction(lambda cur: find_command(cur, setup, organization=organization))
    if found.purpose != SETUP:
        raise NotFound("There is no such setup.")
    done = deliver(setup) if found.is_open else found
    if done.is_open:
        raise stripe_gateway.ProcessorUnavailable(retry_after=5)
    if done.state != SUCCEEDED or done.object_id is None:
        raise InvalidTransition(f"The processor refused the setup: {done.error or done.error_code}")
    view = stripe_gateway.setup(done.object_id)
    if view.status == "succeeded":
        method = method_of_setup(view)
        run_in_transaction(lambda cur: apply_setup(cur, view, method, author=AUTHOR))
    return Setup(setup, done.object_id, stripe_gateway.setup_secret(done.object_id), view.status)


def refresh_methods(*, organization: UUID, author: Author) -> None:
    """This function will ask the processor which methods the customer has, and take that over; for when an event of it
    is late. Raises NotFound and ProcessorUnavailable."""
    row = run_in_transaction(lambda cur: customer_of(cur, organization))
    if row.customer is None:
        return
    views = list(stripe_gateway.list_methods(row.customer))
    gone = set(row.methods) - {view.id for view in views}

    def take_over(cur: Cursor) -> None:
        for view in reversed(views):
            apply_method(cur, view, attached=True, author=author)
        for method in sorted(gone):
            _detached(cur, organization, method, author)

    run_in_transaction(take_over)


def choose_method(cur: Cursor, *, organization: UUID, method: str, author: Author) -> Customer:
    """This function will have another method pay, here at once and at the processor by a command; what is unpaid is
    tried with it. The same again changes nothing. Raises NotFound."""
    locked = lock_organization(cur, organization)
    row = customer_of(cur, organization)
    if method in row.methods and row.default_method == method:
        return row
    after = _choose(cur, row, method, locked.now, author)
    notice.method_changed(cur, organization=organization, author=author)
    return after


def detach_method(cur: Cursor, *, organization: UUID, method: str, author: Author) -> Customer:
    """This function will detach a method: from now on it pays nothing here, and a command tells the processor. What it
    looked like is forgotten. Raises NotFound."""
    lock_organization(cur, organization)
    row = customer_of(cur, organization)
    if method not in row.methods:
        raise NotFound("There is no such payment method.")
    after = _detached(cur, organization, method, author)
    request(
        cur,
        organization=organization,
        purpose=DETACH,
        business_key=f"method:{method}:{after.version}",
        params={},
        author=author,
        target=method,
        order_key=row.customer,
    )
    return after


def apply_method(cur: Cursor, view: MethodView, *, attached: bool, author: Author) -> Applied:
    """This function will bring what a customer pays with to what the processor says of a method. One that is new, or
    looks different now, is tried with what is unpaid. A method of nobody of ours is foreign."""
    if not attached or view.customer is None:
        return _apply_detached(cur, view, author)
    row = customer_named(cur, view.customer)
    if row is None:
        return Applied(FOREIGN)
    locked = lock_organization(cur, row.organization)
    row = customer_of(cur, row.organization)
    if row.customer != view.customer or _is_leaving(cur, row, view.id):
        return Applied(UNCHANGED)
    is_new = _attach(cur, row, view.id, locked.now, author)
    is_other = _look(cur, row.organization, view)
    if not is_new and not is_other:
        return Applied(UNCHANGED)
    notice.method_changed(cur, organization=row.organization, author=author)
    return Applied(APPLIED, "attached" if is_new else "it looks different now")


def another_pays(cur: Cursor, payment: Payment, *, author: Author) -> bool:
    """This function will return whether another method than that of a failed payment pays by now. A newer one that was
    left after the payment was asked for does from now on: its owner left it for that. The caller holds the lock."""
    if payment.command is None:
        return False
    failed = find_command(cur, payment.command).params.get("payment_method")
    row = customer_of(cur, payment.organization)
    if row.default_method is None or row.default_method != failed:
        return row.default_method is not None
    newest = row.methods[-1]
    if newest == failed or not cur.execute(_CAME_AFTER, (newest, payment.created_at)).fetchone():
        return False
    _choose(cur, row, newest, lock_organization(cur, row.organization).now, author)
    return True


def apply_setup(cur: Cursor, view: SetupView, method: MethodView | None, *, author: Author) -> Applied:
    """This function will note the method that a completed setup left, as it is now: a setup stays completed when its
    method was detached afterwards. None: the processor knows it no more, or there is none yet."""
    if view.status != "succeeded" or view.customer is None:
        return Applied(UNCHANGED)
    if customer_named(cur, view.customer) is None:
        return Applied(FOREIGN)
    if method is None or method.id != view.method:
        return Applied(UNCHANGED)
    return apply_method(cur, method, attached=method.customer == view.customer, author=author)


def method_of_setup(view: SetupView) -> MethodView | None:
    """This function will fetch the method that a completed setup left; None: there is none. No transaction is open.
    Raises ProcessorUnavailable."""
    if view.status != "succeeded" or view.method is None:
        return None
    try:
        return stripe_gateway.method(view.method)
    except stripe_gateway.NotAtProcessor:
        return None


def settle_nothing(cur: Cursor, command: Command, outcome: Outcome) -> None:
    """This function will do nothing: what follows was done when the command was asked for, or comes as an event."""


def settle_detaching(cur: Cursor, command: Command, outcome: Outcome) -> None:
    """This function will report a method that the processor did not let go; that it is gone is what was wanted."""
    if isinstance(outcome, Refused) and outcome.code != "resource_missing":
        logger.error("method.not_detached", extra={"method": command.target, "reason": outcome.code})


def _apply_detached(cur: Cursor, view: MethodView, author: Author) -> Applied:
    organization = holder_of_method(cur, view.id)
    if organization is None:
        return Applied(FOREIGN)
    lock_organization(cur, organization)
    if view.id not in customer_of(cur, organization).methods:
        return Applied(UNCHANGED)
    _detached(cur, organization, view.id, author)
    return Applied(APPLIED, "detached")


def _detached(cur: Cursor, organization: UUID, method: str, author: Author) -> Customer:
    locked = lock_organization(cur, organization)
    row = customer_of(cur, organization)
    after = customers.detached(row, method)
    if after is not row:
        record(cur, [customers.fact(after, "method_detached", at=locked.now)], author=author)
    cur.execute(_FORGET, (method,))
    return after


def _attach(cur: Cursor, row: Customer, method: str, now: datetime, author: Author) -> bool:
    """Attach a method. It pays from now on when there is no other, or the one that pays was declined the last time:
    its owner left it for that."""
    after = customers.attached(row, method)
    if after is row:
        return False
    record(cur, [customers.fact(after, "method_attached", at=now)], author=author)
    if after.default_method != method and _was_declined(cur, after):
        _choose(cur, after, method, now, author)
    return True


def _choose(cur: Cursor, row: Customer, method: str, now: datetime, author: Author) -> Customer:
    after = customers.chosen(row, method)
    record(cur, [customers.fact(after, "method_chosen", at=now)], author=author)
    request(
        cur,
        organization=row.organization,
        purpose=UPDATE,
        business_key=f"default:{row.id}:{after.version}",
        params={"invoice_settings": {"default_payment_method": method}},
        author=author,
        target=row.customer,
        order_key=row.customer,
    )
    return after


def _was_declined(cur: Cursor, row: Customer) -> bool:
    found = cur.execute(_LAST, (row.organization, PAY, row.default_method)).fetchone()
    return found == (True,)


def _is_leaving(cur: Cursor, row: Customer, method: str) -> bool:
    """Whether its owner detached it here and the processor has not been told yet, or an event of before came late."""
    statement = (
        "SELECT 1 FROM outbound_commands WHERE organization = %s AND purpose = %s AND target = %s LIMIT 1"
    )
    return cur.execute(statement, (row.organization, DETACH, method)).fetchone() is not None


def _look(cur: Cursor, organization: UUID, view: MethodView) -> bool:
    """Keep how a method looks; whether it looked different before (a card that was renewed)."""
    values = (view.id, organization, view.kind, view.brand, view.last4, view.exp_month, view.exp_year)
    return cur.execute(_SAVE, (*values, view.fingerprint, wall_now(cur))).fetchone() == (True,)
