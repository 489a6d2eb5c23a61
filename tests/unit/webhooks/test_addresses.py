"""Where webhooks may go: every row of B128, by what a URL says and by what its name leads to."""

import pytest

from webhooks.rules.outbound.addresses import InvalidUrl, parse_target, require_public

PUBLIC = "93.184.215.14"
INNER = (
    "http://example.com/", "https://127.0.0.1/", "https://127.1/", "https://localhost/", "https://LOCALHOST/",
    "https://localhost./", "https://x.localhost/", "https://169.254.169.254/latest/meta-data", "https://[::1]/",
    "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/", "https://[64:ff9b::169.254.169.254]/", "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/", "https://[2001:0:7f00:1::]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/",
    "https://[fc00::1]/", "https://[fec0::1]/", "https://[ff02::1]/", "https://[2001:db8::1]/", "https://0/",
    "https://0.0.0.0/", "https://2130706433/", "https://0x7f.1/", "https://0x7f000001/", "https://0177.0.0.1/",
    "https://017700000001/", "https://127.0.0.1./", "https://127.0.1/", "https://10.0.0.1/", "https://172.16.0.1/",
    "https://192.168.1.1/", "https://100.64.0.1/", "https://198.18.0.1/", "https://192.0.0.8/", "https://224.0.0.1/",
    "https://240.0.0.1/", "https://255.255.255.255/", "https://093.184.215.14/", "https://0x5db8d70e/",
    f"https://user@{PUBLIC}/", f"https://user:pass@{PUBLIC}/", "https://example.com@127.0.0.1/",
    "https://127.0.0.1@example.com/", "file:///etc/passwd", "gopher://example.com/", "ftp://example.com/",
    "https://example.com:5432/", "https://example.com:6379/", "https://example.com:22/", "https://example.com:80/",
    "https://example.com:0/", "https://example.com:99999/", "https://example.com:/", "https://example.com:x/",
    "https://example.com/\r\nHost: evil", "https://example.com/\nx", "https://exa\tmple.com/", "https://example.com/\x00",
    "https://example.com/a b", "https://example.com\\@127.0.0.1/", "https://example.com/#x", "https://example.com%2f@x/",
    "https://%31%32%37.0.0.1/", "https://intranet/", "https://db.internal/", "https://printer.local/", "https://a..b/",
    "https://-a.com/", "https://１２７.0.0.1/", "https://ⓛocalhost/", "https://exämple.com/", "https://", "https:///x",
    "//example.com/", "example.com", "", "javascript:alert(1)", "https://1.0.0.127.in-addr.arpa/", "https://[::1",
    "https://" + "a" * 2_000 + ".com/", "https://[v1.x]/",
)  # fmt: skip
GOOD = (
    "https://example.com", "https://example.com/", "https://example.com:443/hooks?x=1&y=2", "https://hooks.example.co.uk:8443/a/b",
    f"https://{PUBLIC}/", "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/x", "https://xn--exmple-cua.com/",
    "HTTPS://EXAMPLE.com/X",
)  # fmt: skip


@pytest.mark.parametrize("url", INNER, ids=range(len(INNER)))
def test_an_inner_or_odd_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidUrl):
        parse_target(url)


@pytest.mark.parametrize("url", GOOD, ids=range(len(GOOD)))
def test_a_public_address_passes(url: str) -> None:
    target = parse_target(url)
    assert target.scheme == "https"
    assert target.path.startswith("/")


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"], ["10.1.2.3"], ["169.254.169.254"], ["::1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"],
        ["fe80::1%eth0"], ["100.64.1.1"], ["0.0.0.0"], ["224.0.0.251"], ["2002:a00:1::1"], [PUBLIC, "127.0.0.1"],
        ["::1", PUBLIC], [], ["nonsense"],
    ],
    ids=repr,
)  # fmt: skip
def test_a_name_that_leads_inside_is_refused_whatever_else_it_leads_to(addresses: list[str]) -> None:
    with pytest.raises(InvalidUrl):
        require_public(addresses)


def test_a_name_is_connected_to_by_the_address_that_was_judged() -> None:
    assert require_public(["2606:2800:21f:cb07:6820:80da:af6b:8b2c", PUBLIC]) == PUBLIC


class TestTheSettingForDevelopment:
    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:9000/x", "http://[::1]:9000/", "https://localhost:8443/"]
    )
    def test_lets_this_machine_pass(self, url: str) -> None:
        assert parse_target(url, loopback=True).is_loopback

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1:5432/", "http://127.0.0.1:6379/", "http://127.0.0.1/", "http://127.0.0.1:22/",
            "http://127.0.0.2:9000/", "http://10.0.0.1:9000/", "http://2130706433:9000/", "http://x@127.0.0.1:9000/",
            "http://example.com/", "file://localhost/etc/passwd", "gopher://localhost:9000/",
        ],
    )  # fmt: skip
    def test_lets_nothing_else_pass(self, url: str) -> None:
        with pytest.raises(InvalidUrl):
            parse_target(url, loopback=True)

    def test_does_not_let_localhost_lead_elsewhere(self) -> None:
        with pytest.raises(InvalidUrl):
            require_public([PUBLIC], loopback=True)
