"""What one caller of a stream is sent: bounded, whatever the caller does."""

import asyncio
import json
import socket
from collections.abc import Iterator

import pytest

from common.api.peers import Peer, find_peer
from common.api.sse import MOST_PIECES, MOST_UNSENT_BYTES, MOST_UNWATCHED_BYTES, Outbox, Pace, frame
from common.errors import ServiceUnavailable


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A server's and a client's end of one connection; the client takes little at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(listener.getsockname())
        server, _ = listener.accept()
        with server:
            yield server, client


def peer_of(server: socket.socket) -> Peer:
    return Peer(server.dup())


def fill(server: socket.socket) -> None:
    """Send until the kernel takes no more."""
    server.setblocking(False)
    try:
        while True:
            server.send(b"x" * 65_536)
    except BlockingIOError:
        server.setblocking(True)


class TestPeer:
    def test_is_found_by_its_other_end(self, ends: tuple[socket.socket, socket.socket]) -> None:
        server, client = ends
        host, port = client.getsockname()
        found = find_peer(f"{host}:{port}")
        assert found is not None
        server.sendall(b"hello")
        assert client.recv(5) == b"hello"
        found.hang_up()
        assert client.recv(1) == b""
        found.close()

    def test_that_is_not_ours_is_not_found(self) -> None:
        assert find_peer("192.0.2.1:1") is None
        assert find_peer("") is None

    def test_tells_what_the_caller_has_not_taken(self, ends: tuple[socket.socket, socket.socket]) -> None:
        peer = peer_of(ends[0])
        assert peer.unsent() == 0
        fill(ends[0])
        assert peer.unsent() > MOST_UNSENT_BYTES
        peer.close()


class TestPace:
    def test_allows_a_caller_who_reads(self, ends: tuple[socket.socket, socket.socket]) -> None:
        peer = peer_of(ends[0])
        assert asyncio.run(Pace(peer).allows(10**9))
        peer.close()

    def test_hangs_up_on_one_who_does_not(self, ends: tuple[socket.socket, socket.socket]) -> None:
        peer = peer_of(ends[0])
        fill(ends[0])
        assert not asyncio.run(Pace(peer, slow_seconds=0.1).allows(1))
        with pytest.raises(OSError):
            ends[0].sendall(b"x")
        peer.close()

    def test_gives_a_bounded_amount_to_one_who_cannot_be_watched(self) -> None:
        pace = Pace(None)
        assert asyncio.run(pace.allows(MOST_UNWATCHED_BYTES))
        assert not asyncio.run(pace.allows(1))


class TestOutbox:
    def test_gives_what_waits_as_one_piece(self) -> None:
        async def work() -> bytes | None:
            box = Outbox()
            box.put(b"a")
            box.put(b"")
            box.put(b"b")
            return await box.next()

        assert asyncio.run(work()) == b"ab"

    def test_waits_for_what_comes(self) -> None:
        async def work() -> bytes | None:
            box = Outbox()
            asyncio.get_running_loop().call_later(0.01, box.put, b"a")
            return await box.next()

        assert asyncio.run(work()) == b"a"

    def test_drops_whoever_lets_too_much_wait(self) -> None:
        async def work() -> bytes | None:
            box = Outbox()
            for _ in range(MOST_PIECES + 1):
                box.put(b"a")
            box.put(b"b")
            return await box.next()

        assert asyncio.run(work()) is None

    def test_says_why_it_ends(self) -> None:
        async def work() -> tuple[bytes | None, bytes | None]:
            box = Outbox()
            box.end(ServiceUnavailable(retry_after=1), "r-1", 7)
            box.put(b"a")
            return await box.next(), await box.next()

        last, end = asyncio.run(work())
        assert last is not None
        assert last.startswith(b"id: 7\nevent: end\ndata: {")
        body = json.loads(last.split(b"data: ")[1])
        assert (body["code"], body["request_id"], body["retryable"]) == ("service_unavailable", "r-1", True)
        assert end is None


def test_a_frame_is_one_event_whatever_its_texts_hold() -> None:
    made = frame("switch", {"reason": "a\n\nevent: end\r\nx"}, 3)
    assert made.count(b"\n\n") == 1
    assert made.endswith(b"\n\n")
    assert b"\r" not in made
    assert json.loads(made.split(b"data: ")[1]) == {"reason": "a\n\nevent: end\r\nx"}
