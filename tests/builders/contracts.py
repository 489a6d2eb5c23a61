"""Contracts through the API, for a customer whose clock can be moved."""

from __future__ import annotations

import secrets
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from billing.operations.contracts.advance import advance
from orgs.operations.locks import lock_organization
from tests.builders.books import rows
from tests.builders.contracted import commitment, document
from tests.builders.gate import Customer, body_of, make_customer, units, usage_body
from tests.builders.orgs import Caller, caller, platform, write
from tests.builders.subscriptions import move_clock, now_of

PATH = "/v1/contracts"
DAY = timedelta(days=1)
SETTLED = timedelta(days=3, hours=1)
"""After a window's end: settled."""
CENT = 1_000_000


def make_postpaid(**given: Any) -> Customer:
    """A customer with a line and no credit."""
    return make_customer("0", funding="postpaid", credit_limit=units("1000000"), **given)


def today_of(organization: UUID) -> date:
    """The organization's day (UTC)."""
    return now_of(organization).date()


def paper(
    organization: UUID, *amounts: str, days: int = 365, offset: int = 0, **given: Any
) -> dict[str, Any]:
    """A contract's document whose term begins `offset` days from today."""
    start = today_of(organization) + offset * DAY
    return document(*amounts, start=str(start), end=str(start + days * DAY), **given)


def drafted(organization: UUID, *amounts: str, **given: Any) -> dict[str, Any]:
    """A draft as the API shows it."""
    body = {"organization": str(organization), "definition": paper(organization, *amounts, **given)}
    return body_of(platform().post(PATH, body, key=secrets.token_hex(8)), 201)


def agreed(organization: UUID, *amounts: str, **given: Any) -> dict[str, Any]:
    """An active contract as the API shows it."""
    return acted(drafted(organization, *amounts, **given), "activate")


def act(contract: dict[str, Any], verb: str, body: Any = None, *, key: str | None = None) -> Any:
    """A call of the platform on a contract."""
    return platform().post(f"{PATH}/{contract['id']}/{verb}", body, key=key or secrets.token_hex(8))


def acted(contract: dict[str, Any], verb: str, body: Any = None) -> dict[str, Any]:
    """What an accepted call on a contract answers."""
    return body_of(act(contract, verb, body), 200)


def owner(organization: UUID) -> Caller:
    """A customer's key that reads its billing."""
    return caller(organization, "billing:read", "spend:read")


def report(organization: UUID, contract: dict[str, Any]) -> dict[str, Any]:
    """The draw-down as the customer sees it."""
    return body_of(owner(organization).get(f"{PATH}/{contract['id']}/drawdown"), 200)


def figures(organization: UUID, contract: dict[str, Any], *names: str) -> list[tuple[str, ...]]:
    """These figures of each window of the draw-down."""
    return [tuple(window[name] for name in names) for window in report(organization, contract)["windows"]]


def run_contracts(organization: UUID) -> None:
    """Pass every boundary that is due by the organization's clock."""

    def operation(cur: Any) -> None:
        locked = lock_organization(cur, organization)
        advance(cur, locked, until=locked.now)

    write(operation)


def pass_days(organization: UUID, days: float) -> None:
    """Move the clock on and pass what falls due."""
    move_clock(organization, timedelta(days=days))
    run_contracts(organization)


def use(customer: Customer, amount: str, at: datetime | None = None) -> dict[str, Any]:
    """Usage of this amount, now unless said otherwise."""
    moment = (at or now_of(customer.id)).isoformat()
    body = usage_body(amount, occurred_at=moment)
    return body_of(customer.api.post("/v1/usage", body), 201)


def owed(organization: UUID) -> list[tuple[str, str]]:
    """The contract's items as (kind, amount in major units), in the order in which they were made."""
    found = rows(
        "SELECT kind, amount FROM invoice_items WHERE organization = %s AND contract IS NOT NULL ORDER BY id",
        organization,
    )
    return [(kind, f"{amount / (100 * CENT):.2f}") for kind, amount in found]


def receipts(organization: UUID) -> dict[str, int]:
    """What paid for all usage, in units by source."""
    return dict(
        rows(
            "SELECT p->>0, sum((p->>2)::bigint)::bigint FROM usage_records x, json_array_elements(x.funding) p "
            "WHERE x.organization = %s GROUP BY 1",
            organization,
        )
    )


__all__ = ["commitment"]
