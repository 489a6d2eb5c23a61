"""Meters, events and backfills on the staff's pages: the same operations and the same refusals as through the API."""

import json
import secrets
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from orgs import PLATFORM_ID
from tests.builders.metering import facts_of, sent, unique_type
from tests.builders.orgs import caller, events_of, make_organization, platform, unique

METERS = "/admin/billing/meter/"
BACKFILLS = "/admin/billing/eventbackfill/"
EVENTS = "/admin/billing/meterevent/"


def staff(*permissions: str) -> tuple[User, Client]:
    user = User.objects.create_user(f"staff-{secrets.token_hex(4)}", is_staff=True, password=None)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return user, client


def form(**given: str) -> dict[str, str]:
    base = {
        "key": unique("staffs"), "name": "Disk", "description": "", "source": "events", "aggregation": "sum",
        "event_type": unique_type(), "value_property": "units", "unique_property": "", "filters": "", "group_by": "",
    }  # fmt: skip
    return {**base, **given}


def meter_events() -> list[Any]:
    return [event for event in events_of(PLATFORM_ID) if event[0].startswith("meter.")]


class TestMeters:
    def test_are_made_described_and_archived(self) -> None:
        user, client = staff("add_meter", "view_meter", "change_meter")
        filters = [{"property": "region", "in": ["eu"]}]
        said = form(filters=json.dumps(filters), group_by='["region"]')
        assert client.post(f"{METERS}add/", said).status_code == 302
        made = platform().get(f"/v1/meters/{said['key']}").json()
        assert (made["filters"], made["group_by"], made["aggregation"]) == (filters, ["region"], "sum")
        page = f"{METERS}{made['id']}/change/"
        assert b'value="Disk"' in client.get(page).content
        assert client.post(page, {"name": "Disks", "description": "all"}).status_code == 302
        kind, _, _, actor, data = meter_events()[-1]
        assert (kind, actor, data["changed"]["name"]) == (
            "meter.changed", f"staff:{user.pk}", ["Disk", "Disks"],
        )  # fmt: skip
        chosen = {"action": "archive", "_selected_action": [made["id"]]}
        assert b"1 done" in client.post(METERS, chosen, follow=True).content
        assert platform().get(f"/v1/meters/{said['key']}").json()["status"] == "archived"
        assert b'name="_save"' not in client.get(page).content

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"key": ""}, b"/key"),
            ({"event_type": ""}, b"/event_type"),
            ({"aggregation": "count"}, b"/value_property"),
            ({"filters": '[{"property": "a"}]'}, b"/filters/0/equals"),
            ({"filters": "{"}, b"valid JSON"),
            ({"group_by": '["a", "a"]'}, b"/group_by"),
        ],
    )
    def test_are_refused_by_the_rules_of_the_api(self, change: dict[str, str], said: bytes) -> None:
        _, client = staff("add_meter", "view_meter")
        before = len(meter_events())
        assert said in client.post(f"{METERS}add/", form(**change), follow=True).content
        assert len(meter_events()) == before

    def test_under_a_key_that_is_taken_are_refused_above_the_form(self) -> None:
        _, client = staff("add_meter", "view_meter")
        said = form()
        client.post(f"{METERS}add/", said)
        again = client.post(f"{METERS}add/", form(key=said["key"]), follow=True)
        assert b"There is a meter with this key" in again.content

    def test_are_changed_by_nobody_who_may_only_look(self) -> None:
        _, client = staff("view_meter")
        assert client.get(METERS).status_code == 200
        assert client.get(f"{METERS}add/").status_code == 403


class TestEventsAndBackfills:
    def test_are_looked_at_and_reverted(self) -> None:
        organization = make_organization()
        reporter = caller(organization, "spend:write", "billing:write")
        made = reporter.post("/v1/event-backfills", {"name": "March", "reason": "lost"}).json()
        event = sent(unique_type())
        reporter.post(f"/v1/event-backfills/{made['id']}/events", {"items": [event]})
        user, client = staff("view_eventbackfill", "change_eventbackfill", "view_meterevent")
        listed = client.get(EVENTS, {"organization": str(organization)}).content.decode()
        assert event["id"] in listed
        assert event["id"] not in client.get(EVENTS).content.decode()
        assert client.get(f"{EVENTS}add/").status_code == 403
        chosen = {"action": "revert", "_selected_action": [made["id"]]}
        assert b"1 done" in client.post(BACKFILLS, chosen, follow=True).content
        shown = reporter.get(f"/v1/event-backfills/{made['id']}").json()
        assert (shown["status"], shown["reverted_by"], shown["counting"]) == (
            "reverted",
            f"staff:{user.pk}",
            0,
        )
        assert [fact[0] for fact in facts_of(organization)] == [1, -1]
