"""Organizations with their books open, made by operations; and what the books say, read by the readers' role."""

from typing import Any
from uuid import UUID

from ledger.operations.grants import NewGrant, grant_credit
from ledger.operations.organizations import NewOrganization, create_organization
from tests.builders.gate import units
from tests.builders.orgs import AUTHOR, write
from tests.invariants import reading

POSTED = "SELECT account_kind, posted FROM v_balances WHERE organization = %s AND posted <> 0"


def open_books(**given: Any) -> UUID:
    """An organization with its chart of accounts and a clock that can be moved."""
    new = NewOrganization(**{"name": "Acme", "sandbox": True, **given})
    return write(lambda cur: create_organization(cur, new, author=AUTHOR))


def give(organization: UUID, amount: str, **given: Any) -> UUID:
    """Credit, as in NewGrant."""
    new = NewGrant(organization, units(amount), given.pop("currency", "USD"), **{"reason": "test", **given})
    return write(lambda cur: grant_credit(cur, new, author=AUTHOR))


def balances(organization: UUID) -> dict[str, int]:
    """The balances that are not zero, by kind of account, in units."""
    return dict(rows(POSTED, organization))


def rows(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """What a query of the readers' role gives."""
    with reading() as connection:
        return connection.execute(statement.encode(), values).fetchall()


def one(statement: str, *values: Any) -> Any:
    """The only value of the only row."""
    ((found,),) = rows(statement, *values)
    return found
