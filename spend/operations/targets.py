"""Whom a policy is for: the team, agent, workflow, connection, run or user that a request names."""

from typing import NamedTuple
from uuid import UUID

from common.errors import InvalidField, InvalidTransition, NotFound
from events.store import Cursor
from orgs.queries.subjects import find_subject
from orgs.rules.permissions import PolicyLevel, policy_level
from spend.queries.runs import find_named_run
from spend.rules.budgetfacts import LABELLED_SCOPES, TARGETED_SCOPES, RunIsChild


class Target(NamedTuple):
    """A target by id, or by the key of a run or the label of a user; all None: every one of the scope."""

    id: UUID | None = None
    label: str | None = None
    team_id: UUID | None = None

    @property
    def counted_as(self) -> str | None:
        """Return how counters name it."""
        return self.label if self.id is None else str(self.id)

    def level(self, scope: str) -> PolicyLevel:
        """Return whose a policy for it is (S43)."""
        return policy_level(scope=scope, target_id=self.id, target_team_id=self.team_id)


def find_target(cur: Cursor, organization: UUID, *, scope: str, name: str | None) -> Target:
    """Return whom a scope and a name mean; an organization is named by its own id or not at all.

    Raises NotFound (what the organization does not have, S20), InvalidField, InvalidTransition (archived) and
    RunIsChild.
    """
    if name is None:
        return Target()
    if scope in LABELLED_SCOPES:
        return Target(label=_label(cur, organization, scope, name))
    if scope not in TARGETED_SCOPES:
        if name != str(organization):
            raise NotFound("There is no such organization.", pointer="/target")
        return Target()
    if len(name) > 100:
        raise NotFound(f"There is no such {scope}.", pointer="/target")
    subject = find_subject(cur, scope, organization=organization, name=name, pointer="/target")
    if subject.archived_at is not None:
        raise InvalidTransition(f"The {scope} is archived.", pointer="/target")
    return Target(subject.id, team_id=subject.team_id)


def root_run_key(cur: Cursor, organization: UUID, *, name: str, pointer: str) -> str:
    """Return the key of a root run, which may be still to come; a known run may stand by its id.

    Raises InvalidField and RunIsChild.
    """
    if not name.strip():
        raise InvalidField(f"The {pointer.removeprefix('/')} is empty.", pointer=pointer)
    run = find_named_run(cur, organization=organization, name=name)
    if run is None:
        return name
    if run.parent_id is not None:
        raise RunIsChild(pointer=pointer)
    return run.key


def _label(cur: Cursor, organization: UUID, scope: str, name: str) -> str:
    if scope == "run":
        return root_run_key(cur, organization, name=name, pointer="/target")
    if not name.strip():
        raise InvalidField("The target is empty.", pointer="/target")
    return name
