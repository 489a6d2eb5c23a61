"""An organization over every source, and what its records say of who paid."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from spend.operations.charging import charge_quantity
from spend.rules.charging import Charged, MeteredCharge
from tests.builders.books import rows
from tests.builders.gate import Customer, make_customer, units
from tests.builders.ledger import business_now
from tests.builders.orgs import AUTHOR, unique, write

HOUR = timedelta(hours=1)
Receipt = list[tuple[str, str]]
"""Source and amount of each part, in order."""
SCOPES = ("spend:write", "spend:read", "audit:read")


def make_payer(
    allowance: str = "0", commitment: str = "0", credit: str = "0", line: str | None = None, **given: Any
) -> Customer:
    """A customer with so much of each source; `line` is the limit of a postpaid one."""
    if line is not None:
        given = {**given, "funding": "postpaid", "credit_limit": units(line)}
    customer = make_customer(credit, **{"scopes": SCOPES, **given})
    if units(allowance):
        customer.grant(allowance, kind="included", source="allowance")
    if units(commitment):
        customer.grant(commitment, kind="committed", source="commitment")
    return customer


def receipt_of(record: dict[str, Any]) -> Receipt:
    """What paid for a record, as the API shows it."""
    return [(part["source"], part["amount"]) for part in record["funding"]]


def make_charge(amount: str = "1", **given: Any) -> MeteredCharge:
    """A charge of the hour that runs now."""
    values: dict[str, Any] = {
        "source": "billing",
        "id": unique("charge"),
        "amount": units(amount),
        "currency": "USD",
        "meter": "api_calls",
        "charge_key": "calls",
        "start": business_now() - HOUR,
        "end": business_now() + HOUR,
        **given,
    }
    return MeteredCharge(**values)


def charge(customer: Customer, amount: str = "1", **given: Any) -> Charged:
    """Charge a quantity of a meter."""
    made = make_charge(amount, **given)
    return write(lambda cur: charge_quantity(cur, organization=customer.id, charge=made, author=AUTHOR))


def parts(charged: Charged) -> list[tuple[str, int]]:
    """Source and units of each part."""
    return [(part.source, part.amount) for part in charged.receipt]


def grant_of(customer: Customer, source: str) -> tuple[UUID, int, int]:
    """Id, remaining and held of the only grant of a source."""
    ((name, remaining, held),) = rows(
        "SELECT id, remaining, held FROM credit_grants WHERE organization = %s AND funding_source = %s",
        customer.id, source,
    )  # fmt: skip
    return name, remaining, held


def clock_of(customer: Customer) -> datetime:
    """The business clock of the organization."""
    ((now,),) = rows("SELECT clock_timestamp() + clock_offset FROM organizations WHERE id = %s", customer.id)
    found: datetime = now
    return found
