"""What is not the gate's goes to the process behind, streamed both ways; that process may be slow, dead or dying."""

import hashlib
import http.client
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.servers import APP_THREADS, app_command
from sandbox.children import Child, ChildSpec
from sandbox.places import free_port, is_listening
from tests.servers import serving, socket_folder, web_spec


@dataclass
class Pair:
    """A web and the application behind it."""

    port: int
    web: Child
    app: ChildSpec
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def closed(self) -> Path:
        return self.folder / "closed"

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[Pair]:
    log, port = tmp_path_factory.mktemp("pair"), free_port()
    with socket_folder() as folder:
        place = folder / "app.sock"
        argv = app_command(address=f"unix:{place}", processes=1)
        spec = ChildSpec(
            name="behind",
            argv=[*argv[:-1], "tests.integration.config.behind:application"],
            ready=lambda _: is_listening(place),
            environment={**os.environ, "CLOSED_FILE": str(folder / "closed")},
            prepare=lambda: place.unlink(missing_ok=True),
        )
        waiting = web_spec(port)
        web = ChildSpec(
            name="web", argv=waiting.argv, ready=waiting.ready,
            environment={**waiting.environment, "COUNTERFOIL_APP": f"unix:{place}"},
        )  # fmt: skip
        with serving(web, folder=log) as child:
            yield Pair(port, child, spec, folder)


@pytest.fixture
def behind(pair: Pair, tmp_path: Path) -> Iterator[Child]:
    with serving(pair.app, folder=tmp_path) as child:
        yield child


@pytest.mark.usefixtures("behind")
class TestARequest:
    def test_arrives_as_it_was_sent(self, pair: Pair) -> None:
        headers = {"X-Own": "a b", "Cookie": "s=1", "X-Request-Id": "job-7", "Authorization": "Bearer x"}
        answer = httpx.put(f"{pair.url}/v1/a%20b%3F/%C3%A9?q=%20x&q=y%2F", content=b"{}", headers=headers)
        seen = answer.json()
        assert (seen["REQUEST_METHOD"], seen["QUERY_STRING"]) == ("PUT", "q=%20x&q=y%2F")
        assert seen["PATH_INFO"].encode("latin-1").decode() == "/v1/a b?/é"
        assert (seen["HTTP_X_OWN"], seen["HTTP_COOKIE"], seen["HTTP_AUTHORIZATION"]) == (
            "a b",
            "s=1",
            "Bearer x",
        )
        assert (seen["HTTP_X_REQUEST_ID"], seen["HTTP_HOST"]) == ("job-7", f"127.0.0.1:{pair.port}")
        assert seen["size"] == 2

    def test_tells_where_it_came_from(self, pair: Pair) -> None:
        seen = httpx.get(f"{pair.url}/show").json()
        assert seen["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
        assert (seen["HTTP_X_FORWARDED_PROTO"], seen["HTTP_X_FORWARDED_HOST"]) == (
            "http",
            f"127.0.0.1:{pair.port}",
        )
        given = {
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "pay.example",
        }
        seen = httpx.get(f"{pair.url}/show", headers=given).json()
        assert seen["HTTP_X_FORWARDED_FOR"] == "203.0.113.9, 127.0.0.1"
        assert (seen["HTTP_X_FORWARDED_PROTO"], seen["HTTP_X_FORWARDED_HOST"]) == ("https", "pay.example")

    def test_leaves_the_headers_of_its_connection_behind(self, pair: Pair) -> None:
        headers = {
            "Connection": "keep-alive, X-Hop",
            "X-Hop": "1",
            "TE": "trailers",
            "Keep-Alive": "timeout=5",
        }
        seen = httpx.get(f"{pair.url}/show", headers=headers).json()
        assert {"HTTP_X_HOP", "HTTP_TE", "HTTP_KEEP_ALIVE", "HTTP_UPGRADE"} & set(seen) == set()

    def test_gets_an_id_when_it_has_none_that_is_plain(self, pair: Pair) -> None:
        for headers in ({}, {"X-Request-Id": "'; DROP"}):
            assert len(httpx.get(f"{pair.url}/show", headers=headers).json()["HTTP_X_REQUEST_ID"]) == 36

    @pytest.mark.parametrize("size", [0, 1, 100_000, 5_000_000])
    @pytest.mark.parametrize("in_pieces", [False, True])
    def test_has_a_body_of_any_size(self, pair: Pair, size: int, in_pieces: bool) -> None:
        body = os.urandom(size)
        pieces = (body[start : start + 60_000] for start in range(0, size, 60_000))
        seen = httpx.post(f"{pair.url}/show", content=pieces if in_pieces else body).json()
        assert (seen["size"], seen["sha"]) == (size, hashlib.sha256(body).hexdigest())

    def test_that_breaks_off_is_not_taken_for_a_whole_one(self, pair: Pair) -> None:
        with socket.create_connection(("127.0.0.1", pair.port), timeout=10) as line:
            line.sendall(b"POST /show HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\nhalf")
            line.shutdown(socket.SHUT_WR)
            answer = line.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'"code":"invalid_json"' in answer
        assert httpx.get(f"{pair.url}/show").status_code == 200

    def test_whose_body_does_not_come_keeps_nobody_of_the_application_waiting(self, pair: Pair) -> None:
        heads = (b"Content-Length: 50\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        with ExitStack() as stack:
            for number in range(2 * APP_THREADS):
                line = stack.enter_context(socket.create_connection(("127.0.0.1", pair.port), timeout=10))
                line.sendall(b"POST /show HTTP/1.1\r\nHost: 127.0.0.1\r\n" + heads[number % 2])
            time.sleep(0.5)
            assert httpx.get(f"{pair.url}/show", timeout=3).status_code == 200

    def test_with_two_lengths_has_one_at_the_end(self, pair: Pair) -> None:
        hidden = b"GET /hidden HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(hidden), hidden)
        head = b"POST /show HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
        with socket.create_connection(("127.0.0.1", pair.port), timeout=10) as line:
            line.sendall(head + chunk)
            answer = line.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 400 ") or b'"size": %d' % len(hidden) in answer
        assert httpx.get(f"{pair.url}/show").json()["PATH_INFO"] == "/show"


@pytest.mark.usefixtures("behind")
class TestAnAnswer:
    def test_comes_back_with_its_headers_and_without_those_of_its_connection(self, pair: Pair) -> None:
        answer = httpx.get(f"{pair.url}/show")
        assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
        assert answer.headers["x-public"] == "2"
        assert dict(answer.headers.raw)[b"x-name"] == "caf\u00e9".encode()
        assert {"x-private", "keep-alive", "connection"} & set(answer.headers) == set()

    def test_of_any_size_comes_back_whole(self, pair: Pair) -> None:
        answer = httpx.get(f"{pair.url}/large")
        assert (len(answer.content), answer.headers["content-length"]) == (5_000_000, "5000000")

    def test_to_head_says_how_long_it_would_be(self, pair: Pair) -> None:
        answer = httpx.head(f"{pair.url}/large")
        assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "5000000", b"")

    def test_may_have_no_body(self, pair: Pair) -> None:
        assert httpx.get(f"{pair.url}/nothing").status_code == 204

    def test_in_pieces_comes_piece_by_piece_and_ends_when_the_caller_hangs_up(self, pair: Pair) -> None:
        pair.closed.unlink(missing_ok=True)
        begun = time.monotonic()
        with httpx.stream("GET", f"{pair.url}/events") as answer:
            assert next(answer.iter_raw()).startswith(b"data: 0")
            assert time.monotonic() - begun < 1
        deadline = time.monotonic() + 5
        while not pair.closed.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert pair.closed.exists()

    def test_before_the_body_has_arrived_reaches_the_caller(self, pair: Pair) -> None:
        with closing(pair.connection()) as connection:
            for _ in range(2):
                connection.request("POST", "/early", body=b"x" * 10_000_000)
                answer = connection.getresponse()
                assert (answer.status, answer.read()) == (413, b"no")


def problem(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and Retry-After of a problem."""
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, found["code"], answer.headers["retry-after"]


class TestWithoutAnApplication:
    def test_a_call_is_told_to_come_again(self, pair: Pair) -> None:
        begun = time.monotonic()
        assert problem(httpx.get(f"{pair.url}/show")) == (503, "service_unavailable", "1")
        body = b"x" * 2_000_000
        assert problem(httpx.post(f"{pair.url}/show", content=body)) == (503, "service_unavailable", "1")
        assert time.monotonic() - begun < 5

    def test_the_process_says_that_it_lives_and_is_not_ready(self, pair: Pair) -> None:
        assert httpx.get(f"{pair.url}/livez").json() == {"status": "ok"}
        assert httpx.get(f"{pair.url}/readyz").status_code == 503

    def test_one_that_dies_in_a_call_that_is_not_to_be_repeated_is_no_answer(
        self, pair: Pair, tmp_path: Path
    ) -> None:
        with serving(pair.app, folder=tmp_path):
            assert problem(httpx.post(f"{pair.url}/die")) == (502, "bad_gateway", "1")

    def test_one_that_dies_in_its_answer_leaves_a_torn_one(self, pair: Pair, tmp_path: Path) -> None:
        with serving(pair.app, folder=tmp_path), pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{pair.url}/torn")


def test_a_server_that_is_told_to_end_answers_what_is_in_flight(tmp_path: Path, pair: Pair) -> None:
    port, found = free_port(), list[httpx.Response]()
    spec = web_spec(port)
    environment = {**spec.environment, "COUNTERFOIL_APP": f"unix:{pair.folder / 'app.sock'}"}
    web = ChildSpec(name="web", argv=spec.argv, ready=spec.ready, environment=environment)
    begun = pair.closed.with_suffix(".begun")
    begun.unlink(missing_ok=True)
    with serving(pair.app, folder=tmp_path), serving(web, folder=tmp_path) as child:
        url = f"http://127.0.0.1:{port}/slow"
        asking = threading.Thread(target=lambda: found.append(httpx.get(url, timeout=20)))
        asking.start()
        deadline = time.monotonic() + 20
        while not begun.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert child.process is not None
        os.kill(child.process.pid, signal.SIGTERM)
        asking.join(timeout=10)
        assert child.process.wait(timeout=10) == 0
    assert [answer.text for answer in found] == ["done"]
