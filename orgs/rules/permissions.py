"""Who may do what: the principal behind a key, and the matrix of roles and levels (S43).

principal                    set up                members, keys   organization's policies   a team's policies
platform key                 everywhere            everywhere      yes                       yes
admin key without a member   own organization      yes             yes                       yes
owner                        own organization      yes             yes                       no
team_owner                   agents of own team    no              no                        own team only
billing_admin, member        no                    no              no                        no

Whatever a role allows, the key's scopes must allow it, too. Reads inside the own organization need a scope
only; a key that is limited to agents or connections reads what can be told of these alone.

Stopping is nobody's budget: pauses, kill switches and incidents of a team's agents may be set and lifted by the owner,
too, for what burns money now must not wait for the team.

A key that is made or rotated with a member's key can do nothing that this member's role does not allow. So an owner
makes keys of every kind but those that set up more than an owner does: `admin` without a member, or for a team_owner.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from uuid import UUID

from common.errors import Forbidden, ProblemError
from orgs.rules.scopes import ADMIN, ORGANIZATION_SCOPES, OWNER, PLATFORM, TEAM_OWNER, effective


class KeyIsLimited(ProblemError):
    """This API key is limited to some agents or connections, and this cannot be told of them alone."""

    code = "not_permitted"
    status = 403


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """The only agents and connections that a key is for; None: every one. Of both: what is of both."""

    agent_ids: frozenset[UUID] | None = None
    connection_ids: frozenset[UUID] | None = None

    def ids(self, kind: str) -> list[UUID] | None:
        """The only ones of a kind of object that the key is for; None: every one."""
        found = {"agent": self.agent_ids, "connection": self.connection_ids}.get(kind)
        return None if found is None else sorted(found)

    def leave_out(self, kind: str, identifier: UUID) -> bool:
        """Whether an object is none of those that the key is for."""
        found = self.ids(kind)
        return found is not None and identifier not in found


NO_LIMITS = KeyLimits()


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever a request acts for: the key, its organization and what it may do there.

    `scopes` are the effective ones. `agent_ids` and `connection_ids` are the only ones that the key may act
    for; None: every one. `use_is_noted`: the key's last use was stored within the last minute.
    """

    key_id: UUID
    organization: UUID
    is_platform: bool
    scopes: frozenset[str]
    member_id: UUID | None = None
    role: str | None = None
    team_id: UUID | None = None
    agent_ids: frozenset[UUID] | None = None
    connection_ids: frozenset[UUID] | None = None
    organization_status: str = "active"
    use_is_noted: bool = True

    @property
    def actor(self) -> str:
        """How events name the principal."""
        return f"key:{self.key_id}"

    @property
    def limits(self) -> KeyLimits:
        """What the key is for."""
        return KeyLimits(self.agent_ids, self.connection_ids)

    @property
    def is_limited(self) -> bool:
        """Whether the key may act only for some agents or connections."""
        return self.agent_ids is not None or self.connection_ids is not None

    def has_scope(self, scope: str) -> bool:
        """Whether the key carries a scope, as far as its member's role allows."""
        return scope in self.scopes

    # DRF and Django ask this of request.user.
    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def pk(self) -> UUID:
        return self.key_id

    @property
    def is_active(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class PolicyLevel:
    """Whose a policy (budget, threshold, rate limit) is: the organization's, or that of one team."""

    team_id: UUID | None = None


Permit = Callable[[PolicyLevel], None]
"""Raises Forbidden when the caller may not edit policies of this level; operations ask it under their lock."""


def policy_level(*, scope: str, target_id: UUID | None, target_team_id: UUID | None) -> PolicyLevel:
    """The level of a policy by its scope and target. `target_team_id`: the team of a targeted agent.

    A team's own policy and those of its agents are the team's; all others, also those that give every team or
    agent its own, are the organization's.
    """
    if scope == "team":
        return PolicyLevel(target_id)
    if scope == "agent" and target_id is not None:
        return PolicyLevel(target_team_id)
    return PolicyLevel()


def require_scope(principal: Principal, scope: str) -> None:
    """Refuse a principal without this scope. Raises Forbidden."""
    if not principal.has_scope(scope):
        raise Forbidden(f"This needs the scope {scope}.")


def may_edit_policy(principal: Principal, level: PolicyLevel) -> bool:
    """Whether a principal may make or change a policy of this level: only that of the own level (S43)."""
    if not _may_set_up_something(principal):
        return False
    if principal.role is None:
        return True
    if level.team_id is None:
        return principal.role == OWNER
    return principal.role == TEAM_OWNER and principal.team_id == level.team_id


def require_policy_level(principal: Principal, level: PolicyLevel) -> None:
    """Refuse the edit of another level's policy. Raises Forbidden."""
    if not may_edit_policy(principal, level):
        raise Forbidden("This policy belongs to another level than this key's role.")


def may_stop(principal: Principal, level: PolicyLevel) -> bool:
    """Whether a principal may stop, and let go on, what is of this level: an owner everything of the organization, a
    team owner what is of the own team (S60)."""
    if not _may_set_up_something(principal):
        return False
    if principal.role in (None, OWNER):
        return True
    return principal.role == TEAM_OWNER and level.team_id is not None and level.team_id == principal.team_id


def require_stop_level(principal: Principal, level: PolicyLevel) -> None:
    """Refuse whoever may not stop what is of this level. Raises Forbidden."""
    if not may_stop(principal, level):
        raise Forbidden("This key's role may not stop that, nor let it go on.")


def require_platform(principal: Principal) -> None:
    """Refuse whoever is not the platform. Raises Forbidden."""
    require_scope(principal, PLATFORM)


def may_set_up(principal: Principal) -> bool:
    """Whether a principal may set up the whole organization, and so see who has access to it."""
    return _may_set_up_something(principal) and principal.role in (None, OWNER)


def require_setup(principal: Principal) -> None:
    """Refuse whoever may not set up the whole organization. Raises Forbidden."""
    if not may_set_up(principal):
        raise Forbidden("Only an admin key without a member, or an owner's, sets up the organization.")


def may_issue(principal: Principal, scopes: Collection[str], *, role: str | None, is_limited: bool) -> bool:
    """Whether a principal may hold in hands a key with these scopes, of a member with this role (None: of none).

    A limited key sets up nothing, whatever its scopes.
    """
    if principal.role is None:
        return True
    given = effective(scopes, role=role, is_platform=False)
    if not given <= effective(ORGANIZATION_SCOPES, role=principal.role, is_platform=False):
        return False
    return ADMIN not in given or is_limited or role == principal.role


def require_agent_setup(principal: Principal, team_ids: set[UUID | None]) -> None:
    """Refuse whoever may not set up agents of all these teams. Raises Forbidden."""
    if principal.role == TEAM_OWNER and _may_set_up_something(principal):
        if principal.team_id is not None and team_ids == {principal.team_id}:
            return
        raise Forbidden("A team owner sets up agents of the own team only.")
    require_setup(principal)


def _may_set_up_something(principal: Principal) -> bool:
    # A key for some agents must not make itself, or another key, free of that limit.
    return ADMIN in principal.scopes and not principal.is_limited
