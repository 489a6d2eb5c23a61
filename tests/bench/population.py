"""Customers for the benchmarks, made by the same operations that the API calls."""

import itertools
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import MappingProxyType
from uuid import UUID

from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.operations.grants import NewGrant, grant_credit
from ledger.operations.organizations import NewOrganization, create_organization
from orgs.operations.api_keys import NewApiKey, create_api_key
from orgs.operations.create import NewSubject, create_agent, create_team, create_workflow
from orgs.operations.facts import Author
from spend.operations.budgets.create import create_budget
from spend.operations.prices.publish import publish_price
from spend.rules.budgetfacts import Terms
from spend.rules.commands import Caller

AUTHOR = Author("system:bench")
MAJOR = 10**8
PROVIDER, MODEL = "anthropic", "claude-sonnet-4-5"
# Six layers, each binding none of the calls: what is measured is the way through, not a refusal.
LAYERS = (
    ("organization", "day", 500_000),
    ("team", "week", 400_000),
    ("agent", "month", 300_000),
    ("workflow", "month", 300_000),
    ("user", "day", 200_000),
    ("run", "run", 20_000),
)
SCOPES = ("spend:write", "spend:read", "admin")


@dataclass
class Customer:
    """An organization that spends: its id, the caller that its key is, the key in clear, and its calls so far."""

    id: UUID
    caller: Caller
    secret: str
    calls: Iterator[int] = field(default_factory=itertools.count)


def make_prices() -> None:
    """Put the model that all calls use into the price book."""
    components = {"input": "3", "output": "15", "cache_read": "0.3", "cache_write": "3.75"}
    run_in_transaction(
        lambda cur: publish_price(
            cur, actor=AUTHOR.actor, provider=PROVIDER, model=MODEL, components=components
        )
    )


def make_customers(count: int) -> list[Customer]:
    """Make that many customers, each with six budgets, credit, a team, an agent, a workflow and a key."""
    with ThreadPoolExecutor(max_workers=4) as makers:
        return list(makers.map(_make, range(count)))


def make_customer(*, credit: int) -> Customer:
    """Make a customer with that much credit, in units."""
    return _make(0, credit=credit)


def make_small_customer() -> Customer:
    """Make a customer whose agent may spend 0.02 in a month: after one call its budget is exhausted."""
    return _make(0, {"agent": MAJOR // 50})


def _make(
    number: int, limits: Mapping[str, int] = MappingProxyType({}), *, credit: int = 10**6 * MAJOR
) -> Customer:
    # Making an organization locks the platform's row, so that does not wait for the rest.
    new = NewOrganization(f"Customer {number}")
    organization = run_in_transaction(lambda cur: create_organization(cur, new, author=AUTHOR))
    return run_in_transaction(lambda cur: _equip(cur, organization, limits, credit))


def _equip(cur: Cursor, organization: UUID, limits: Mapping[str, int], credit: int) -> Customer:
    grant_credit(cur, NewGrant(organization, credit, "USD", reason="bench"), author=AUTHOR)
    create_team(cur, NewSubject(organization, "core", "Core"), author=AUTHOR)
    create_agent(cur, NewSubject(organization, "bot", "Bot"), team="core", author=AUTHOR)
    create_workflow(cur, NewSubject(organization, "report", "Report"), author=AUTHOR)
    for scope, window, major in LAYERS:
        terms = Terms(scope, window, "USD", limits.get(scope, major * MAJOR))
        create_budget(cur, organization, terms, author=AUTHOR)
    issued = create_api_key(cur, NewApiKey(organization, "bench", SCOPES), author=AUTHOR)
    return Customer(organization, Caller(f"key:{issued.key.id}"), issued.secret)
