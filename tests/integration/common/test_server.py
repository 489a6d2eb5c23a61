"""Bodies that a test client never sends: huge, in pieces, cut off. Through the real server."""

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.places import free_port

CHECKOUT = Path(__file__).resolve().parents[3]
HEADERS = {"Authorization": "Bearer one", "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The example API behind Granian."""
    number = free_port()
    arguments = [
        "--interface",
        "wsgi",
        "--host",
        "127.0.0.1",
        "--port",
        str(number),
        "--blocking-threads",
        "4",
    ]
    server = subprocess.Popen(
        [sys.executable, "-m", "granian", *arguments, "tests.integration.common.wsgi:application"],
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(number)
        yield number
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture
def connection(port: int) -> Iterator[http.client.HTTPConnection]:
    found = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    yield found
    found.close()


def post(connection: http.client.HTTPConnection, body: Any, path: str = "/v1/plain", **headers: str) -> Any:
    connection.request("POST", path, body=body, headers={**HEADERS, **headers})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def pieces(count: int, size: int) -> Iterator[bytes]:
    yield b'{"name":"'
    for _ in range(count):
        yield b"x" * size
    yield b'"}'


def test_ten_megabytes_are_refused_and_the_connection_goes_on_b57(
    connection: http.client.HTTPConnection,
) -> None:
    status, problem = post(connection, b'{"name":"' + b"x" * 10_000_000 + b'"}')
    assert (status, problem["code"]) == (413, "body_too_large")
    assert post(connection, b'{"name":"again"}') == (201, {"name": "again"})


def test_a_body_in_pieces_is_read_and_cut_at_the_limit(connection: http.client.HTTPConnection) -> None:
    assert post(connection, pieces(3, 10)) == (201, {"name": "x" * 30})
    status, problem = post(connection, pieces(100, 100_000))
    assert (status, problem["code"]) == (413, "body_too_large")
    assert post(connection, b'{"name":"again"}') == (201, {"name": "again"})


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/plain", {"Content-Type": "text/plain"}, 415),
        ("/v1/things", {"Authorization": "Bearer x"}, 401),
        ("/v1/nothing", {}, 404),
    ],
)
def test_a_refusal_before_the_body_arrives_all_the_same(
    connection: http.client.HTTPConnection, path: str, headers: dict[str, str], status: int
) -> None:
    body = b'{"name":"' + b"x" * 1_000_000 + b'"}'
    assert post(connection, body, path, **headers)[0] == status
    assert post(connection, b'{"name":"again"}') == (201, {"name": "again"})


@pytest.mark.parametrize(("length", "status"), [(300_000_000, b"413"), (50, b"400")])
def test_a_body_that_never_comes_is_answered(port: int, length: int, status: bytes) -> None:
    head = "POST /v1/plain HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(f'{head}Content-Length: {length}\r\n\r\n{{"name"'.encode())
        if length < 1_000:
            line.shutdown(socket.SHUT_WR)
        assert line.recv(100).split(b" ")[1] == status


def _wait_for(port: int) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the server did not start")
