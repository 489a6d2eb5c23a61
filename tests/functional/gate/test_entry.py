"""The gate's entry on a real server: methods, bodies in pieces, headers, hosts, and what is counted."""

import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings

from sandbox.places import free_port
from tests.builders.crowd import Client
from tests.builders.gate import Customer, make_customer, reserve_body
from tests.builders.orgs import unique
from tests.functional.gate.test_over_the_wire import raw
from tests.invariants import Still
from tests.servers import serving, web_spec

OWN = (
    "/v1/reservations/batch",
    "/v1/reservations/commit_batch",
    "/v1/usage/batch",
    "/v1/reservations/x/commit",
    "/v1/reservations/x/release",
    "/v1/reservations/x/extend",
)


@pytest.fixture(scope="module")
def customer() -> Customer:
    return make_customer("1000")


def headers(customer: Customer, **more: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return {
        "Authorization": f"Bearer {customer.api.secret}", "Content-Type": "application/json",
        "Idempotency-Key": unique(), **named,
    }  # fmt: skip


def ask(web: str, method: str, path: str, **given: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(web).netloc, timeout=10)
    try:
        connection.request(
            method, path, headers={name.replace("_", "-"): text for name, text in given.items()}
        )
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


class TestAMethod:
    @pytest.mark.parametrize("path", OWN)
    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
    def test_other_than_post_is_refused_where_only_that_is_answered(
        self, web: str, method: str, path: str
    ) -> None:
        status, found, body = ask(web, method, path)
        assert (status, found["allow"]) == (405, "POST")
        if method != "HEAD":
            assert json.loads(body)["code"] == "method_not_allowed"

    @pytest.mark.parametrize("path", ["/v1/reservations", "/v1/usage"])
    def test_is_answered_by_whoever_knows_it(self, web: str, customer: Customer, path: str) -> None:
        key = f"Bearer {customer.api.secret}"
        assert ask(web, "GET", path, Authorization=key)[0] == 200
        assert ask(web, "HEAD", path, Authorization=key)[0] == 200
        status, found, body = ask(web, "DELETE", path, Authorization=key)
        assert (status, found["allow"], json.loads(body)["code"]) == (405, "GET, POST", "method_not_allowed")
        assert ask(web, "GET", path)[0] == 401


class TestABody:
    def test_in_pieces_is_read(self, web: str, customer: Customer) -> None:
        body = json.dumps(reserve_body("1")).encode()
        pieces = (body[place : place + 7] for place in range(0, len(body), 7))
        reply = raw(web, "/v1/reservations", pieces, headers(customer))  # type: ignore[arg-type]
        assert reply.status == 201

    def test_in_pieces_is_cut_at_the_limit(self, web: str, customer: Customer) -> None:
        pieces = (b"x" * 100_000 for _ in range(100))
        with Still(customer.id):
            reply = raw(web, "/v1/reservations", pieces, headers(customer))  # type: ignore[arg-type]
        assert (reply.status, reply.code) == (413, "body_too_large")

    def test_in_pieces_is_cut_at_the_limit_whatever_length_is_announced(
        self, web: str, customer: Customer
    ) -> None:
        place = urlsplit(web)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers(customer).items())
        both = "Content-Length: 10\r\nTransfer-Encoding: chunked\r\n"
        with socket.create_connection((place.hostname or "", place.port or 0), timeout=10) as line:
            line.sendall(f"POST /v1/reservations HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}{both}\r\n".encode())
            for _ in range(30):
                line.sendall(b"%x\r\n%b\r\n" % (50_000, b" " * 50_000))
            line.sendall(b"2\r\n{}\r\n0\r\n\r\n")
            assert line.recv(100).split(b" ")[1] in (b"413", b"400")

    @pytest.mark.parametrize(("length", "expected"), [(300_000_000, b"413"), (50, b"400")])
    def test_that_never_comes_is_answered(
        self, web: str, customer: Customer, length: int, expected: bytes
    ) -> None:
        place = urlsplit(web)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers(customer).items())
        with socket.create_connection((place.hostname or "", place.port or 0), timeout=10) as line:
            sent = f"POST /v1/reservations HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}Content-Length: {length}\r\n\r\n{{"
            line.sendall(sent.encode())
            if length < 1_000:
                line.shutdown(socket.SHUT_WR)
            assert line.recv(100).split(b" ")[1] == expected


class TestAHeader:
    def test_that_is_no_ascii_is_a_wrong_key(self, web: str, customer: Customer) -> None:
        with Still(customer.id):
            reply = raw(
                web,
                "/v1/reservations",
                b'{"subject":{"agent":"bot"}}',
                headers(customer, Idempotency_Key="caf\xe9"),
            )
        assert (reply.status, reply.code) == (400, "idempotency_key_invalid")

    def test_names_a_host_of_ours(self, web: str, customer: Customer) -> None:
        with Still(customer.id):
            reply = raw(web, "/v1/reservations", b"{}", headers(customer, Host="evil.example"))
        assert (reply.status, reply.code) == (400, "bad_request")

    def test_gives_the_call_its_id(self, web: str, customer: Customer) -> None:
        body = json.dumps(reserve_body("1")).encode()
        for given, expected in (("job-7", "job-7"), ("a b", None)):
            reply = raw(web, "/v1/reservations", body, headers(customer, X_Request_Id=given))
            assert reply.status == 201
            assert re.fullmatch(expected or "[0-9a-f-]{36}", reply.headers["x-request-id"])
            assert reply.headers["content-type"] == "application/json"
            assert reply.headers["x-content-type-options"] == "nosniff"


def test_what_a_caller_did_not_wait_for_has_its_effect(web: str, customer: Customer) -> None:
    key, body, place = unique(), json.dumps(reserve_body("1")).encode(), urlsplit(web)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers(customer, Idempotency_Key=key).items())
    with psycopg.connect(settings.GATE_DATABASE_URL) as other:
        other.execute("SELECT 1 FROM organizations WHERE id = %s FOR NO KEY UPDATE", (customer.id,))
        with socket.create_connection((place.hostname or "", place.port or 0), timeout=10) as line:
            sent = f"POST /v1/reservations HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}Content-Length: {len(body)}\r\n\r\n"
            line.sendall(sent.encode() + body)
            time.sleep(0.2)  # it waits for the lock now
        time.sleep(0.2)
    time.sleep(0.5)
    again = raw(web, "/v1/reservations", body, headers(customer, Idempotency_Key=key))
    assert (again.status, again.headers.get("idempotent-replayed")) == (201, "true")


def test_what_the_gate_answered_is_counted_for_whoever_scrapes(web: str, customer: Customer) -> None:
    def counted() -> float:
        text = ask(web, "GET", "/metrics")[2].decode()
        found = re.findall(
            r'^counterfoil_gate_calls_total\{call="reserve",status="201"\} (\S+)', text, re.MULTILINE
        )
        return float(found[0]) if found else 0.0

    before = counted()
    client = Client(web, customer.api.secret)
    assert client.post("/v1/reservations", reserve_body("1"), key=unique()).status == 201
    client.close()
    assert counted() == before + 1


def test_many_connections_are_served_at_once(web: str, customer: Customer) -> None:
    statuses: list[int] = []

    def call() -> None:
        client = Client(web, customer.api.secret)
        statuses.extend(
            client.post("/v1/reservations", reserve_body("0.01"), key=unique()).status for _ in range(3)
        )
        client.close()

    threads = [threading.Thread(target=call) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [201] * 192


def test_a_server_that_is_told_to_end_answers_what_waits_for_a_lock(
    customer: Customer, tmp_path: Path
) -> None:
    port, found = free_port(), list[int]()

    def call() -> None:
        client = Client(f"http://127.0.0.1:{port}", customer.api.secret)
        found.append(client.post("/v1/reservations", reserve_body("1"), key=unique()).status)
        client.close()

    with (
        serving(web_spec(port), folder=tmp_path) as child,
        psycopg.connect(settings.GATE_DATABASE_URL) as other,
    ):
        other.execute("SELECT 1 FROM organizations WHERE id = %s FOR NO KEY UPDATE", (customer.id,))
        asking = threading.Thread(target=call)
        asking.start()
        time.sleep(0.4)
        assert child.process is not None
        os.kill(child.process.pid, signal.SIGTERM)
        time.sleep(0.3)
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1)
        other.rollback()
        asking.join(timeout=10)
        assert child.process.wait(timeout=10) == 0
    assert found == [201]
