"""The demo data of make run."""

import json
import stat
from pathlib import Path

from django.contrib.auth import authenticate
from django.contrib.auth.models import Permission
from django.db import connection

from sandbox.demo import load_demo
from sandbox.places import write_json
from tests.builders.orgs import Caller


def counted(table: str) -> int:
    """How many rows a table has."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        found: int = cursor.fetchone()[0]
    return found


class TestTheDemoData:
    def test_is_told_in_a_file_that_only_its_owner_reads(self, demo_file: Path) -> None:
        demo = json.loads(demo_file.read_text(encoding="utf-8"))
        assert set(demo) == {"platform_key", "organizations", "staff"}
        assert [set(organization) for organization in demo["organizations"]] == [
            {"id", "name", "api_key", "agents"}
        ] * 2
        assert [(person["username"], person["role"]) for person in demo["staff"]] == [
            ("admin", "admin"),
            ("finance-maker", "finance"),
            ("finance-checker", "finance"),
            ("support", "support"),
        ]
        assert stat.S_IMODE(demo_file.stat().st_mode) == 0o600

    def test_has_keys_that_see_their_own_organization_with_its_credit(self, demo_file: Path) -> None:
        demo = json.loads(demo_file.read_text(encoding="utf-8"))
        first, second = (Caller(organization["api_key"]) for organization in demo["organizations"])
        assert first.get("/v1/balance").json()["available"] == "225"
        assert second.get("/v1/balance").json()["available"] == "0"
        assert first.get(f"/v1/organizations/{demo['organizations'][1]['id']}").status_code == 404

    def test_has_agents_and_budgets(self, demo_file: Path) -> None:
        organization = json.loads(demo_file.read_text(encoding="utf-8"))["organizations"][0]
        caller = Caller(organization["api_key"])
        agents = caller.get("/v1/agents").json()["data"]
        assert {agent["key"] for agent in agents} == set(organization["agents"])
        budgets = caller.get("/v1/budgets").json()["data"]
        assert {(budget["scope"], budget["window"], budget["limit"]) for budget in budgets} == {
            ("organization", "month", "150"),
            ("team", "week", "60"),
            ("agent", "day", "10"),
        }

    def test_made_anew_has_staff_that_can_log_in_with_what_their_role_allows(self, tmp_path: Path) -> None:
        assert load_demo(path=tmp_path / "demo.json")
        staff = json.loads((tmp_path / "demo.json").read_text(encoding="utf-8"))["staff"]
        users = {
            person["username"]: authenticate(username=person["username"], password=person["password"])
            for person in staff
        }
        assert all(user is not None and user.is_staff for user in users.values())
        assert [name for name, user in users.items() if user is not None and user.is_superuser] == ["admin"]
        finance, support = users["finance-maker"], users["support"]
        assert finance is not None
        assert support is not None
        assert finance.has_perm("orgs.view_organization")
        assert not finance.has_perm("orgs.change_organization")
        assert support.has_perm("orgs.view_organization")
        ledger = Permission.objects.filter(content_type__app_label="ledger", codename__startswith="change_")
        assert {kind for kind in ledger if not finance.has_perm(f"ledger.{kind.codename}")} == set()
        assert finance.has_perm("ledger.add_adjustment")
        assert not support.has_module_perms("ledger")
        for kind in (
            "payouts.change_payout",
            "webhooks.change_processoritem",
            "webhooks.view_reconciliation",
        ):
            assert finance.has_perm(kind)
            assert support.has_perm(kind) == kind.startswith("webhooks.view")

    def test_loaded_again_changes_nothing(self, demo_file: Path) -> None:
        before = demo_file.read_bytes(), counted("events"), counted("organizations"), counted("auth_user")
        assert load_demo(path=demo_file) is False
        assert (
            demo_file.read_bytes(),
            counted("events"),
            counted("organizations"),
            counted("auth_user"),
        ) == before

    def test_is_made_anew_when_the_file_is_of_another_database(self, demo_file: Path, tmp_path: Path) -> None:
        stranger = json.loads(demo_file.read_text(encoding="utf-8"))
        stranger["platform_key"] = "cfk_" + "0" * 40
        write_json(path=tmp_path / "demo.json", value=stranger)
        assert load_demo(path=tmp_path / "demo.json") is True
        made = json.loads((tmp_path / "demo.json").read_text(encoding="utf-8"))
        assert Caller(made["platform_key"]).get("/v1/organizations").status_code == 200
