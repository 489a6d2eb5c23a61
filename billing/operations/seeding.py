"""What an installation may begin with: four plans, and somebody who sells them."""

from typing import Final

from billing.operations.plans import create_plan, publish_version
from billing.operations.sellers import create_legal_entity
from billing.queries.plans import key_is_taken
from billing.queries.sellers import default_legal_entity
from billing.rules.plans import parse_plan
from billing.rules.seedplans import SEED_PLANS
from billing.rules.sellers import EntityTerms
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization

DEMO_ENTITY: Final = EntityTerms(
    name="Counterfoil Demo Inc.",
    country="US",
    currency="USD",
    address={"line1": "1 Example Street", "postal_code": "10001", "city": "New York", "region": "NY"},
)


def seed_plans(cur: Cursor, *, author: Author) -> list[str]:
    """This function will make and publish the four plans that are not there, and return their keys.

    A plan of the same key stays as it is, whatever it sells; so it may be repeated at any time.
    """
    lock_organization(cur, PLATFORM_ID)
    missing = [key for key in SEED_PLANS if not key_is_taken(cur, key)]
    for key in missing:
        create_plan(cur, key=key, terms=parse_plan(SEED_PLANS[key]), author=author)
        publish_version(cur, plan=key, number=1, author=author)
    return missing


def seed_seller(cur: Cursor, *, author: Author) -> bool:
    """This function will make a default legal entity unless there is one; for the demo only: its name is no company's.

    Returns whether it did.
    """
    lock_organization(cur, PLATFORM_ID)
    if default_legal_entity(cur) is not None:
        return False
    create_legal_entity(cur, key="demo", terms=DEMO_ENTITY, author=author)
    return True
