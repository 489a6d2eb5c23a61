"""The load generator against a server of a few lines: both kinds do the same, and an open loop hides no stall."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from tests.bench.generator import PYTHON, Order, generate, program
from tests.bench.inproc import percentile_ms

ID = "0192f0c1-2345-7890-abcd-0123456789ab"


class Server(ThreadingHTTPServer):
    """Grants everything; `stall_at` says after how many calls it says nothing for `stall_seconds`."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls: list[tuple[str, str, str, Any]] = []
        self.answers: list[tuple[int, bytes]] = []
        self.stall_at, self.stall_seconds = -1, 0.0
        self.gate = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """One call after the other, whatever the number of connections."""

    protocol_version = "HTTP/1.1"
    server: Server
    disable_nagle_algorithm: ClassVar[bool] = True
    wbufsize = -1

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.gate:
            self.server.calls.append(
                (self.path, self.headers["Idempotency-Key"], self.headers["Authorization"], body)
            )
            if len(self.server.calls) == self.server.stall_at:
                time.sleep(self.server.stall_seconds)
            granted = (200, b"{}") if self.path.endswith("/commit") else (201, f'{{"id":"{ID}"}}'.encode())
            status, content = self.server.answers.pop() if self.server.answers else granted
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture(params=["compiled", "python"])
def command(request: pytest.FixtureRequest) -> list[str]:
    if request.param == "python":
        return PYTHON
    if program() == PYTHON:
        pytest.skip("there is no C compiler here")
    return program()


def order(server: Server, **more: Any) -> Order:
    given: dict[str, Any] = {"secrets": ["k1", "k2"], "name": "n", "seconds": 0.3, "clients": 4}
    return Order(port=server.server_address[1], **{**given, **more})


class TestALoadGenerator:
    def test_commits_what_it_reserved_and_walks_through_the_customers(
        self, server: Server, command: list[str]
    ) -> None:
        found = generate(order(server), command=command)
        reserves = [call for call in server.calls if call[0] == "/v1/reservations"]
        commits = [call for call in server.calls if call[0] == f"/v1/reservations/{ID}/commit"]
        assert len(found.reserve) == len(reserves) == len(found.commit) == len(commits) > 8
        assert found.statuses == {"200": len(commits), "201": len(reserves)}
        assert (found.retried, found.unfinished) == (0, 0)
        assert {call[2] for call in reserves} == {"Bearer k1", "Bearer k2"}
        keys = [call[1] for call in server.calls]
        assert len(set(keys)) == len(keys)
        first = min((call[3]["subject"] for call in reserves), key=lambda one: (one["run"], one["step"]))
        assert first == {
            "agent": "bot", "workflow": "report", "run": "n-0", "user": "user-0", "step": 0,
        }  # fmt: skip
        assert commits[0][3]["usage"] == {
            "input_tokens": 1730, "cache_read_input_tokens": 1200, "output_tokens": 412,
        }  # fmt: skip

    def test_repeats_what_may_be_repeated_under_its_key(self, server: Server, command: list[str]) -> None:
        server.answers = [(503, b'{"retryable":true}')] * 2
        found = generate(order(server, clients=1), command=command)
        assert found.retried == found.statuses["503"] == 2
        assert len({call[1] for call in server.calls[:3]}) == 1
        assert found.reserve[0] > 0.04  # the time went on while it waited

    def test_ends_with_an_error_when_refused_unless_it_is_lenient(
        self, server: Server, command: list[str]
    ) -> None:
        server.answers = [(402, b'{"code":"budget_exhausted","retryable":false}')]
        with pytest.raises(RuntimeError, match="budget_exhausted"):
            generate(order(server, clients=1), command=command)
        server.answers = [(402, b'{"code":"budget_exhausted","retryable":false}')]
        found = generate(order(server, clients=1, lenient=True), command=command)
        assert found.statuses["402"] == 1
        assert len(found.reserve) == found.statuses["201"]

    def test_keeps_to_its_rate_and_times_from_when_a_call_was_due(
        self, server: Server, command: list[str]
    ) -> None:
        server.stall_at, server.stall_seconds = 20, 0.4
        found = generate(order(server, seconds=1.0, rate=100, clients=4, seed=1), command=command)
        assert 60 < len(found.reserve) < 140
        assert len(found.commit) == len(found.reserve)
        # Four clients were stuck; some forty calls were due meanwhile, and all of them waited.
        waited = sum(seconds > 0.1 for seconds in found.reserve)
        assert waited > 15
        assert percentile_ms(found.reserve, 0.5) < 400

    def test_tells_that_nobody_listens(self, command: list[str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        gone = Order(port=port, secrets=["k"], name="n", seconds=0.1, clients=1)
        with pytest.raises(RuntimeError, match=r"efused|cannot connect"):
            generate(gone, command=command)
