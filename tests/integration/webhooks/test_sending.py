"""The sender against real servers: it connects only to an address that it judged, and nothing drips for ever (B128)."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.builders.receivers import receiving
from webhooks.operations.outbound.sending import check_url, post
from webhooks.rules.outbound.addresses import InvalidUrl

HEADERS = {"webhook-id": "msg_1"}


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[int]]]:
    """A TCP server that treats each connection so; gives its port, and a list that grows by each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[int] = []

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            seen.append(1)
            threading.Thread(target=_serve, args=(serve, client), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1], seen
    finally:
        listener.close()


def _serve(serve: Callable[[socket.socket], None], client: socket.socket) -> None:
    with client:
        try:
            serve(client)
        except OSError:
            return


def drip(client: socket.socket) -> None:
    client.recv(65_536)
    for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 1_000:
        client.sendall(bytes([byte]))
        time.sleep(0.02)


def flood(client: socket.socket) -> None:
    client.recv(65_536)
    client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
    while True:
        client.sendall(b"x" * 65_536)


class TestANameThatLeadsInside:
    @pytest.mark.parametrize(
        "address", ["127.0.0.1", "::1", "169.254.169.254", "10.0.0.1", "::ffff:127.0.0.1"]
    )
    def test_is_not_connected_to(self, address: str) -> None:
        answer = post("https://hooks.example.com/", b"{}", HEADERS, resolver=lambda host, port: [address])
        assert (answer.status, answer.error) == (None, "address_not_allowed")

    def test_is_refused_when_it_is_saved(self) -> None:
        with pytest.raises(InvalidUrl):
            check_url("https://hooks.example.com/", resolver=lambda host, port: ["10.0.0.1"])

    def test_that_nobody_knows_yet_is_saved_and_not_connected_to(self) -> None:
        def unknown(host: str, port: int) -> list[str]:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")

        check_url("https://hooks.example.com/", resolver=unknown)
        answer = post("https://hooks.example.com/", b"{}", HEADERS, resolver=unknown)
        assert (answer.status, answer.error) == (None, "not_connected")


class TestANameThatResolvesDifferentlyTheSecondTime:
    def test_is_asked_once_for_each_connection_and_judged_by_that_answer(self) -> None:
        asked: list[str] = []

        def turning(host: str, port: int) -> list[str]:
            asked.append(host)
            return ["93.184.215.14"] if len(asked) == 1 else ["127.0.0.1"]

        with server(lambda client: None) as (_, seen):
            check_url("https://rebound.example.com/", resolver=turning)
            answer = post("https://rebound.example.com/", b"{}", HEADERS, resolver=turning)
            assert answer.error == "address_not_allowed"
            assert asked == ["rebound.example.com", "rebound.example.com"]
            assert seen == []

    def test_is_connected_to_by_the_judged_address_with_its_name_as_host(self) -> None:
        asked: list[str] = []

        def once(host: str, port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

        with receiving() as receiver:
            port = receiver.url.rsplit(":", 1)[1].split("/")[0]
            answer = post(f"http://localhost:{port}/hooks", b"{}", HEADERS, loopback=True, resolver=once)
            assert answer.status == 204
            assert asked == ["localhost"]
            assert receiver.got[0].headers["host"] == f"localhost:{port}"


class TestWithoutTheSettingForDevelopment:
    @pytest.mark.parametrize("spelling", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "0"])
    def test_nothing_on_this_machine_is_reached(self, spelling: str) -> None:
        with receiving() as receiver:
            port = receiver.url.rsplit(":", 1)[1].split("/")[0]
            for scheme in ("http", "https"):
                answer = post(f"{scheme}://{spelling}:{port}/", b"{}", HEADERS)
                assert answer.error == "address_not_allowed"
            assert receiver.got == []


class TestWhatNeverEnds:
    @pytest.mark.parametrize("behaviour", ["drips", "says_nothing"])
    def test_ends_at_the_deadline(self, behaviour: str) -> None:
        serve = drip if behaviour == "drips" else lambda client: time.sleep(5)
        with server(serve) as (port, _):
            began = time.monotonic()
            answer = post(f"http://127.0.0.1:{port}/", b"{}", HEADERS, loopback=True, total_seconds=0.6)
            assert answer.error == "timeout"
            assert time.monotonic() - began < 2

    def test_is_not_read_when_it_is_large(self) -> None:
        with server(flood) as (port, _):
            began = time.monotonic()
            answer = post(f"http://127.0.0.1:{port}/", b"{}", HEADERS, loopback=True)
            assert answer.status == 200
            assert time.monotonic() - began < 3

    def test_a_resolver_that_hangs_takes_three_seconds_at_most(self) -> None:
        def hangs(host: str, port: int) -> list[str]:
            time.sleep(20)
            return []

        began = time.monotonic()
        answer = post("https://slow.example.com/", b"{}", HEADERS, resolver=hangs)
        assert answer.error == "timeout"
        assert time.monotonic() - began < 4


class TestWhatIsNoHttp:
    @pytest.mark.parametrize(
        ("said", "error"),
        [(b"SSH-2.0-OpenSSH_9\r\n", "connection_broken"), (b"", "connection_broken")],
        ids=["other_protocol", "closed"],
    )
    def test_is_a_broken_connection(self, said: bytes, error: str) -> None:
        def speak(client: socket.socket) -> None:
            client.recv(65_536)
            client.sendall(said)

        with server(speak) as (port, _):
            answer = post(f"http://127.0.0.1:{port}/", b"{}", HEADERS, loopback=True)
            assert (answer.status, answer.error) == (None, error)

    def test_a_server_without_tls_fails_the_handshake(self) -> None:
        def speak(client: socket.socket) -> None:
            client.recv(65_536)
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        with server(speak) as (port, _):
            answer = post(f"https://127.0.0.1:{port}/", b"{}", HEADERS, loopback=True)
            assert (answer.status, answer.error) == (None, "tls_failed")

    def test_the_name_stands_in_the_handshake_while_the_address_is_connected_to(self) -> None:
        said: list[bytes] = []

        def listen(client: socket.socket) -> None:
            said.append(client.recv(65_536))

        with server(listen) as (port, _):
            post(
                f"https://localhost:{port}/",
                b"{}",
                HEADERS,
                loopback=True,
                resolver=lambda host, port: ["127.0.0.1"],
            )
        assert b"localhost" in said[0]
