"""A partner's account at the processor: made by a command, filled in by its person there, and followed by webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from billing import stripe_gateway
from billing.operations.commands import deliver, request
from billing.queries.commands import newest_command
from billing.rules.payments.commands import SUCCEEDED, Command
from billing.rules.payments.outcomes import Outcome, Succeeded
from billing.rules.payments.views import AccountView
from common.errors import InvalidTransition
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_customer
from payouts import stripe_gateway as connect
from payouts.operations.partners import set_account
from payouts.operations.paying.applying import apply_account
from payouts.operations.paying.requesting import require_own_money
from payouts.queries.partners import require_partner
from payouts.rules.partners import Partner

CREATE: Final = "create_account"
AUTHOR: Final = Author("system:payouts.onboard")
KEY: Final = "account"


@dataclass(frozen=True, slots=True)
class Onboarding:
    """A partner with its account, and the address where its person answers what the processor asks. The address is good
    once and for minutes; it is asked for each time and never stored."""

    partner: Partner
    url: str


def request_account(cur: Cursor, *, organization: UUID, country: str, author: Author) -> Command | None:
    """This function will ask for a partner's account at the processor, once; None: there is one.

    `country` is where it is paid, and cannot be changed later. The account is sent money by us alone: its own payouts
    are manual, losses are the platform's. Raises NotFound and OrganizationClosed.
    """
    stripe_gateway.require_configured()
    locked = lock_organization(cur, organization)
    require_customer(locked)
    require_own_money(locked)
    partner = require_partner(cur, organization)
    if partner.stripe_account is not None:
        return None
    return request(
        cur,
        organization=organization,
        purpose=CREATE,
        business_key=KEY,
        params={
            "country": country,
            "default_currency": partner.currency.lower(),
            "controller": {
                "fees": {"payer": "application"},
                "losses": {"payments": "application"},
                "stripe_dashboard": {"type": "express"},
            },
            "capabilities": {"transfers": {"requested": True}},
            "settings": {"payouts": {"schedule": {"interval": "manual"}}},
        },
        author=author,
    )


def settle_account(cur: Cursor, command: Command, outcome: Outcome) -> None:
    """This function will give a partner the account that was made for it."""
    if isinstance(outcome, Succeeded) and isinstance(outcome.view, AccountView):
        set_account(cur, organization=command.organization, view=outcome.view, author=AUTHOR)


def open_onboarding(*, organization: UUID, return_url: str, refresh_url: str) -> Onboarding:
    """This function will make a partner's account that was asked for, if it is not made yet, and return it as it is now
    with an address for its person. It runs outside of transactions.

    Raises NotFound, ProcessorUnavailable (to be repeated), and InvalidTransition where the processor refused it.
    """
    partner = _with_account(organization)
    assert partner.stripe_account is not None
    url = connect.account_link(partner.stripe_account, return_url=return_url, refresh_url=refresh_url)
    return Onboarding(partner, url)


def refresh_account(*, organization: UUID, author: Author) -> Partner:
    """This function will ask the processor what a partner's account may do now, and keep it; for when an event of it is
    late. Raises NotFound and ProcessorUnavailable."""
    partner = run_in_transaction(lambda cur: require_partner(cur, organization))
    if partner.stripe_account is None:
        return partner
    view = connect.account(partner.stripe_account)
    run_in_transaction(lambda cur: apply_account(cur, view, author=author))
    return run_in_transaction(lambda cur: require_partner(cur, organization))


def _with_account(organization: UUID) -> Partner:
    partner = run_in_transaction(lambda cur: require_partner(cur, organization))
    if partner.stripe_account is not None:
        return partner
    command = run_in_transaction(
        lambda cur: newest_command(cur, organization=organization, purpose=CREATE, business_key=KEY)
    )
    if command is None:
        raise InvalidTransition("No account was asked for.")
    done = deliver(command.id) if command.is_open else command
    if done.is_open:
        raise stripe_gateway.ProcessorUnavailable(retry_after=5)
    if done.state != SUCCEEDED:
        raise InvalidTransition(f"The processor refused the account: {done.error or done.error_code}")
    return run_in_transaction(lambda cur: require_partner(cur, organization))
