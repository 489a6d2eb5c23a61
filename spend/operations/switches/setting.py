"""Stopping whoever burns money now (S58, S60)."""

from uuid import UUID

from common.errors import Forbidden, InvalidTransition
from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_customer
from orgs.rules.permissions import Permit
from orgs.rules.rows import LockedOrganization
from spend.operations.switches.targets import Target, find_target, require_in_use
from spend.queries.runs import find_run
from spend.queries.switches import Place, level_of_target, switches_on, switches_over_run
from spend.rules.switches import NewSwitch, Switch, check_new, switched


def set_switch(
    cur: Cursor,
    organization: UUID,
    new: NewSwitch,
    *,
    author: Author,
    permit: Permit | None = None,
    pointer: str | None = None,
) -> Switch:
    """This function will stop a target; the gate's next decision obeys it, in every process and after every restart.

    Scope platform stops everybody, and is set in the platform's own organization. Where a switch of this kind and mode
    stands already, it is the answer and nothing changes. `permit` gets the level that the target belongs to and raises
    when the caller may not stop it; `pointer` says where the request names the target. Raises NotFound (also for a run
    that does not exist yet), InvalidField, InvalidTransition (an archived target, a stopped run), Forbidden and
    OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    _check(locked, new)
    target = find_target(cur, organization, new.scope, new.target, pointer=pointer)
    place = Place(organization, new.scope, target.id, target.label)
    if permit is not None:
        permit(level_of_target(cur, place))
    for found in switches_on(cur, place, kind=new.kind):
        if found.is_live and found.mode == new.mode:
            return found
    require_in_use(target, new.scope, pointer=pointer)
    _require_not_stopped(cur, organization, new, target)
    switch, fact = switched(
        new,
        identifier=new_id(),
        organization=organization,
        target_id=target.id,
        target_label=target.label,
        by=author.actor,
        at=locked.now,
    )
    record(cur, [fact], author=author)
    return switch


def _check(locked: LockedOrganization, new: NewSwitch) -> None:
    check_new(new)
    if new.scope != "platform":
        require_customer(locked)
    elif not locked.is_platform:
        raise Forbidden("Only the platform stops the platform.")


def _require_not_stopped(cur: Cursor, organization: UUID, new: NewSwitch, target: Target) -> None:
    if new.kind != "pause" or new.scope != "run" or target.label is None:
        return
    run = find_run(cur, organization=organization, name=target.label)
    if any(found.is_final for found in switches_over_run(cur, run)):
        raise InvalidTransition("The run is stopped.")
