"""Making budgets (S25, S26)."""

from collections.abc import Callable
from uuid import UUID

from common.errors import InvalidField, InvalidTransition, NotFound
from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.queries.subjects import find_subject
from orgs.rules.organizations import require_customer
from orgs.rules.permissions import PolicyLevel, policy_level
from spend.queries.runs import find_named_run
from spend.rules.budgetfacts import (
    LABELLED_SCOPES,
    TARGETED_SCOPES,
    Budget,
    RunIsChild,
    Terms,
    check_terms,
    created,
)

Permit = Callable[[PolicyLevel], None]


def create_budget(
    cur: Cursor, organization: UUID, terms: Terms, *, author: Author, permit: Permit | None = None
) -> Budget:
    """This function will make a budget; the gate obeys it from its next decision on (S42).

    `permit` gets the level that the budget belongs to and raises when the caller may not edit it (S43).
    Raises NotFound (a target that the organization does not have, S20), InvalidField, CurrencyMismatch,
    AmountOutOfRange, InvalidTransition (an archived target), RunIsChild and OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    require_customer(locked)
    check_terms(terms, currency=locked.currency)
    target_id, label, team_id = _target(cur, organization, terms)
    if permit is not None:
        permit(policy_level(scope=terms.scope, target_id=target_id, target_team_id=team_id))
    budget, fact = created(
        terms,
        identifier=new_id(),
        organization=organization,
        target_id=target_id,
        target_label=label,
        time_zone=terms.time_zone or locked.time_zone,
        at=locked.now,
    )
    record(cur, [fact], author=author)
    return budget


def _target(cur: Cursor, organization: UUID, terms: Terms) -> tuple[UUID | None, str | None, UUID | None]:
    """Return the target's id or its label, and the team of a targeted agent."""
    name = terms.target
    if name is None:
        return None, None, None
    if terms.scope in LABELLED_SCOPES:
        return None, _label(cur, organization, terms.scope, name), None
    if terms.scope not in TARGETED_SCOPES:
        if name != str(organization):
            raise NotFound("There is no such organization.", pointer="/target")
        return None, None, None
    if len(name) > 100:
        raise NotFound(f"There is no such {terms.scope}.", pointer="/target")
    subject = find_subject(cur, terms.scope, organization=organization, name=name, pointer="/target")
    if subject.archived_at is not None:
        raise InvalidTransition(f"The {terms.scope} is archived.", pointer="/target")
    return subject.id, None, subject.team_id


def _label(cur: Cursor, organization: UUID, scope: str, name: str) -> str:
    """A user's label, or a run's key, which may belong to a run that is still to come; a known run may stand by id."""
    if not name.strip():
        raise InvalidField("The target is empty.", pointer="/target")
    if scope == "user":
        return name
    run = find_named_run(cur, organization=organization, name=name)
    if run is None:
        return name
    if run.parent_id is not None:
        raise RunIsChild(pointer="/target")
    return run.key
