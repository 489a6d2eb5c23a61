"""The session behind all calls: proxies of the environment are obeyed, credentials from elsewhere are not sent."""

from pathlib import Path

import pytest
import requests

from billing.stripe_gateway.client import _client, _session

STRIPE = "https://api.stripe.com"
PROXY = "http://proxy.internal:3128"


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, PROXY)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


class TestACall:
    def test_goes_through_the_environments_proxy(self, proxied: pytest.MonkeyPatch) -> None:
        assert _session(STRIPE).proxies["https"] == PROXY

    def test_goes_straight_where_the_environment_wants_no_proxy(self, proxied: pytest.MonkeyPatch) -> None:
        proxied.setenv("NO_PROXY", "api.stripe.com")
        proxied.setenv("no_proxy", "api.stripe.com")
        assert _session(STRIPE).proxies == {}

    def test_takes_no_password_of_a_netrc_in_place_of_the_key(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine api.stripe.com login somebody password secret\n", encoding="utf-8")
        monkeypatch.setenv("NETRC", str(netrc))
        prepared = _session(STRIPE).prepare_request(requests.Request("GET", STRIPE))
        assert "Authorization" not in prepared.headers


def test_a_process_shares_no_connection_with_the_one_it_was_forked_from() -> None:
    ours = _client("sk_test_x", None, (1, 1), 1)
    assert _client("sk_test_x", None, (1, 1), 1) is ours
    assert _client("sk_test_x", None, (1, 1), 2) is not ours
