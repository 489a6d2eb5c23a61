"""B128 at save: addresses that are none of a receiver's, through HTTP; nothing is stored, nothing is asked."""

import pytest
from pytest_django import Settings

from tests.builders.orgs import caller, events_of, make_organization
from tests.builders.webhooks import told

ENDPOINTS = "/v1/webhook-endpoints"
URLS = (
    "https://127.0.0.1/", "https://localhost/", "https://169.254.169.254/latest/meta-data", "https://[::1]/",
    "https://[::ffff:127.0.0.1]/", "https://0/", "https://2130706433/", "https://0x7f.1/", "https://user@example.com/",
    "https://example.com@127.0.0.1/", "file:///etc/passwd", "gopher://example.com/", "https://example.com:5432/",
    "https://example.com:6379/", "https://example.com/\r\nX: y", "https://example.com/\n", "http://example.com/",
    "http://127.0.0.1:9000/",
)  # fmt: skip


@pytest.fixture(autouse=True)
def to_loopback(settings: Settings) -> None:
    """The setting of production."""
    settings.WEBHOOKS_TO_LOOPBACK = False


@pytest.mark.parametrize("url", URLS, ids=range(len(URLS)))
class TestAnAddressThatIsNoReceivers:
    def test_is_400_at_save_and_makes_nothing(self, url: str) -> None:
        organization = make_organization()
        api = caller(organization, "admin")
        before = events_of(organization)
        answer = api.post(ENDPOINTS, {"url": url, "event_types": ["*"]})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_url")
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/url"]
        assert events_of(organization) == before

    def test_is_400_at_a_change_and_changes_nothing(self, url: str) -> None:
        made = told("https://93.184.215.14/x")
        before = made.get()
        answer = made.api.patch(f"{ENDPOINTS}/{made.endpoint}", {"url": url})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_url")
        assert made.get() == before
