"""The staff's pages of switches and incidents: stopping somebody, letting go on with a reason, and nothing else."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from orgs import PLATFORM_ID
from spend.models import Incident, Switch
from tests.builders.incidents import open_incident
from tests.builders.orgs import caller, events_of, make_agent, make_organization, platform
from tests.functional.spend.test_admin import staff

SWITCHES, INCIDENTS = "/admin/spend/switch/", "/admin/spend/incident/"
FORM = {
    "scope": "agent",
    "target": "research-bot",
    "kind": "pause",
    "mode": "enforce",
    "why": "it burns money",
}
MAY_STOP = ("add_switch", "view_switch", "change_switch", "view_incident", "change_incident")


@pytest.fixture
def operator() -> tuple[User, Client]:
    return staff(*MAY_STOP)


def stopped(organization: Any, kind: str = "pause") -> Switch:
    made = open_incident(organization, switch=kind)
    return Switch.objects.get(pk=made.switch_id)


class TestStopping:
    def test_is_done_by_the_operation_with_the_person_as_actor(self, operator: tuple[User, Client]) -> None:
        (user, client), organization = operator, make_organization()
        agent = make_agent(organization)
        page = client.get(f"{SWITCHES}add/").content.decode()
        assert all(f'name="{name}"' in page for name in ("organization", *FORM))
        answer = client.post(f"{SWITCHES}add/", {**FORM, "organization": str(organization)})
        assert answer.status_code == 302, answer.content
        row = Switch.objects.get(organization=organization)
        assert (row.kind, row.scope, row.target_id, row.reason) == (
            "pause",
            "agent",
            agent.id,
            "it burns money",
        )
        kind, _, _, actor, _ = events_of(organization)[-1]
        assert (kind, actor) == ("switch.set", f"staff:{user.pk}")
        assert str(organization) in client.get(SWITCHES, {"lifted_at__isempty": "1"}).content.decode()

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"target": "ghost"}, "no such agent"),
            ({"target": ""}, "Which agent"),
            ({"kind": "stop"}, "Only a run is stopped"),
            ({"scope": "run", "target": "r-9"}, "no such run"),
            ({"organization": ""}, "Of which organization?"),
            ({"why": " "}, "This field is required"),
        ],
    )
    def test_is_refused_by_the_rules_of_the_api(
        self, operator: tuple[User, Client], change: dict[str, str], said: str
    ) -> None:
        (_, client), organization = operator, make_organization()
        make_agent(organization)
        before = events_of(organization)
        form = {**FORM, "organization": str(organization), **change}
        answer = client.post(f"{SWITCHES}add/", form, follow=True)
        assert said in answer.content.decode()
        assert events_of(organization) == before

    def test_reaches_the_whole_platform(self, operator: tuple[User, Client]) -> None:
        _, client = operator
        form = {"scope": "platform", "kind": "kill", "mode": "observe", "why": "drill"}
        assert client.post(f"{SWITCHES}add/", form).status_code == 302
        row = Switch.objects.filter(organization=PLATFORM_ID, lifted_at=None).latest("set_at")
        shown = platform().get(f"/v1/kill-switches/{row.pk}").json()
        assert (shown["scope"], shown["reason"]) == ("platform", "drill")
        assert client.post(f"{SWITCHES}{row.pk}/change/", {"why": "over"}).status_code == 302
        row.refresh_from_db()
        assert row.lift_reason == "over"


class TestLettingGoOn:
    def test_asks_for_the_reason_on_the_switchs_page(self, operator: tuple[User, Client]) -> None:
        (user, client), organization = operator, make_organization()
        row = stopped(organization)
        page = f"{SWITCHES}{row.pk}/change/"
        shown = client.get(page).content.decode()
        assert 'name="why"' in shown and 'name="mode"' not in shown and 'name="_save"' in shown
        assert "This field is required" in client.post(page, {"why": ""}).content.decode()
        row.refresh_from_db()
        assert row.lifted_at is None
        assert client.post(page, {"why": "mended"}).status_code == 302
        row.refresh_from_db()
        assert (row.lifted_by, row.lift_reason) == (f"staff:{user.pk}", "mended")
        incident = Incident.objects.get(pk=row.incident_id)
        assert (incident.released_by, incident.release_reason) == (f"staff:{user.pk}", "mended")
        assert 'name="_save"' not in client.get(page).content.decode()

    def test_of_several_asks_for_the_reason_beside_the_action(self, operator: tuple[User, Client]) -> None:
        (_, client), organization = operator, make_organization()
        rows = [stopped(organization, kind) for kind in ("pause", "kill")]
        form = {"action": "lift", "_selected_action": [str(row.pk) for row in rows], "index": "0"}
        assert "Give a reason." in client.post(SWITCHES, form, follow=True).content.decode()
        assert Switch.objects.filter(organization=organization, lifted_at=None).count() == 2
        said = client.post(SWITCHES, {**form, "reason": "mended"}, follow=True).content.decode()
        assert "2 done." in said
        assert Switch.objects.filter(organization=organization, lifted_at=None).count() == 0

    def test_releases_an_incident_and_what_it_paused(self, operator: tuple[User, Client]) -> None:
        (user, client), organization = operator, make_organization()
        made = open_incident(organization, switch="pause", evidence={"note": "<b>80 %</b>"}, spent=5 * 10**8)
        page = f"{INCIDENTS}{made.id}/change/"
        shown = client.get(page).content.decode()
        assert "&lt;b&gt;80 %&lt;/b&gt;" in shown and "<b>80 %" not in shown
        assert str(made.id) in client.get(INCIDENTS, {"q": str(organization)}).content.decode()
        assert client.post(page, {"why": "mended"}).status_code == 302
        row = Incident.objects.get(pk=made.id)
        assert (row.released_by, row.release_reason) == (f"staff:{user.pk}", "mended")
        assert Switch.objects.get(pk=made.switch_id).lifted_at is not None
        assert 'name="_save"' not in client.get(page).content.decode()

    def test_releases_several_incidents(self, operator: tuple[User, Client]) -> None:
        (_, client), organization = operator, make_organization()
        made = [open_incident(organization) for _ in range(2)]
        form = {"action": "release", "_selected_action": [str(each.id) for each in made], "reason": "seen"}
        assert "2 done." in client.post(INCIDENTS, form, follow=True).content.decode()
        assert Incident.objects.filter(organization=organization, released_at=None).count() == 0

    def test_is_not_offered_for_a_stopped_run(self, operator: tuple[User, Client]) -> None:
        (_, client), organization = operator, make_organization()
        row = stopped(organization, "stop")
        page = f"{SWITCHES}{row.pk}/change/"
        assert 'name="_save"' not in client.get(page).content.decode()
        assert client.post(page, {"why": "please"}).status_code == 403
        form = {"action": "lift", "_selected_action": [str(row.pk)], "reason": "please"}
        assert "never works again" in client.post(SWITCHES, form, follow=True).content.decode()


class TestWhoMay:
    def test_only_look(self) -> None:
        _, client = staff("view_switch", "view_incident")
        organization = make_organization()
        row = stopped(organization)
        before = events_of(organization)
        assert client.get(f"{SWITCHES}add/").status_code == 403
        assert client.post(f"{SWITCHES}add/", {**FORM, "organization": str(organization)}).status_code == 403
        for page in (f"{SWITCHES}{row.pk}/change/", f"{INCIDENTS}{row.incident_id}/change/"):
            assert 'name="_save"' not in client.get(page).content.decode()
            assert client.post(page, {"why": "x"}).status_code == 403
        client.post(SWITCHES, {"action": "lift", "_selected_action": [str(row.pk)], "reason": "x"})
        assert events_of(organization) == before

    def test_not_even_look(self) -> None:
        _, client = staff("view_budget")
        assert client.get(SWITCHES).status_code == client.get(INCIDENTS).status_code == 403

    @pytest.mark.parametrize("place", [SWITCHES, INCIDENTS])
    def test_nobody_delete(self, place: str) -> None:
        _, client = staff(superuser=True)
        row = stopped(make_organization())
        name = row.pk if place == SWITCHES else row.incident_id
        assert client.post(f"{place}{name}/delete/", {"post": "yes"}).status_code == 403
        assert client.get(f"{INCIDENTS}add/").status_code == 403
        assert "delete_selected" not in client.get(place).content.decode()


def test_what_the_staff_does_is_seen_through_the_api(operator: tuple[User, Client]) -> None:
    (user, client), organization = operator, make_organization()
    make_agent(organization)
    client.post(f"{SWITCHES}add/", {**FORM, "organization": str(organization)})
    (shown,) = caller(organization).get("/v1/kill-switches").json()["data"]
    assert (shown["set_by"], shown["target"], shown["status"]) == (f"staff:{user.pk}", "research-bot", "live")
