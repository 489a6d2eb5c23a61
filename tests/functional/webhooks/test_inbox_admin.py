"""Dead letters on the staff's pages, and the commands of operators (S86)."""

import io
import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client

from tests.builders.deliveries import Objects, deliver, event, handling, identifier, make_due, row_of
from tests.builders.signing import SECRET
from webhooks.operations.inbound.processing import process_due
from webhooks.rules.inbound.judging import MOST_ATTEMPTS

PAGE = "/admin/webhooks/stripeevent/"


def staff(*permissions: str) -> Client:
    user = User.objects.create_user(f"staff-{secrets.token_hex(4)}", is_staff=True, password=None)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def objects(settings: Any) -> Iterator[Objects]:
    settings.STRIPE_WEBHOOK_SECRETS = (SECRET,)
    settings.STRIPE_API_KEY = None
    with handling(Objects()) as found:
        process_due()
        yield found


def dead(objects: Objects) -> dict[str, Any]:
    objects.error = RuntimeError("broken for good")
    value = event("payment_intent.succeeded", identifier("pi"))
    assert deliver(value).status_code == 200
    for _ in range(MOST_ATTEMPTS):
        make_due(row_of(value).id)
        process_due()
    assert row_of(value).state == "dead"
    objects.error = None
    return value


class TestADeadLetter:
    def test_is_seen_and_replayed_to_one_effect(self, objects: Objects) -> None:
        value = dead(objects)
        row, name = row_of(value), value["data"]["object"]["id"]
        client = staff("view_stripeevent", "change_stripeevent", "view_stripewatermark")
        assert value["id"] in client.get(PAGE, {"state": "dead", "q": value["id"]}).content.decode()
        shown = client.get(f"{PAGE}{row.id}/change/").content.decode()
        assert "broken for good" in shown and name in shown
        chosen = {"action": "replay", "_selected_action": str(row.id)}
        assert b"1 done" in client.post(PAGE, chosen, follow=True).content
        process_due()
        assert (row_of(value).state, objects.effect(name)) == ("applied", "0")
        assert client.get("/admin/webhooks/stripewatermark/").status_code == 200

    def test_is_replayed_by_nobody_who_may_only_look(self, objects: Objects) -> None:
        value = dead(objects)
        client = staff("view_stripeevent")
        client.post(PAGE, {"action": "replay", "_selected_action": str(row_of(value).id)})
        assert row_of(value).state == "dead"

    def test_is_replayed_by_command(self, objects: Objects) -> None:
        first, second = dead(objects), dead(objects)
        output = io.StringIO()
        call_command("replay_webhook", first["id"], "--json", stdout=output)
        assert json.loads(output.getvalue()) == {str(row_of(first).id): "received"}
        assert (row_of(first).state, row_of(second).state) == ("applied", "dead")
        call_command("replay_webhook", "--state", "dead", "--reason", "failed", stdout=output)
        assert row_of(second).state == "applied"

    def test_that_is_not_there_is_an_error(self, objects: Objects) -> None:
        for arguments in (["evt_ghost"], [], ["evt_ghost", "--state", "dead"]):
            with pytest.raises(CommandError):
                call_command("replay_webhook", *arguments, stdout=io.StringIO())

    def test_is_no_business_of_catching_up(self, objects: Objects) -> None:
        output = io.StringIO()
        call_command("catch_up_webhooks", "--json", stdout=output)
        assert json.loads(output.getvalue())["stored"] == 0
