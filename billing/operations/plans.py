"""Making plans, drafting and publishing their versions, and taking plans off sale (S71)."""

from billing.queries.meters import meters_named
from billing.queries.plans import draft_of, find_plan, find_version_of, key_is_taken, version_on_sale
from billing.rules.catalog import (
    Outcome,
    Plan,
    plan_archived,
    plan_created,
    version_drafted,
    version_published,
)
from billing.rules.countable import require_countable
from billing.rules.plans import PlanTerms
from common.errors import NameConflict
from common.ids import new_id
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization


def create_plan(cur: Cursor, *, key: str, terms: PlanTerms, author: Author) -> Outcome:
    """This function will make a plan with a first draft; nobody but the platform sees it until that is published.

    Raises NameConflict for a key that is taken, also by an archived plan: keys are never used again.
    """
    locked = lock_organization(cur, PLATFORM_ID)
    if key_is_taken(cur, key):
        raise NameConflict("There is a plan with this key.", pointer="/key")
    made = plan_created(
        identifier=new_id(), draft=new_id(), organization=PLATFORM_ID, key=key, terms=terms, at=locked.now
    )
    record(cur, made.facts, author=author)
    return made


def draft_version(cur: Cursor, *, plan: str, terms: PlanTerms, author: Author) -> Outcome:
    """This function will make the plan's next version, as a draft; a draft that is there is archived.

    `plan` is a key or an id. What is on sale stays on sale. Raises NotFound and InvalidTransition (archived).
    """
    locked = lock_organization(cur, PLATFORM_ID)
    found = find_plan(cur, plan)
    made = version_drafted(found, draft_of(cur, found), terms, identifier=new_id(), at=locked.now)
    record(cur, made.facts, author=author)
    return made


def publish_version(cur: Cursor, *, plan: str, number: int, author: Author) -> Outcome:
    """This function will put a draft on sale; the version that was is archived, its subscribers keep it.

    From now on the version never changes. Publishing it again changes nothing. Raises NotFound, MeterUnusable for a
    charge that could not be counted, and InvalidTransition for an archived plan or version.
    """
    locked = lock_organization(cur, PLATFORM_ID)
    found = find_plan(cur, plan)
    version = find_version_of(cur, found, number)
    made = version_published(found, version, version_on_sale(cur, found), at=locked.now)
    if made.facts:
        require_countable(
            version.terms, meters_named(cur, [charge.meter for charge in version.terms.charges])
        )
    record(cur, made.facts, author=author)
    return made


def archive_plan(cur: Cursor, *, plan: str, author: Author) -> Plan:
    """This function will take a plan off sale for ever; an archived one stays as it is. Raises NotFound."""
    locked = lock_organization(cur, PLATFORM_ID)
    ended, fact = plan_archived(find_plan(cur, plan), at=locked.now)
    record(cur, [fact], author=author)
    return ended
