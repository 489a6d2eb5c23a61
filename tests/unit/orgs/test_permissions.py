"""S43: the matrix of principals and levels, every cell of it."""

from uuid import UUID

import pytest

from common.errors import Forbidden
from common.ids import new_id
from orgs.rules.permissions import (
    PolicyLevel,
    Principal,
    may_edit_policy,
    may_issue,
    policy_level,
    require_agent_setup,
    require_policy_level,
    require_setup,
)
from orgs.rules.scopes import effective

OWN, OTHER = new_id(), new_id()


def principal(role: str | None, *scopes: str, limited: bool = False) -> Principal:
    return Principal(
        key_id=new_id(),
        organization=new_id(),
        is_platform=False,
        scopes=effective(scopes or ("admin",), role=role, is_platform=False),
        role=role,
        team_id=OWN if role in ("team_owner", "member") else None,
        agent_ids=frozenset({new_id()}) if limited else None,
    )


class TestPolicies:
    @pytest.mark.parametrize(
        ("role", "organization", "own_team", "other_team"),
        [
            (None, True, True, True),
            ("owner", True, False, False),
            ("team_owner", False, True, False),
            ("billing_admin", False, False, False),
            ("member", False, False, False),
        ],
    )
    def test_are_edited_on_the_own_level_only(
        self, role: str | None, organization: bool, own_team: bool, other_team: bool
    ) -> None:
        who = principal(role)
        assert may_edit_policy(who, PolicyLevel()) is organization
        assert may_edit_policy(who, PolicyLevel(OWN)) is own_team
        assert may_edit_policy(who, PolicyLevel(OTHER)) is other_team

    def test_are_not_edited_without_the_scope_admin(self) -> None:
        for role in (None, "owner", "team_owner"):
            assert not may_edit_policy(principal(role, "spend:write"), PolicyLevel())
            assert not may_edit_policy(principal(role, "spend:write"), PolicyLevel(OWN))

    def test_are_not_edited_by_a_key_for_some_agents_only(self) -> None:
        assert not may_edit_policy(principal(None, limited=True), PolicyLevel())

    def test_of_another_level_are_refused(self) -> None:
        require_policy_level(principal("owner"), PolicyLevel())
        with pytest.raises(Forbidden):
            require_policy_level(principal("owner"), PolicyLevel(OWN))


class TestTheLevelOfAPolicy:
    @pytest.mark.parametrize(
        ("scope", "target", "team", "expected"),
        [
            ("organization", None, None, None),
            ("team", OWN, None, OWN),
            ("team", None, None, None),
            ("agent", new_id(), OWN, OWN),
            ("agent", new_id(), None, None),
            ("agent", None, None, None),
            ("workflow", new_id(), None, None),
            ("connection", new_id(), None, None),
            ("user", None, None, None),
            ("run", None, None, None),
        ],
    )
    def test_is_that_of_the_team_for_a_team_and_its_agents(
        self, scope: str, target: UUID | None, team: UUID | None, expected: UUID | None
    ) -> None:
        level = policy_level(scope=scope, target_id=target, target_team_id=team)
        assert level == PolicyLevel(expected)


class TestSettingUp:
    @pytest.mark.parametrize(
        ("role", "may"),
        [(None, True), ("owner", True), ("team_owner", False), ("billing_admin", False), ("member", False)],
    )
    def test_is_for_owners_and_keys_without_a_member(self, role: str | None, may: bool) -> None:
        if may:
            require_setup(principal(role))
        else:
            with pytest.raises(Forbidden):
                require_setup(principal(role))

    def test_of_agents_is_for_team_owners_in_their_own_team(self) -> None:
        require_agent_setup(principal("team_owner"), {OWN})
        for teams in ({OTHER}, {None}, {OWN, OTHER}, {OWN, None}):
            with pytest.raises(Forbidden):
                require_agent_setup(principal("team_owner"), teams)
            require_agent_setup(principal("owner"), teams)
        with pytest.raises(Forbidden):
            require_agent_setup(principal("team_owner", "spend:write"), {OWN})


class TestKeysThatAKeyMakes:
    ROLES = (None, "owner", "billing_admin", "team_owner", "member")

    @pytest.mark.parametrize("role", ROLES)
    def test_of_a_key_without_a_member_may_be_of_any_kind(self, role: str | None) -> None:
        assert may_issue(principal(None), ["admin", "spend:write"], role=role, is_limited=False)

    @pytest.mark.parametrize("role", ROLES)
    def test_of_an_owner_set_up_what_an_owner_does_and_no_more(self, role: str | None) -> None:
        sets_up_more = role in (None, "team_owner")
        assert may_issue(principal("owner"), ["admin"], role=role, is_limited=False) is not sets_up_more
        assert may_issue(principal("owner"), ["admin"], role=role, is_limited=True)
        assert may_issue(principal("owner"), ["spend:write", "billing:write"], role=role, is_limited=False)

    def test_have_no_scope_that_the_role_has_not(self) -> None:
        assert not may_issue(principal("member"), ["billing:read"], role=None, is_limited=False)
        assert may_issue(principal("member"), ["billing:read", "spend:read"], role="member", is_limited=False)
