"""The demo data of `make run`: current prices, plans and who sells them, two customers with agents and credit, staff,
and keys in clear.

What was made is told in `run/demo.json` and used again as long as the database knows it.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q

from billing.operations.seeding import seed_plans, seed_seller
from common.money import UNITS_PER_MAJOR
from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.operations.grants import NewGrant, grant_credit
from ledger.operations.organizations import NewOrganization, create_organization
from orgs import PLATFORM_ID
from orgs.operations import create
from orgs.operations.api_keys import NewApiKey, create_api_key
from orgs.operations.create import NewSubject
from orgs.operations.facts import Author
from orgs.queries.authentication import authenticate
from sandbox.places import read_json, write_json
from spend.operations.budgets.create import create_budget
from spend.operations.prices.genai_source import SOURCE, read_source
from spend.operations.prices.importing import import_prices
from spend.rules.budgetfacts import Terms

AUTHOR = Author("system:demo")
KEY_SCOPES = ("admin", "spend:write")
IMPORTED = "SELECT 1 FROM price_models WHERE source = %s AND source_version = %s LIMIT 1"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Customer:
    """A demo organization: its agents by key, each with its team; credit in whole units of its currency."""

    name: str
    funding: str
    paid: int
    promotional: int
    credit_limit: int | None
    agents: dict[str, str]
    connections: dict[str, str]
    budgets: tuple[tuple[str, str | None, str, int], ...]  # scope, target, window, limit


CUSTOMERS = (
    Customer(
        name="Harbour Research",
        funding="prepaid",
        paid=200,
        promotional=25,
        credit_limit=None,
        agents={"research-bot": "research", "citation-bot": "research", "support-bot": "support"},
        connections={"anthropic-prod": "resold", "openai-prod": "resold", "google-own": "own_key"},
        budgets=(
            ("organization", None, "month", 150),
            ("team", "research", "week", 60),
            ("agent", None, "day", 10),
        ),
    ),
    Customer(
        name="Lantern Retail",
        funding="postpaid",
        paid=0,
        promotional=0,
        credit_limit=500,
        agents={"pricing-bot": "merchandise", "returns-bot": "service"},
        connections={"openai-prod": "resold"},
        budgets=(("organization", None, "month", 400),),
    ),
)

# role -> what its people may look at, and where they may propose and decide; the admin user may do everything.
STAFF = {
    "finance": (
        ("orgs", "ledger", "spend", "billing", "payouts", "webhooks", "events"),
        ("ledger", "spend", "billing", "payouts", "webhooks"),
    ),
    "support": (("orgs", "spend", "billing", "webhooks"), ()),
}
PEOPLE = {"admin": "admin", "finance-maker": "finance", "finance-checker": "finance", "support": "support"}


def load_demo(*, path: Path) -> bool:
    """This function will make the demo data and tell it in the file at `path`; False when it is there already.

    Prices of a newly installed price source are imported every time. Repeating it changes nothing.
    """
    _import_prices()
    _write(lambda cur: seed_plans(cur, author=AUTHOR))
    _write(lambda cur: seed_seller(cur, author=AUTHOR))
    groups = {role: _group(role) for role in STAFF}  # anew each time: a new version has new kinds of objects
    known = read_json(path=path)
    if known is not None and _is_known(known):
        return False
    platform_key = _key(PLATFORM_ID, ("platform",))
    organizations = [_customer(customer) for customer in CUSTOMERS]
    demo = {"platform_key": platform_key, "organizations": organizations, "staff": _staff(groups)}
    write_json(path=path, value=demo)
    return True


def _write(operation: Callable[[Cursor], _T]) -> _T:
    return run_in_transaction(operation)


def _import_prices() -> None:
    wanted = (SOURCE, installed_version(SOURCE))
    if _write(lambda cur: cur.execute(IMPORTED, wanted).fetchone()) is None:
        source = read_source()
        _write(lambda cur: import_prices(cur, actor=AUTHOR.actor, source=source))


def _is_known(demo: dict[str, Any]) -> bool:
    """The file may be older than the database, or the other way round."""
    keys = [demo["platform_key"], *(organization["api_key"] for organization in demo["organizations"])]
    found = _write(lambda cur: [authenticate(cur, key) for key in keys])
    return all(principal is not None for principal in found)


def _key(organization: UUID, scopes: tuple[str, ...]) -> str:
    new = NewApiKey(organization, "demo", scopes)
    return _write(lambda cur: create_api_key(cur, new, author=AUTHOR)).secret


def _customer(customer: Customer) -> dict[str, Any]:
    limit = None if customer.credit_limit is None else customer.credit_limit * UNITS_PER_MAJOR
    new = NewOrganization(customer.name, funding=customer.funding, credit_limit=limit)
    organization = _write(lambda cur: create_organization(cur, new, author=AUTHOR))
    _write(lambda cur: _subjects(cur, organization, customer))
    _write(lambda cur: _grants(cur, organization, customer))
    _write(lambda cur: _budgets(cur, organization, customer))
    return {
        "id": str(organization),
        "name": customer.name,
        "api_key": _key(organization, KEY_SCOPES),
        "agents": list(customer.agents),
    }


def _subjects(cur: Cursor, organization: UUID, customer: Customer) -> None:
    for team in sorted(set(customer.agents.values())):
        create.create_team(cur, NewSubject(organization, team, team.capitalize()), author=AUTHOR)
    for agent, team in customer.agents.items():
        name = agent.replace("-", " ").capitalize()
        create.create_agent(cur, NewSubject(organization, agent, name), team=team, author=AUTHOR)
    for connection, billing in customer.connections.items():
        name = connection.replace("-", " ").capitalize()
        create.create_connection(
            cur, NewSubject(organization, connection, name), billing=billing, author=AUTHOR
        )


def _grants(cur: Cursor, organization: UUID, customer: Customer) -> None:
    for kind, amount in (("promotional", customer.promotional), ("paid", customer.paid)):
        if amount:
            grant = NewGrant(
                organization, amount * UNITS_PER_MAJOR, "USD", kind=kind, reason=f"Demo: {kind} credit"
            )
            grant_credit(cur, grant, author=AUTHOR)


def _budgets(cur: Cursor, organization: UUID, customer: Customer) -> None:
    for scope, target, window, limit in customer.budgets:
        terms = Terms(scope, window, "USD", limit * UNITS_PER_MAJOR, target=target)
        create_budget(cur, organization, terms, author=AUTHOR)


def _staff(groups: Mapping[str, Group]) -> list[dict[str, str]]:
    """People who log in to the admin; their passwords are made anew, because only their hashes are kept."""
    people = []
    for username, role in PEOPLE.items():
        password = secrets.token_urlsafe(9)
        user, _ = User.objects.get_or_create(username=username)
        user.is_staff, user.is_superuser = True, role == "admin"
        user.set_password(password)
        user.save()
        user.groups.set([groups[role]] if role in groups else [])
        people.append({"username": username, "password": password, "role": role})
    return people


def _group(role: str) -> Group:
    readable, changeable = STAFF[role]
    group, _ = Group.objects.get_or_create(name=role)
    may_view = Q(content_type__app_label__in=readable, codename__startswith="view_")
    may_change = Q(content_type__app_label__in=changeable, codename__regex="^(add|change)_")
    group.permissions.set(Permission.objects.filter(may_view | may_change))
    return group
