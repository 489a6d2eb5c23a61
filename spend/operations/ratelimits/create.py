"""Making rate limits (S48)."""

from uuid import UUID

from common.errors import InvalidField, InvalidTransition, NotFound
from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.queries.api_keys import find_api_key
from orgs.queries.subjects import find_subject
from orgs.rules.organizations import require_customer
from orgs.rules.permissions import Permit, policy_level
from spend.rules.limitfacts import TARGETED_SCOPES, LimitTerms, created
from spend.rules.limits import RateLimit

MAX_NAME = 100
"""The longest key or id of a target."""


def create_rate_limit(
    cur: Cursor, organization: UUID, terms: LimitTerms, *, author: Author, permit: Permit | None = None
) -> RateLimit:
    """This function will make a rate limit; the gate obeys it from its next decision on (S42).

    `permit` gets the level that the limit belongs to and raises when the caller may not edit it (S43).
    Raises NotFound (a target that the organization does not have, S20), InvalidField, InvalidTransition (an archived
    or revoked target) and OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    require_customer(locked)
    target_id, label, team_id = _target(cur, organization, terms)
    if permit is not None:
        permit(policy_level(scope=terms.scope, target_id=target_id, target_team_id=team_id))
    limit, fact = created(
        terms,
        identifier=new_id(),
        organization=organization,
        target_id=target_id,
        target_label=label,
        time_zone=locked.time_zone,
        at=locked.now,
    )
    record(cur, [fact], author=author)
    return limit


def _target(
    cur: Cursor, organization: UUID, terms: LimitTerms
) -> tuple[UUID | None, str | None, UUID | None]:
    """Return the target's id or its label, and the team of a targeted agent."""
    name = terms.target
    if name is None:
        return None, None, None
    if terms.scope == "user":
        if not name.strip():
            raise InvalidField("The target is empty.", pointer="/target")
        return None, name, None
    if terms.scope == "organization":
        if name != str(organization):
            raise NotFound("There is no such organization.", pointer="/target")
        return None, None, None
    if terms.scope == "key":
        return _live_key(cur, organization, name), None, None
    assert terms.scope in TARGETED_SCOPES
    if len(name) > MAX_NAME:
        raise NotFound(f"There is no such {terms.scope}.", pointer="/target")
    subject = find_subject(cur, terms.scope, organization=organization, name=name, pointer="/target")
    if subject.archived_at is not None:
        raise InvalidTransition(f"The {terms.scope} is archived.", pointer="/target")
    return subject.id, None, subject.team_id


def _live_key(cur: Cursor, organization: UUID, name: str) -> UUID:
    try:
        key = find_api_key(cur, organization=organization, name=name)
    except NotFound as error:
        raise NotFound(error.detail, pointer="/target") from None
    if key.revoked_at is not None:
        raise InvalidTransition("The API key is revoked.", pointer="/target")
    return key.id
