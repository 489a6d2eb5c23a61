"""What the names in requests about budgets mean: targets by key or id, users by label, runs by key."""

from typing import NamedTuple
from uuid import UUID

from common.errors import InvalidField, InvalidTransition, NotFound
from events.store import Cursor
from orgs.queries.subjects import MAX_KEY, find_subject
from spend.queries.runs import find_named_run
from spend.rules.budgetfacts import LABELLED_SCOPES, TARGETED_SCOPES, RunIsChild


class Target(NamedTuple):
    """A team, agent, workflow or connection by id, or a user or run by label; `team_id`: of an agent."""

    id: UUID | None = None
    label: str | None = None
    team_id: UUID | None = None

    @property
    def counted_as(self) -> str | None:
        """How counters name it."""
        return self.label if self.id is None else str(self.id)


def find_target(
    cur: Cursor, organization: UUID, *, scope: str, name: str, pointer: str = "/target"
) -> Target:
    """Return what a name means as the target of a scope; an empty Target for the organization itself.

    Raises NotFound, InvalidTransition (it is archived), InvalidField and RunIsChild.
    """
    if scope in LABELLED_SCOPES:
        return Target(label=_label(cur, organization, scope, name, pointer))
    if scope not in TARGETED_SCOPES:
        if name != str(organization):
            raise NotFound("There is no such organization.", pointer=pointer)
        return Target()
    if len(name) > MAX_KEY:
        raise NotFound(f"There is no such {scope}.", pointer=pointer)
    subject = find_subject(cur, scope, organization=organization, name=name, pointer=pointer)
    if subject.archived_at is not None:
        raise InvalidTransition(f"The {scope} is archived.", pointer=pointer)
    return Target(id=subject.id, team_id=subject.team_id)


def root_run_key(cur: Cursor, organization: UUID, *, name: str, pointer: str) -> str:
    """Return the key of a root run, which may be still to come; a known run may stand by id.

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


def _label(cur: Cursor, organization: UUID, scope: str, name: str, pointer: str) -> str:
    if scope == "run":
        return root_run_key(cur, organization, name=name, pointer=pointer)
    if not name.strip():
        raise InvalidField("The target is empty.", pointer=pointer)
    return name
