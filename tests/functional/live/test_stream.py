"""GET /v1/stream with a real client and real servers: what happened, how the money stands, and how a stream ends."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orgs.operations.api_keys import revoke_api_key, update_api_key
from sandbox.places import free_port
from spend.api.stream import MOST_PER_KEY
from tests.builders.crowd import Client, at_once
from tests.builders.gate import Customer, body_of, make_customer, usage_body
from tests.builders.orgs import AUTHOR, make_key, platform, write
from tests.builders.pace import judged, read_minutes, steady, with_past
from tests.builders.streams import Listening, Told, deaf
from tests.servers import serving, web_spec


@pytest.fixture
def customer() -> Customer:
    return make_customer("100")


@pytest.fixture(scope="module")
def another(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a second web, which hangs up on slow readers sooner."""
    port = free_port()
    spec = web_spec(port)
    argv = [*spec.argv[:-1], "tests.functional.live.impatient:application"]
    with serving(replace(spec, argv=argv), folder=tmp_path_factory.mktemp("another")):
        yield f"http://127.0.0.1:{port}"


def call(customer: Customer, amount: str, **subject: Any) -> None:
    body_of(customer.commit(customer.reserved(amount, subject=subject)["id"], amount), 200)


class TestFigures:
    def test_begin_with_everything_as_it_stands(self, web: str, customer: Customer) -> None:
        call(customer, "2", run="r-1")
        customer.reserved("3", subject={"run": "r-1"})
        read_minutes()
        with Listening(web, customer.api.secret) as stream:
            assert stream.headers["content-type"] == "text/event-stream"
            totals = stream.until("totals").data
            assert totals["credit"] == {"posted": "98", "held": "3", "available": "95"}
            assert (totals["held"], totals["open_reservations"]) == ("3", 1)
            assert (totals["today"]["charge"], totals["today"]["calls"]) == ("2", 1)
            assert totals["burn_rate"]["last_60_minutes"] == "0.03333333"
            assert totals["currency"] == "USD"
            (agent,) = stream.until("agents").data["data"]
            assert (agent["key"], agent["held"], agent["open_reservations"]) == ("bot", "3", 1)
            (run,) = stream.until("runs").data["data"]
            assert (run["key"], run["agent"], run["held"], run["charged"]) == ("r-1", "bot", "3", "2")
            assert (run["reservations"], run["usage_records"]) == (2, 1)

    def test_show_a_reservation_within_three_seconds(self, web: str, customer: Customer) -> None:
        with Listening(web, customer.api.secret) as stream:
            assert stream.until("totals").data["held"] == "0"
            begun = time.monotonic()
            held = customer.reserved("4", subject={"run": "r-2"})
            assert (
                stream.until("totals", lambda told: told.data["held"] == "4").data["open_reservations"] == 1
            )
            row = stream.until("runs", lambda told: bool(told.data["data"])).data["data"][0]
            assert (row["key"], row["held"], row["charged"]) == ("r-2", "4", "0")
            assert time.monotonic() - begun < 3
            begun = time.monotonic()
            body_of(customer.commit(held["id"], "1.5"), 200)
            found = stream.until("totals", lambda told: told.data["held"] == "0").data
            assert found["credit"] == {"posted": "98.5", "held": "0", "available": "98.5"}
            assert time.monotonic() - begun < 3

    def test_say_what_burns_and_what_left(self, web: str, customer: Customer) -> None:
        held = customer.reserved("4", subject={"run": "r-3"})
        with Listening(web, customer.api.secret) as stream:
            (run,) = stream.until("runs").data["data"]
            body_of(customer.release(held["id"]), 200)
            left = stream.until("runs", lambda told: bool(told.data["left"])).data
            assert left == {"data": [], "left": [run["id"]]}
            call(customer, "5", run="r-4")
            read_minutes()
            burning = stream.until("totals", lambda told: told.data["burn_rate"]["last_5_minutes"] == "1")
            assert burning.data["seen_until"] <= burning.data["at"]

    def test_are_of_one_moment_however_much_happens(self, web: str, customer: Customer) -> None:
        is_over = threading.Event()

        def spend(number: int) -> None:
            while not is_over.is_set():
                call(customer, "0.001", run=f"r-{number}")

        def look(_: int) -> list[Told]:
            try:
                with Listening(web, customer.api.secret) as stream:
                    for _ in range(3):
                        stream.until("totals")
                    return stream.seen
            finally:
                is_over.set()

        seen, *_ = at_once(lambda place: spend(place) if place else look(place), callers=4)
        held: dict[str, Decimal] = {}
        for told in seen:
            if told.name == "totals":
                assert told.data["held"] == told.data["credit"]["held"]
                total = Decimal(told.data["held"])
            elif told.name == "runs":
                held |= {row["id"]: Decimal(row["held"]) for row in told.data["data"]}
                held = {name: amount for name, amount in held.items() if name not in told.data["left"]}
                assert sum(held.values()) == total

    def test_of_other_organizations_are_not_among_them(self, web: str, customer: Customer) -> None:
        other = make_customer()
        with Listening(web, customer.api.secret) as stream:
            stream.until("runs")
            other.reserved("5", subject={"run": "theirs"})
            customer.reserved("1", subject={"run": "mine"})
            rows = stream.until("runs").data["data"]
            assert [row["key"] for row in rows] == ["mine"]

    def test_are_the_same_from_every_process(self, web: str, another: str, customer: Customer) -> None:
        with Listening(web, customer.api.secret) as one, Listening(another, customer.api.secret) as two:
            for stream in (one, two):
                stream.until("runs")
            customer.reserved("7")
            for stream in (one, two):
                assert (
                    stream.until("totals", lambda told: told.data["held"] == "7").data["open_reservations"]
                    == 1
                )


class TestWhatHappened:
    def test_is_told_as_it_stands_in_the_event_log(self, web: str) -> None:
        customer = with_past(2)
        steady(customer, "1.2", days=2)
        body_of(customer.api.post("/v1/velocity-rules", {"scope": "organization", "action": "pause"}), 201)
        with Listening(web, customer.api.secret) as stream:
            stream.until("runs")
            for _ in range(10):
                call(customer, "0.5", run="loop")
            assert judged() >= 1
            incident, switch = stream.until("incident"), stream.until("switch")
        assert (incident.data["type"], incident.data["data"]["run_key"]) == ("incident.opened", "loop")
        assert (switch.data["type"], switch.data["data"]["cause"]) == ("switch.set", "velocity")
        assert incident.id == incident.data["seq"] < switch.id
        (logged,) = body_of(customer.api.get("/v1/event-log", type="incident.opened"), 200)["data"]
        assert incident.data == logged

    def test_tells_of_thresholds_that_are_crossed(self, web: str, customer: Customer) -> None:
        customer.budget("10")
        with Listening(web, customer.api.secret) as stream:
            stream.until("runs")
            customer.reserved("6")
            crossed = stream.until("threshold").data
        assert (crossed["type"], crossed["data"]["percent"], crossed["data"]["action"]) == (
            "threshold.crossed",
            50,
            "notify",
        )

    def test_is_told_to_whoever_comes_back(self, web: str) -> None:
        customer = with_past(2)
        steady(customer, "1.2", days=2)
        with Listening(web, customer.api.secret) as stream:
            last = stream.until("totals").id
        for _ in range(10):
            call(customer, "0.5")
        judged()
        with Listening(web, customer.api.secret) as fresh:
            fresh.until("runs")
            assert [told.name for told in fresh.seen] == ["totals", "agents", "runs"]
        with Listening(web, customer.api.secret, since=last) as back:
            told = back.until("incident")
            assert told.data["type"] == "incident.opened"
            back.until("runs")
            assert [told.name for told in back.seen] == ["incident", "totals", "agents", "runs"]
        with Listening(web, customer.api.secret, since=told.id) as again:
            again.until("runs")
            assert "incident" not in [each.name for each in again.seen]


class TestTheEnd:
    def test_comes_with_the_keys(self, web: str, customer: Customer) -> None:
        issued = make_key(customer.id, "spend:read")
        with Listening(web, issued.secret) as stream, Listening(web, customer.api.secret) as other:
            for each in (stream, other):
                each.until("runs")
            begun = time.monotonic()
            write(
                lambda cur: revoke_api_key(
                    cur, organization=customer.id, name=str(issued.key.id), author=AUTHOR
                )
            )
            end = stream.until("end")
            assert (end.data["code"], end.data["status"]) == ("invalid_credentials", 401)
            assert stream.next() is None
            assert time.monotonic() - begun < 3
            customer.reserved("1")
            other.until("totals", lambda told: told.data["held"] == "1")
        with Listening(web, issued.secret) as refused:
            assert (refused.status, refused.problem["code"]) == (401, "invalid_credentials")

    def test_comes_when_the_key_expires(self, web: str, customer: Customer) -> None:
        issued = make_key(customer.id, "spend:read")
        name = str(issued.key.id)
        with Listening(web, issued.secret) as stream:
            stream.until("runs")
            soon = {"expires_at": datetime.now(UTC) + timedelta(seconds=2)}
            write(
                lambda cur: update_api_key(
                    cur, organization=customer.id, name=name, changes=soon, author=AUTHOR
                )
            )
            end = stream.until("end").data
            assert (end["code"], datetime.now(UTC) > soon["expires_at"]) == ("invalid_credentials", True)

    def test_comes_when_the_process_ends(
        self, django_db_setup: None, tmp_path: Path, customer: Customer
    ) -> None:
        port = free_port()
        with (
            serving(web_spec(port), folder=tmp_path) as child,
            Listening(f"http://127.0.0.1:{port}", customer.api.secret) as stream,
        ):
            stream.until("runs")
            assert child.process is not None
            begun = time.monotonic()
            child.process.terminate()
            end = stream.until("end")
            assert (end.data["code"], end.data["retryable"]) == ("service_unavailable", True)
            assert stream.next() is None
            assert child.process.wait(timeout=8) is not None
            assert time.monotonic() - begun < 5


class TestRefusals:
    def test_name_what_is_wrong(self, web: str, customer: Customer) -> None:
        for path, code in (
            ("/v1/stream?colour=red", "unknown_parameter"),
            (f"/v1/stream?organization={make_customer().id}", "not_found"),
            ("/v1/stream?organization=1", "invalid_parameter"),
        ):
            with Listening(web, customer.api.secret, path=path) as stream:
                assert stream.problem is not None
                assert stream.problem["code"] == code
        with Listening(web, "cfk_" + "0" * 40) as stream:
            assert (stream.status, stream.headers["www-authenticate"][:6]) == (401, "Bearer")
        with Listening(web, make_key(customer.id, "billing:read").secret) as stream:
            assert (stream.status, stream.problem["code"] if stream.problem else "") == (403, "forbidden")
        with Listening(web, make_key(customer.id, "spend:read", agents=["bot"]).secret) as stream:
            assert (stream.status, stream.problem["code"] if stream.problem else "") == (403, "not_permitted")
        with Listening(web, customer.api.secret, since=-1) as stream:
            assert (stream.status, stream.problem["code"] if stream.problem else "") == (
                400,
                "invalid_parameter",
            )

    def test_of_other_methods_name_the_one(self, web: str, customer: Customer) -> None:
        client = Client(web, customer.api.secret)
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            reply = client.send(method, "/v1/stream", b"{}")
            assert (reply.status, reply.code, reply.headers["Allow"]) == (405, "method_not_allowed", "GET")
        client.close()

    def test_the_platform_names_the_organization(self, web: str, customer: Customer) -> None:
        us = platform().secret
        with Listening(web, us) as stream:
            assert stream.status == 400
        with Listening(web, us, path=f"/v1/stream?organization={customer.id}") as stream:
            assert stream.until("totals").data["credit"]["posted"] == "100"

    def test_come_when_one_key_has_enough(self, web: str, customer: Customer) -> None:
        with ExitStack() as stack:
            for _ in range(MOST_PER_KEY):
                assert stack.enter_context(Listening(web, customer.api.secret)).status == 200
            with Listening(web, customer.api.secret) as refused:
                assert refused.problem is not None
                assert (refused.status, refused.problem["code"]) == (429, "too_many_streams")
                assert refused.headers["retry-after"] == "5"
            with Listening(web, make_key(customer.id, "spend:read").secret) as other:
                assert other.status == 200
        deadline = time.monotonic() + 10
        while room(web, customer) < MOST_PER_KEY:
            assert time.monotonic() < deadline, "streams that were closed still count"
            time.sleep(0.1)


class TestSlowReaders:
    def test_are_dropped_and_nobody_else_is(self, another: str, customer: Customer) -> None:
        long = "r" * 150  # the longer their names, the sooner is more sent than the kernel takes
        facts = [
            usage_body("0.01", subject={"run": f"{long}-{number}"}, occurred_at=ago(minutes))
            for number in range(100)
            for minutes in (0, 1, 4, 5)
        ]
        body_of(customer.api.post("/v1/usage/batch", {"items": facts}), 200)
        read_minutes()  # for two minutes the burn rates of a hundred runs are different every second
        issued = make_key(customer.id, "spend:read")
        with ExitStack() as stack:
            slow = [stack.enter_context(deaf(another, customer.api.secret)) for _ in range(MOST_PER_KEY)]
            assert room(another, customer) == 0
            reader = stack.enter_context(Listening(another, issued.secret))
            assert len(reader.until("runs").data["data"]) == 100
            deadline = time.monotonic() + 40
            while room(another, customer) < MOST_PER_KEY:
                assert time.monotonic() < deadline, "somebody was not dropped"
                assert reader.until("runs").data["data"]
            assert max(rest(connection) for connection in slow) < 1_000_000
            assert reader.until("runs").data["data"]


def room(web: str, customer: Customer) -> int:
    """How many streams the customer's key may open now."""
    with ExitStack() as stack:
        streams = [stack.enter_context(Listening(web, customer.api.secret)) for _ in range(MOST_PER_KEY)]
        return [stream.status for stream in streams].count(200)


def ago(minutes: int) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def rest(connection: socket.socket) -> int:
    """How much a caller who was hung up on gets when it reads at last."""
    taken = 0
    try:
        while part := connection.recv(65_536):
            taken += len(part)
    except ConnectionResetError:
        pass
    return taken
