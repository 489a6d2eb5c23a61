"""An application may answer and hang up before the body has arrived; its answer reaches the caller at any timing.

Here it is the worst one each time: everything stands still until the answer is there, unread, and the connection is
closed; what happens next is that a piece of the body cannot be written.
"""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from common.api.border import CHUNK_BYTES
from common.api.rsgi import HeaderList, Request
from common.errors import BadGateway
from config.forwarding import Forwarder
from tests.builders.rsgi import Answered, Exchange, Headers, Scope
from tests.servers import socket_folder

PIECE = b"x" * CHUNK_BYTES
READ_AHEAD = 8_192
LONG = b"y" * 150_000
"""So much that reading stops until somebody takes it, and less than waits in a connection."""


class HangsUp:
    """An application that reads the head of one call, answers when it is told to, and closes."""

    def __init__(self, listener: socket.socket, answer: bytes) -> None:
        self._listener, self._answer = listener, answer
        self.is_asked, self._may_answer, self._is_gone = (threading.Event() for _ in range(3))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * len(LONG))
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(100)
            self.is_asked.set()
            assert self._may_answer.wait(10)
            connection.sendall(self._answer)
        self._is_gone.set()

    def answer_and_go(self) -> None:
        """Return when it is gone."""
        self._may_answer.set()
        assert self._is_gone.wait(10)

    def end(self) -> None:
        """Wait for its thread."""
        self._may_answer.set()
        self._thread.join(timeout=10)


class Sending(Exchange):
    """A caller who sends pieces; the application is gone before the second one."""

    def __init__(self, app: HangsUp, pieces: int) -> None:
        super().__init__(b"")
        self._app, self._pieces = app, pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield PIECE
        while not self._app.is_asked.is_set():
            await asyncio.sleep(0.001)
        self._app.answer_and_go()  # the loop stands still: nothing is read meanwhile
        for _ in range(self._pieces - 1):
            yield PIECE

    async def client_disconnect(self) -> None:
        await asyncio.Event().wait()

    def response_empty(self, status: int, headers: HeaderList) -> None:
        self.answered = Answered(status, headers, b"")

    def response_stream(self, status: int, headers: HeaderList) -> "Stream":
        self.answered = Answered(status, headers, b"")
        return Stream(self.answered)


class Stream:
    """An answer in pieces."""

    def __init__(self, answered: Answered) -> None:
        self._answered = answered

    async def send_bytes(self, data: bytes) -> None:
        self._answered.content += data


@pytest.fixture(params=["unix", "tcp"])
def listener(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, str]]:
    """A socket that listens, and its address."""
    if request.param == "tcp":
        with socket.create_server(("127.0.0.1", 0)) as made:
            yield made, f"http://127.0.0.1:{made.getsockname()[1]}"
        return
    with socket_folder() as folder, socket.socket(socket.AF_UNIX) as made:
        place: Path = folder / "app.sock"
        made.bind(str(place))
        made.listen()
        yield made, f"unix:{place}"


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loops(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    made: Callable[[], asyncio.AbstractEventLoop] = request.param
    return made


class Early:
    """Asks a forwarder with an application behind it that answers early and goes."""

    def __init__(
        self, listener: tuple[socket.socket, str], loops: Callable[[], asyncio.AbstractEventLoop]
    ) -> None:
        self._listener, self._loops = listener, loops

    def answered(self, answer: bytes, *, length: bool = True, pieces: int = 4) -> Answered:
        """What the caller gets. Raises what the forwarder raises."""
        made, address = self._listener
        app = HangsUp(made, answer)
        kind = {"content-length": str(pieces * len(PIECE))} if length else {"transfer-encoding": "chunked"}
        exchange = Sending(app, pieces)
        request = Request(Scope("POST", "/v1/any", Headers({"host": "testserver", **kind})), exchange)  # type: ignore[arg-type]
        try:
            with asyncio.Runner(loop_factory=self._loops) as runner:
                runner.run(_forwarded(Forwarder(address), request, exchange))
        finally:
            app.end()
        assert exchange.answered is not None
        return exchange.answered


async def _forwarded(forwarder: Forwarder, request: Request, exchange: Sending) -> None:
    await forwarder.open()
    assert forwarder._session is not None
    forwarder._session._read_bufsize = READ_AHEAD
    try:
        async with asyncio.timeout(10):
            await forwarder.forward(request, exchange)  # type: ignore[arg-type]
    finally:
        await forwarder.close()


@pytest.fixture
def early(listener: tuple[socket.socket, str], loops: Callable[[], asyncio.AbstractEventLoop]) -> Early:
    return Early(listener, loops)


@pytest.mark.parametrize("length", [True, False], ids=["length", "chunks"])
def test_a_short_answer_arrives(early: Early, length: bool) -> None:
    found = early.answered(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno", length=length)
    assert (found.status_code, found.content) == (413, b"no")


def test_an_answer_without_a_body_arrives(early: Early) -> None:
    assert early.answered(b"HTTP/1.1 204 No Content\r\n\r\n").status_code == 204


@pytest.mark.parametrize(
    "answer",
    [
        b"Content-Length: %d\r\n\r\n" % len(LONG) + LONG,
        b"Transfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%b\r\n" % (15_000, LONG[:15_000]) for _ in range(10))
        + b"0\r\n\r\n",
    ],
    ids=["length", "chunks"],
)
@pytest.mark.parametrize("listener", ["unix"], indirect=True)
def test_a_long_answer_arrives_whole(early: Early, answer: bytes) -> None:
    # Over TCP it need not: a reset takes along what was not sent yet.
    found = early.answered(b"HTTP/1.1 403 Forbidden\r\n" + answer)
    assert (found.status_code, len(found.content)) == (403, len(LONG))
    assert found.content == LONG


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 413 Too", b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nn"]
)
def test_half_an_answer_is_none(early: Early, answer: bytes) -> None:
    with pytest.raises(BadGateway):
        early.answered(answer)
