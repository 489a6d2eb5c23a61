"""Partners with something to withdraw and an account at the simulator, and what becomes of their payouts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from billing.operations.commands import deliver
from billing.queries.commands import list_commands
from billing.rules.payments.commands import OPEN_STATES, Command
from common.clock import wall_now
from common.money import format_amount
from ledger.operations.organizations import NewOrganization, create_organization
from orgs.operations.clock import advance_clock
from payouts import stripe_gateway as connect
from payouts.operations.listings import publish_listing
from payouts.operations.partners import change_partner, enroll_partner, set_account
from payouts.operations.paying import applying
from payouts.operations.shares import publish_share
from payouts.queries.partners import require_partner
from payouts.queries.payouts import find_payout, list_payouts
from payouts.rules.listings import Listing
from payouts.rules.partners import Partner, Terms
from payouts.rules.paying.row import Payout
from payouts.rules.shares import ShareTerms
from tests.builders.books import balances
from tests.builders.gate import Customer
from tests.builders.marketplace import Seller, calling, settled, spend
from tests.builders.orgs import AUTHOR, Caller, caller, platform, unique, write
from tests.builders.payments_at_stripe import account as make_account
from tests.builders.stripe import Simulator

CENT = 10**6
MONEY = ("partner_payable", "payout_in_transit", "cash", "processor_clearing")


@dataclass(frozen=True)
class Earner:
    """A partner, its own key, its account at the processor."""

    id: UUID
    own: Caller
    stripe: Simulator
    account: str
    listing: Listing

    def earn(self, cents: int) -> Customer:
        """So much came past the holdback: a new customer bought credit and called, and the share is all of it."""
        seller = Seller(self.id, self.listing, self.own)
        amount = format_amount(cents * CENT)
        customer = calling(seller, credit=amount, currency=self.partner().currency)
        spend(customer, amount)
        settled(customer.id)
        customer.pass_time(hours=2)
        settled(customer.id)
        return customer

    def lose(self, customer: Customer, cents: int) -> None:
        """A customer's bought credit is taken back, as a refund or a lost dispute does."""
        body = {
            "organization": str(customer.id),
            "amount": format_amount(cents * CENT),
            "currency": self.partner().currency,
            "source": f"dispute:{unique()}",
            "reason": "lost",
        }
        answer = platform().post("/v1/credits/clawbacks", body, key=unique())
        assert answer.status_code in (200, 201), answer.content
        settled(customer.id)

    def change(self, **changes: Any) -> None:
        """Other terms."""
        write(lambda cur: change_partner(cur, organization=self.id, changes=changes, author=AUTHOR))

    def partner(self) -> Partner:
        """Its row."""
        return write(lambda cur: require_partner(cur, self.id))

    def ask(self, amount: str | None = None, *, key: str | None = None) -> Any:
        """The answer to requesting a payout."""
        body = {} if amount is None else {"amount": amount, "currency": "USD"}
        return self.own.post("/v1/partner/payouts", body, key=key or unique())

    def asked(self, amount: str | None = None) -> UUID:
        """A payout that was accepted."""
        answer = self.ask(amount)
        assert answer.status_code == 201, answer.content
        return UUID(answer.json()["id"])

    def payouts(self) -> list[Payout]:
        """All of them, oldest first."""
        return write(lambda cur: list_payouts(cur, organization=self.id, limit=100))[::-1]

    def payout(self, payout: UUID | None = None) -> Payout:
        """One of them, or the latest."""
        return self.payouts()[-1] if payout is None else write(lambda cur: find_payout(cur, payout))

    def state(self) -> str:
        """What the latest one is."""
        return self.payout().state

    def commands(self, purpose: str | None = None, *states: str) -> list[Command]:
        """Its commands, oldest first."""
        found = write(
            lambda cur: list_commands(cur, organization=self.id, purpose=purpose, states=states, limit=1000)
        )
        return found[::-1]

    def send(self, *, hours: float = 0, times: int = 3) -> None:
        """Send what is asked for, and what follows from it."""
        ahead = timedelta(hours=hours)
        for _ in range(times):
            for command in self.commands(None, *OPEN_STATES):
                deliver(command.id, clock=lambda cur: wall_now(cur) + ahead)

    def hear(self) -> None:
        """What webhooks would tell of its account, transfers and payouts."""
        views = [(self.account, view) for view in connect.list_partner_payouts(self.account)]
        transfers = list(connect.list_transfers(destination=self.account))
        for transfer in transfers:
            write(partial(applying.apply_transfer, view=transfer, author=AUTHOR))
        for found in views:
            write(partial(applying.apply_partner_payout, found=found, author=AUTHOR))

    def see(self) -> Partner:
        """What webhooks would tell of its account."""
        view = connect.account(self.account)
        write(lambda cur: applying.apply_account(cur, view, author=AUTHOR))
        return self.partner()

    def arrive(self) -> None:
        """The bank takes what is on its way."""
        self.stripe.advance(3 * 86_400)
        self.hear()

    def paid(self, amount: str | None = None) -> UUID:
        """A payout that reached the bank."""
        made = self.asked(amount)
        self.send()
        self.arrive()
        assert self.state() == "paid", self.payout()
        return made

    def later(self, **by: float) -> None:
        """Let time pass for the partner."""
        write(lambda cur: advance_clock(cur, organization=self.id, by=timedelta(**by), author=AUTHOR))

    def money(self) -> dict[str, int]:
        """What is where, in cents; what is zero is left out."""
        found = balances(self.id)
        return {kind: found[kind] // CENT for kind in MONEY if found.get(kind)}

    def transfers(self) -> list[Any]:
        """What the processor moved to its account."""
        given: Any = {"destination": self.account, "limit": 100}
        return list(self.stripe.sdk().v1.transfers.list(given).auto_paging_iter())

    def payouts_there(self) -> list[Any]:
        """The payouts on its account."""
        given: Any = {"limit": 100}
        options: Any = {"stripe_account": self.account}
        return list(self.stripe.sdk().v1.payouts.list(given, options).auto_paging_iter())


def partner(
    simulator: Simulator, *, cents: int = 0, funds: int = 10**7, paid_in: str | None = None, **given: Any
) -> Earner:
    """A partner with an account that takes money. `funds`: what the platform has at the processor, in cents; `paid_in`:
    the currency of the account, if it is another than the partner's."""
    new = NewOrganization(**{"name": "Agents Ltd", "sandbox": True, **given})
    organization = write(lambda cur: create_organization(cur, new, author=AUTHOR))
    terms = Terms(holdback_days=0)
    write(lambda cur: enroll_partner(cur, organization=organization, terms=terms, author=AUTHOR))
    listing = write(
        lambda cur: publish_listing(
            cur, organization=organization, key=unique("listing"), name="Researcher", author=AUTHOR
        )
    )
    shares = ShareTerms(fee_rate=0)
    write(lambda cur: publish_share(cur, organization=organization, terms=shares, author=AUTHOR))
    currency = paid_in or given.get("currency", "USD")
    account = make_account(simulator, currency=currency.lower())
    view = connect.account(account)
    write(lambda cur: set_account(cur, organization=organization, view=view, author=AUTHOR))
    if funds:
        simulator.fund(funds)
    made = Earner(organization, caller(organization, "payouts:write"), simulator, account, listing)
    if cents:
        made.earn(cents)
    return made
