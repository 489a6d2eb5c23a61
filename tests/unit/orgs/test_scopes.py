"""What the scopes of a key come to, and what a role leaves of them."""

import pytest

from orgs.rules.scopes import ADMIN, ALL_SCOPES, ORGANIZATION_SCOPES, PLATFORM, READS, ROLES, effective


class TestEffectiveScopes:
    def test_of_admin_include_every_read_but_no_write_of_an_area(self) -> None:
        assert effective([ADMIN], role=None, is_platform=False) == READS | {ADMIN}

    def test_of_a_write_include_the_read_of_its_area(self) -> None:
        found = effective(["spend:write"], role=None, is_platform=False)
        assert found == {"spend:write", "spend:read"}

    def test_of_platform_include_admin_for_keys_of_the_platform(self) -> None:
        assert effective([PLATFORM], role=None, is_platform=True) == READS | {ADMIN, PLATFORM}

    def test_of_platform_count_nothing_on_another_organizations_key(self) -> None:
        assert effective([PLATFORM], role=None, is_platform=False) == frozenset()

    @pytest.mark.parametrize("role", ROLES)
    def test_of_a_member_never_hold_platform(self, role: str) -> None:
        assert PLATFORM not in effective(ALL_SCOPES, role=role, is_platform=True)

    @pytest.mark.parametrize(
        ("role", "expected"),
        [
            ("owner", ORGANIZATION_SCOPES),
            (
                "billing_admin",
                {
                    "billing:write",
                    "billing:read",
                    "payouts:write",
                    "payouts:read",
                    "spend:read",
                    "audit:read",
                },
            ),
            ("team_owner", {"admin", "spend:write", "spend:read"}),
            ("member", {"spend:write", "spend:read"}),
        ],
    )
    def test_of_a_member_are_at_most_those_of_the_role(self, role: str, expected: set[str]) -> None:
        assert effective(ALL_SCOPES, role=role, is_platform=False) == expected

    def test_of_a_member_are_not_widened_by_what_admin_includes(self) -> None:
        assert effective([ADMIN], role="team_owner", is_platform=False) == {"admin", "spend:read"}
