"""Partners, what they offer, and customers whose agents call it, made by the operations and the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from common.ids import new_id
from events.store import Cursor, append
from ledger.operations.books import lock_books
from ledger.queries.journal import find_entry, shares_of_entry
from ledger.rules import effects
from orgs.operations.clock import advance_clock
from payouts.operations.listings import publish_listing
from payouts.operations.partners import enroll_partner
from payouts.operations.settling import settle_caller
from payouts.operations.shares import publish_share
from payouts.queries.collecting import partners_of
from payouts.queries.partners import withdrawable
from payouts.queries.payoutintegrity import violations
from payouts.rules.listings import Listing
from payouts.rules.partners import Terms
from payouts.rules.shares import ShareTerms
from payouts.rules.withdrawing import Withdrawable
from tests.builders.billing import Billed, billed
from tests.builders.books import open_books
from tests.builders.gate import Customer, make_customer
from tests.builders.orgs import AUTHOR, Caller, caller, unique, write


@dataclass(frozen=True)
class Seller:
    """A partner with one listing, its own key and its clock."""

    id: UUID
    listing: Listing
    api: Caller

    @property
    def money(self) -> Withdrawable:
        """What it earned, and what it can withdraw."""
        return write(lambda cur: withdrawable(cur, self.id))

    @property
    def figures(self) -> tuple[int, int, int, int]:
        """(earned, collected, past the holdback, withdrawable) in units."""
        found = self.money
        return found.earned, found.collected, found.past_holdback, found.withdrawable

    def share(self, **given: Any) -> Any:
        """Terms from now on: `listing`, `plan`, `valid_from`, and what ShareTerms has."""
        named = {name: given.pop(name) for name in ("listing", "plan", "valid_from") if name in given}
        terms = ShareTerms(**given)
        return write(
            lambda cur: publish_share(cur, organization=self.id, terms=terms, author=AUTHOR, **named)
        )


def make_seller(currency: str = "USD", **terms: Any) -> Seller:
    """A partner that offers something."""
    organization = open_books(currency=currency)
    write(lambda cur: enroll_partner(cur, organization=organization, terms=Terms(**terms), author=AUTHOR))
    listing = write(
        lambda cur: publish_listing(
            cur, organization=organization, key=unique("listing"), name="Researcher", author=AUTHOR
        )
    )
    return Seller(organization, listing, caller(organization, "payouts:read", "payouts:write", "audit:read"))


def calls(customer: Customer, seller: Seller, agent: str = "bot") -> None:
    """Let the customer's agent be what the seller offers."""
    answer = caller(customer.id, "admin").patch(f"/v1/agents/{agent}", {"listing": seller.listing.key})
    assert answer.status_code == 200, answer.content


def calling(seller: Seller, credit: str = "100", **given: Any) -> Customer:
    """A customer with credit, whose agent bot is what the seller offers."""
    customer = make_customer(credit, **given)
    calls(customer, seller)
    return customer


def calling_on_account(seller: Seller) -> Billed:
    """A postpaid customer, whose agent bot is what the seller offers."""
    made = billed()
    calls(made.customer, seller)
    return made


def spend(customer: Customer, *amounts: str) -> None:
    """Calls of these amounts, reserved and committed."""
    for amount in amounts:
        made = customer.reserved(amount)
        assert customer.commit(made["id"], amount).status_code == 200


def pass_time(organization: UUID, **span: float) -> None:
    """Move an organization's clock forward (as timedelta)."""
    write(lambda cur: advance_clock(cur, organization=organization, by=timedelta(**span), author=AUTHOR))


def settled(customer: UUID) -> bool:
    """Settle a caller now; whether there was something."""
    return settle_caller(customer)


def reversed_once(customer: UUID, entry: UUID) -> None:
    """Reverse the entry of a call that is on account, as it could be done once: what was reversed then stays right.
    One that took of a commitment stays."""

    def operation(cur: Cursor) -> None:
        books = lock_books(cur, customer)
        call = find_entry(cur, organization=customer, entry=entry)
        if any(line.account == books.credit for line in call.lines):
            return  # its grants would not have it back
        lines = [[str(line.account), -line.amount] for line in call.lines]
        back = effects.entry(
            kind="reversal", key=f"reversal:{entry}", source=f"entry:{entry}", lines=lines,
            currency=books.currency, reason="test", reverses=str(entry),
        )  # fmt: skip
        data: dict[str, Any] = {"ledger": {"entries": [back]}}
        if (found := shares_of_entry(cur, organization=customer, entry=entry)) is not None:
            usage, day, shares = found
            parts = [[to, payer, *(-part for part in of)] for to, payer, *of in shares.get("parts", ())]
            data["shares"] = {**shares, "usage": usage, "day": day.isoformat(), "calls": 0, "parts": parts}
        append(cur, [books.event("journal", new_id(), "reversed", data, AUTHOR)])

    write(operation)


def marketplace_violations(organization: UUID) -> list[str]:
    """What does not hold of a caller's shares and of its partners'."""
    return write(
        lambda cur: [str(one) for one in violations(cur, {organization, *partners_of(cur, organization)})]
    )
