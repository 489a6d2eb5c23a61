"""The staff's pages of outbound webhooks: readable, without secrets, and with actions that call operations."""

from tests.builders.receivers import Receiver
from tests.builders.webhooks import Told, told
from tests.functional.orgs.test_admin import staff
from webhooks.operations.outbound.delivering import send_due

PAGES = "/admin/webhooks"


def act(page: str, action: str, row: str, made: Told, *, query: str = "") -> int:
    _, client = staff(superuser=True)
    given = {"action": action, "_selected_action": [row]}
    status: int = client.post(f"{PAGES}/{page}/{query}", given).status_code
    return status


def test_pages_show_endpoints_and_deliveries_and_offer_no_change(receiver: Receiver) -> None:
    made = told(receiver.url)
    delivery = made.post("/test").json()["id"]
    _, client = staff(superuser=True)
    for page, row in (("webhookendpoint", made.endpoint), ("webhookdelivery", delivery)):
        assert client.get(f"{PAGES}/{page}/").status_code == 200
        assert client.get(f"{PAGES}/{page}/", {"organization": str(made.organization)}).status_code in (
            200,
            302,
        )
        shown = client.get(f"{PAGES}/{page}/{row}/change/")
        assert shown.status_code == 200
        assert b'name="_save"' not in shown.content
        assert made.secret.encode() not in shown.content
        assert b"secret_ids" not in shown.content


def test_actions_disable_enable_archive_and_replay(receiver: Receiver) -> None:
    made = told(receiver.url)
    delivery = made.post("/test").json()["id"]
    send_due(seconds=0.5)
    query = f"?organization={made.organization}"
    assert act("webhookdelivery", "replay", delivery, made, query=query) == 302
    send_due(seconds=0.5)
    assert len(receiver.got) == 2
    act("webhookendpoint", "disable", made.endpoint, made)
    assert made.get()["status"] == "disabled"
    act("webhookendpoint", "enable", made.endpoint, made)
    assert made.get()["status"] == "enabled"
    act("webhookendpoint", "archive", made.endpoint, made)
    assert made.get()["status"] == "archived"


def test_actions_take_the_permission(receiver: Receiver) -> None:
    made = told(receiver.url)
    _, client = staff("view_webhookendpoint")
    client.post(f"{PAGES}/webhookendpoint/", {"action": "archive", "_selected_action": [made.endpoint]})
    assert made.get()["status"] == "enabled"
