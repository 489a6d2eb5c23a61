"""Organizations with books, and what can happen to their credit, made by the operations."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.money import UNITS_PER_MAJOR
from ledger.operations.grants import NewGrant, expire_grants, grant_credit
from ledger.operations.organizations import NewOrganization, create_organization
from ledger.queries.accounts import account_ids, balance
from ledger.queries.balances import CreditBalance, credit_balance
from ledger.queries.integrity import violations
from ledger.queries.replay import replayed_violations
from orgs import PLATFORM_ID
from orgs.operations.locks import lock_organization
from tests.builders.orgs import AUTHOR, write

ONE = UNITS_PER_MAJOR


def make_books(currency: str = "USD", **given: Any) -> UUID:
    """A customer with its chart of accounts; funding and credit_limit when given."""
    new = NewOrganization("Acme", currency=currency, **given)
    return write(lambda cur: create_organization(cur, new, author=AUTHOR))


def business_now() -> datetime:
    """The business clock of an organization whose clock was not moved."""
    return write(lambda cur: lock_organization(cur, PLATFORM_ID).now)


def grant(
    organization: UUID, amount: int, kind: str = "paid", *, currency: str = "USD", **given: Any
) -> UUID:
    """A grant of so many units."""
    new = NewGrant(organization, amount, currency, kind=kind, reason="test", **given)
    return write(lambda cur: grant_credit(cur, new, author=AUTHOR))


def grant_expired(organization: UUID, amount: int, kind: str = "promotional") -> UUID:
    """A grant that ends at once; it returns when it has ended by the clock, and is not swept yet."""
    made = grant(organization, amount, kind, expires_at=business_now() + timedelta(milliseconds=40))
    write(lambda cur: cur.execute("SELECT pg_sleep(0.05)"))
    return made


def sweep(organization: UUID) -> int:
    """Post breakage for what has expired."""
    return write(lambda cur: expire_grants(cur, organization=organization, author=AUTHOR))


def credit(organization: UUID) -> CreditBalance:
    """The organization's credit."""
    return write(lambda cur: credit_balance(cur, organization=organization))


def figures(organization: UUID) -> tuple[int, int, int, int]:
    """(posted, held, available, debt) of the credit, in units."""
    found = credit(organization)
    return found.posted, found.held, found.available, found.debt


def account(organization: UUID, kind: str, currency: str = "USD") -> UUID:
    """The id of the organization's account of a kind."""
    return write(lambda cur: account_ids(cur, organization=organization, currency=currency)[kind])


def posted(organization: UUID, kind: str, currency: str = "USD") -> int:
    """What is posted on the organization's account of a kind, in units."""
    name = account(organization, kind, currency)
    return write(lambda cur: balance(cur, organization=organization, account=name))


def wrong(*organizations: UUID) -> list[Any]:
    """Everything that is wrong with their books."""
    return [*write(lambda cur: violations(cur, organizations)),
            *write(lambda cur: replayed_violations(cur, organizations))]  # fmt: skip
