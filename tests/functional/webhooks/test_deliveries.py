"""From an event to a receiver: signed, in order, tried again, never lost; over real HTTP (S113)."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core import mail
from msgspec import structs
from standardwebhooks import WebhookVerificationError

from billing.operations.invoices.sending import MailFailed
from common.ids import new_id
from events.operations import due
from events.store import Cursor
from events.tasks import advance_subscriber, run_job
from sandbox.valkey import Broker
from tests.builders.gate import make_customer
from tests.builders.mailserver import GREETING, HANGS_UP, mail_server
from tests.builders.orgs import events_of, make_member, write
from tests.builders.receivers import Receiver, receiving
from tests.builders.webhooks import come_due, deliver, read_events, told
from tests.database import session_of
from tests.integration.webhooks.test_public_types import events_since
from tests.servers import serving, worker_spec
from webhooks.operations.outbound.delivering import claim, send_due
from webhooks.operations.outbound.denials import tell_denials
from webhooks.operations.outbound.lowcredit import tell_low_credit
from webhooks.operations.outbound.telling import READER, tell_events

LADDER = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]


def wait_of(delivery: dict[str, Any], tried: dict[str, Any]) -> float:
    """Seconds from an attempt to the next."""
    ends = [datetime.fromisoformat(text) for text in (tried["at"], delivery["next_attempt_at"])]
    return (ends[1] - ends[0]).total_seconds()


def write_denials(organization: UUID, denied: list[tuple[UUID, str, int]]) -> None:
    """Denials of half an hour ago, as the gate writes them: agent, code, count."""

    def operation(cur: Cursor) -> None:
        for agent, code, count in denied:
            cur.execute(
                "INSERT INTO decisions (id, organization, recorded_at, at, requested, agent_id, epoch, count, answer, "
                "code) "
                "VALUES (%s, %s, clock_timestamp() - interval '16 minutes', clock_timestamp(), 1, %s, "
                "(SELECT epoch FROM event_store), %s, 'deny', %s)",
                (new_id(), organization, agent, count, code),
            )

    write(operation)


def whole(made: Any, delivery: str) -> dict[str, Any]:
    found: dict[str, Any] = made.api.get(f"/v1/webhook-deliveries/{delivery}").json()
    return found


class TestAMessage:
    def test_is_signed_and_says_what_happened_without_internals(self, receiver: Receiver) -> None:
        made = told(receiver.url, "agent.*")
        (agent,) = made.happen("bot")
        assert deliver() >= 1
        (got,) = receiver.got
        assert got.verify(made.secret) == got.told
        assert got.told["type"] == "agent.paused"
        assert got.told["organization"] == str(made.organization)
        data = got.told["data"]
        assert (data["scope"], data["target"], data["cause"]) == ("agent", agent, "manual")
        assert set(data) == {"switch", "scope", "target", "cause", "incident", "set_at", "lifted_at"}
        (delivery,) = made.deliveries()
        assert (delivery["status"], delivery["attempts"], delivery["response_status"]) == (
            "delivered",
            1,
            204,
        )
        assert f"{delivery['message']}" == got.message
        shown = whole(made, delivery["id"])
        assert shown["body"].encode() == got.body
        assert [tried["status"] for tried in shown["tries"]] == [204]

    def test_does_not_verify_under_another_secret_or_with_another_body(self, receiver: Receiver) -> None:
        made, other = told(receiver.url), told("https://93.184.215.14/x")
        made.post("/test")
        deliver()
        (got,) = receiver.got
        with pytest.raises(WebhookVerificationError):
            got.verify(other.secret)
        changed = type(got)(got.path, got.headers, got.body.replace(b"webhook.test", b"invoice.paid"))
        with pytest.raises(WebhookVerificationError):
            changed.verify(made.secret)

    def test_reaches_only_who_wants_its_type_and_is_made_once(self, receiver: Receiver) -> None:
        made = told(receiver.url, "invoice.*")
        also = told(receiver.url, "agent.paused", organization=made.organization)
        made.happen("bot")
        for _ in range(3):
            deliver()
        assert receiver.types == ["agent.paused"]
        assert made.deliveries() == []
        assert len(also.deliveries()) == 1

    def test_of_what_was_before_the_endpoint_is_not_made(self, receiver: Receiver) -> None:
        elder = told("https://93.184.215.14/x", "invoice.*")
        elder.happen("before")
        made = told(receiver.url, "agent.*", organization=elder.organization)
        (after,) = made.happen("after")
        deliver()
        assert [got.told["data"]["target"] for got in receiver.got] == [after]

    def test_is_signed_by_both_secrets_until_the_overlap_is_over(self, receiver: Receiver) -> None:
        made = told(receiver.url)
        answer = made.post("/rotate-secret", {"overlap_seconds": 3_600})
        new = answer.json()["secret"]
        assert answer.status_code == 201
        assert new != made.secret
        made.post("/test")
        deliver()
        assert receiver.got[0].verify(made.secret) == receiver.got[0].verify(new)
        newest = made.post("/rotate-secret", {"overlap_seconds": 0}).json()["secret"]
        made.post("/test")
        deliver()
        assert receiver.got[1].verify(newest)
        for old in (made.secret, new):
            with pytest.raises(WebhookVerificationError):
                receiver.got[1].verify(old)


class TestOrder:
    def test_of_first_attempts_is_that_of_the_events_with_one_on_its_way(self, receiver: Receiver) -> None:
        made = told(receiver.url, "agent.paused")
        receiver.sleeps(0.02)
        agents = made.happen(*(f"bot-{number}" for number in range(12)))
        deliver()
        assert [got.told["data"]["target"] for got in receiver.got] == agents
        assert receiver.most_at_once == 1

    def test_one_that_fails_does_not_hold_up_the_next(self, receiver: Receiver) -> None:
        made = told(receiver.url, "agent.paused")
        failing = iter([500])
        receiver.respond = lambda _: (next(failing, 204), {})
        first, second = made.happen("one", "two")
        deliver()
        assert [got.told["data"]["target"] for got in receiver.got] == [first, second]
        assert sorted(row["status"] for row in made.deliveries()) == ["delivered", "pending"]

    def test_a_slow_endpoint_stops_no_other(self, receiver: Receiver) -> None:
        with receiving() as slow:
            slow.sleeps(1.5)
            made = told(slow.url, "agent.paused")
            other = told(receiver.url, "agent.paused")
            made.happen("a", "b")
            other.happen(*(f"quick-{number}" for number in range(8)))
            read_events()
            send_due(seconds=1)
            assert len(receiver.got) == 8
            assert slow.most_at_once == 1


class TestTryingAgain:
    def test_follows_the_published_ladder_and_then_gives_up(self, receiver: Receiver) -> None:
        made = told(receiver.url)
        receiver.answers(500)
        delivery = made.post("/test").json()["id"]
        waits = []
        for _ in LADDER:
            come_due(made.endpoint)
            send_due(seconds=0.5)
            shown = whole(made, delivery)
            waits.append(wait_of(shown, shown["tries"][-1]))
        assert all(low <= wait <= low * 1.11 + 1 for low, wait in zip(LADDER, waits, strict=True))
        assert len(receiver.got) == 9
        come_due(made.endpoint)
        send_due(seconds=0.5)
        shown = whole(made, delivery)
        assert (shown["status"], shown["attempts"], shown["response_status"]) == ("failed", 10, 500)
        assert len({got.message for got in receiver.got}) == 1
        assert len({got.body for got in receiver.got}) == 1
        send_due(seconds=0.2)
        assert len(receiver.got) == 10

    @pytest.mark.parametrize(
        ("asked", "least", "most"),
        [("120", 119, 121), ("999999", 86_399, 86_401), ("nonsense", 4, 7), ("-5", 4, 7)],
        ids=["seconds", "too_long", "nonsense", "negative"],
    )
    def test_honours_what_the_receiver_asks_for(
        self, receiver: Receiver, asked: str, least: int, most: int
    ) -> None:
        made = told(receiver.url)
        receiver.answers(503, retry_after=asked)
        delivery = made.post("/test").json()["id"]
        send_due(seconds=0.5)
        shown = whole(made, delivery)
        assert least <= wait_of(shown, shown["tries"][-1]) <= most

    def test_a_redirect_is_a_failure_and_is_not_followed(self, receiver: Receiver) -> None:
        with receiving() as inner:
            made = told(receiver.url)
            receiver.answers(302, location=inner.url)
            delivery = made.post("/test").json()["id"]
            send_due(seconds=0.5)
            assert inner.got == []
            found = whole(made, delivery)
            assert (found["response_status"], found["status"]) == (302, "pending")

    def test_nobody_there_is_a_failure(self) -> None:
        with receiving() as gone:
            made = told(gone.url)
        delivery = made.post("/test").json()["id"]
        send_due(seconds=0.5)
        assert whole(made, delivery)["error"] == "not_connected"


class TestAnEndpointThatIsDead:
    def test_is_disabled_at_once_when_it_says_gone(self, receiver: Receiver) -> None:
        with receiving() as other:
            made = told(receiver.url)
            make_member(made.organization, "owner")
            beside = told(other.url, "webhook.*", organization=made.organization)
            receiver.answers(410)
            made.post("/test")
            send_due(seconds=0.5)
            shown = made.get()
            assert (shown["status"], shown["disabled_reason"]) == ("disabled", "gone")
            deliver()
            assert other.types == ["webhook.endpoint_disabled"]
            assert other.got[0].told["data"]["endpoint"] == made.endpoint
            assert beside.get()["status"] == "enabled"
        mail.outbox.clear()
        due.run_job(name="webhooks.write_notices")
        letters = [letter for letter in mail.outbox if made.endpoint in letter.body]
        assert [letter.to for letter in letters] == [["ada@example.com"]]
        due.run_job(name="webhooks.write_notices")
        assert len([letter for letter in mail.outbox if made.endpoint in letter.body]) == 1

    def test_is_told_by_letter_once_the_mail_server_is_there_and_no_letter_waits_for_it_alone(
        self, receiver: Receiver, settings: Any
    ) -> None:
        made = told(receiver.url)
        make_member(made.organization, "owner")
        told(receiver.url, organization=made.organization)
        statement = "UPDATE webhook_standings SET notice_due = organization = %s"
        write(lambda cur: cur.execute(statement, (made.organization,)))
        settings.EMAIL_BACKEND = "common.mailing.EmailBackend"
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        with mail_server() as server:
            settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
            server.answers(GREETING, HANGS_UP)
            with pytest.raises(MailFailed):
                due.run_job(name="webhooks.write_notices")
            assert server.connections == 1
            server.answers("", None)
            due.run_job(name="webhooks.write_notices")
            assert (server.connections, server.addresses) == (2, ["ada@example.com"] * 2)

    def test_is_disabled_after_five_days_in_which_nothing_got_through(self, receiver: Receiver) -> None:
        made = told(receiver.url)
        receiver.answers(500)
        made.post("/test")
        send_due(seconds=0.5)

        def age(days: str) -> None:
            write(
                lambda cur: cur.execute(
                    "UPDATE webhook_standings SET failing_since = clock_timestamp() - %s::interval WHERE endpoint = %s",
                    (days, made.endpoint),
                )
            )
            come_due(made.endpoint)
            send_due(seconds=0.5)

        age("4 days 23 hours")
        assert made.get()["status"] == "enabled"
        age("5 days")
        assert (made.get()["status"], made.get()["disabled_reason"]) == ("disabled", "failing")
        assert {row["status"] for row in made.deliveries()} == {"failed"}
        assert [event[0] for event in events_of(made.organization)].count("webhook_endpoint.disabled") == 1

    def test_a_success_ends_the_count(self, receiver: Receiver) -> None:
        made = told(receiver.url)
        receiver.answers(500)
        made.post("/test")
        send_due(seconds=0.5)
        receiver.answers(200)
        come_due(made.endpoint)
        send_due(seconds=0.5)
        row = write(
            lambda cur: cur.execute(
                "SELECT failing_since, failures FROM webhook_standings WHERE endpoint = %s", (made.endpoint,)
            ).fetchone()
        )
        assert row == (None, 0)


class TestReplaying:
    def test_sends_what_came_while_it_was_off_in_order(self, receiver: Receiver) -> None:
        made = told(receiver.url, "agent.paused")
        since = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
        path = f"/v1/webhook-endpoints/{made.endpoint}"
        made.api.patch(path, {"enabled": False})
        agents = made.happen("a", "b", "c")
        deliver()
        assert receiver.got == []
        assert made.post("/replay", {"since": since}).status_code == 409
        made.api.patch(path, {"enabled": True})
        answer = made.post("/replay", {"since": since})
        assert (answer.status_code, answer.json()["replayed"], answer.json()["more"]) == (202, 3, False)
        deliver()
        assert [got.told["data"]["target"] for got in receiver.got] == agents
        assert made.post("/replay", {"since": since}).json()["replayed"] == 0
        assert made.post("/replay", {"since": since, "include_delivered": True}).json()["replayed"] == 3
        deliver()
        assert [got.message for got in receiver.got[:3]] == [got.message for got in receiver.got[3:]]

    def test_one_delivery_goes_again_under_its_id(self, receiver: Receiver) -> None:
        made = told(receiver.url)
        delivery = made.post("/test").json()["id"]
        send_due(seconds=0.5)
        path = f"/v1/webhook-deliveries/{delivery}/replay"
        answer = made.api.post(path, key="again")
        assert (answer.status_code, answer.json()["status"]) == (202, "pending")
        send_due(seconds=0.5)
        assert made.api.post(path, key="again").json() == answer.json()
        send_due(seconds=0.5)
        assert len(receiver.got) == 2
        assert len({got.message for got in receiver.got}) == 1

    def test_refuses_a_period_that_ends_before_it_begins(self, receiver: Receiver) -> None:
        made = told(receiver.url)
        body = {"since": "2026-02-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}
        assert made.post("/replay", body).json()["code"] == "invalid_period"


class TestWhatIsNotAnEvent:
    def test_denials_are_told_at_the_first_and_once_more_in_sum(self, receiver: Receiver) -> None:
        customer = make_customer("1")
        made = told(receiver.url, "spend.denied", organization=customer.id)
        for _ in range(5):
            assert customer.reserve("50").status_code == 402
        for _ in range(2):
            tell_denials()
        deliver()
        assert receiver.types == ["spend.denied"]
        first = receiver.got[0].told["data"]
        assert (first["phase"], first["denials"]) == ("first", 1)
        assert len(made.deliveries()) == 1

    def test_the_sum_comes_when_the_quarter_is_over_and_only_where_there_were_more(
        self, receiver: Receiver
    ) -> None:
        made = told(receiver.url, "spend.*")
        agents = [new_id(), new_id()]
        write_denials(
            made.organization, [(agents[0], "budget_exhausted", 3), (agents[0], "budget_exhausted", 4)]
        )
        write_denials(made.organization, [(agents[1], "paused", 1)])
        for _ in range(3):
            tell_denials()
        deliver()
        data = [got.told["data"] for got in receiver.got]
        shown = sorted((one["agent"], one["phase"], one["denials"]) for one in data)
        expected = [
            (str(agents[0]), "first", 1),
            (str(agents[0]), "summary", 7),
            (str(agents[1]), "first", 1),
        ]
        assert shown == sorted(expected)

    def test_low_credit_is_told_once_until_it_was_good_again(self, receiver: Receiver) -> None:
        customer = make_customer("12")
        told(receiver.url, "invoice.*", organization=customer.id, low_credit=["10", "5"])
        tell_low_credit()
        deliver()
        assert receiver.got == []
        held = customer.reserved("3")["id"]
        for _ in range(2):
            tell_low_credit()
        deliver()
        assert [got.told["data"] for got in receiver.got] == [
            {"currency": "USD", "available": "9", "threshold": "10"}
        ]
        customer.release(held)
        tell_low_credit()
        customer.reserved("8")
        tell_low_credit()
        deliver()
        assert [got.told["data"]["threshold"] for got in receiver.got[1:]] == ["10", "5"]

    def test_low_credit_that_an_endpoint_asks_for_again_is_told_again(self, receiver: Receiver) -> None:
        customer = make_customer("9")
        made = told(receiver.url, "invoice.*", organization=customer.id, low_credit=["10"])
        path = f"/v1/webhook-endpoints/{made.endpoint}"
        for count in (1, 2, 3):
            tell_low_credit()
            deliver()
            assert [got.told["data"]["threshold"] for got in receiver.got] == ["10"] * count
            for asked in ([], ["10"]):
                assert made.api.patch(path, {"low_credit": asked}).status_code == 200


class TestADeadSender:
    def test_loses_nothing_and_its_lane_is_free_when_its_lease_ends(self, receiver: Receiver) -> None:
        made = told(receiver.url)
        made.post("/test")
        mine = [
            parcel
            for parcel in write(lambda cur: claim(cur, limit=100))
            if str(parcel.endpoint) == made.endpoint
        ]
        assert len(mine) == 1
        send_due(seconds=0.5)
        assert receiver.got == []
        write(
            lambda cur: cur.execute(
                "UPDATE webhook_lanes SET leased_until = clock_timestamp() WHERE endpoint = %s",
                (made.endpoint,),
            )
        )
        send_due(seconds=0.5)
        assert receiver.types == ["webhook.test"]

    def test_that_was_killed_while_it_sent_is_followed_by_one_that_sends_the_same(
        self, receiver: Receiver
    ) -> None:
        made = told(receiver.url)
        delivery = made.post("/test").json()["id"]
        receiver.sleeps(20)
        script = "import django; django.setup(); from webhooks.operations.outbound import delivering as d; d.send_due()"
        environment = {**os.environ, "WEBHOOKS_TO_LOOPBACK": "1", "DJANGO_SETTINGS_MODULE": "config.settings"}
        with subprocess.Popen([sys.executable, "-c", script], env=environment) as sender:
            deadline = time.monotonic() + 60
            while not receiver.got and time.monotonic() < deadline:
                time.sleep(0.05)
            sender.kill()
        assert receiver.types == ["webhook.test"]
        assert whole(made, delivery)["status"] == "pending"
        receiver.answers(204)
        write(
            lambda cur: cur.execute(
                "UPDATE webhook_lanes SET leased_until = clock_timestamp() WHERE endpoint = %s",
                (made.endpoint,),
            )
        )
        send_due(seconds=0.5)
        assert whole(made, delivery)["status"] == "delivered"
        assert [got.message for got in receiver.got] == [whole(made, delivery)["message"]] * 2


class TestAWorker:
    def test_delivers_what_the_beat_finds_due(
        self, receiver: Receiver, broker: Broker, pytestconfig: pytest.Config
    ) -> None:
        made = told(receiver.url, "agent.paused")
        agents = made.happen("one", "two")
        home = session_of(pytestconfig).home
        spec = worker_spec(home)
        spec = replace(spec, environment={**spec.environment, "WEBHOOKS_TO_LOOPBACK": "1"})
        with serving(spec, folder=home / "log" / "webhooks"):
            advance_subscriber.delay(name=READER)
            deadline = time.monotonic() + 60
            while len(receiver.got) < 2 and time.monotonic() < deadline:
                run_job.delay(name="webhooks.deliver")
                time.sleep(0.5)
        assert [got.told["data"]["target"] for got in receiver.got][:2] == agents
        for got in receiver.got:
            got.verify(made.secret)


class TestAnEventThatCannotBeTold:
    def test_is_reported_and_holds_up_no_other(
        self, receiver: Receiver, caplog: pytest.LogCaptureFixture
    ) -> None:
        made = told(receiver.url, "agent.paused")
        broken, sound = made.happen("broken", "sound")
        events = [one for one in events_since(made.organization) if one.type == "switch.set"]
        assert [one.data["target_id"] for one in events] == [broken, sound]
        events[0] = structs.replace(events[0], data={"kind": "pause"})  # what an older version left out
        caplog.clear()
        write(lambda cur: tell_events(cur, events))
        write(lambda cur: tell_events(cur, events))  # a reader that died after it
        (report,) = {one.seq for one in caplog.records if one.getMessage() == "webhooks.not_told"}
        assert report == events[0].seq
        send_due()
        assert [one.told["data"]["target"] for one in receiver.got] == [sound]
