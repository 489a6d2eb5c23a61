"""Sending commands: in their order, one at a time, under the limit, outside of transactions; and those that stop."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client

from billing import stripe_gateway
from billing.operations.commands import Purpose, deliver, register_purpose, request, send_commands, send_due
from billing.operations.payments.methods import settle_nothing
from billing.queries.commands import backlog, find_command
from billing.stripe_gateway import pacing
from common.clock import wall_now
from common.transactions import run_in_transaction
from config.metrics import scrape
from sandbox.children import Child
from tests.builders.orgs import AUTHOR, platform, unique, write
from tests.builders.paying import Payer, payer, paying
from tests.builders.stripe import Simulator
from tests.integration.billing.test_killed_commands import charge, later

STRANGE = "strange"
register_purpose(Purpose(STRANGE, "customers", "create", settle_nothing))


def strange(made: Payer, **params: Any) -> Any:
    """A command with parameters of a test's own."""
    return write(
        lambda cur: request(
            cur, organization=made.id, purpose=STRANGE, business_key=unique(), params=params, author=AUTHOR
        )
    )


class TestATransaction:
    def test_and_a_call_do_not_go_together(self, stripe_simulator: Simulator) -> None:
        with pytest.raises(stripe_gateway.CallInTransaction):
            run_in_transaction(lambda cur: stripe_gateway.payment("pi_1"))
        assert stripe_simulator.requests("GET", "/v1/payment_intents/pi_1") == []

    def test_and_a_list_do_not_go_together(self, stripe_simulator: Simulator) -> None:
        found = stripe_gateway.list_payments()
        with pytest.raises(stripe_gateway.CallInTransaction):
            run_in_transaction(lambda cur: next(found, None))


class TestTheSameRequest:
    def test_is_the_same_command_until_it_was_refused(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)
        key = unique()

        def ask() -> Any:
            return write(
                lambda cur: request(
                    cur,
                    organization=made.id,
                    purpose=STRANGE,
                    business_key=key,
                    params={"payment_method": "pm_nothing"},
                    author=AUTHOR,
                )
            )

        first = ask()
        assert ask().id == first.id
        assert deliver(first.id).state == "refused"
        second = ask()
        assert (second.id != first.id, second.generation, second.key != first.key) == (True, 2, True)


class TestCommandsOfOneObject:
    def test_go_one_after_the_other(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        first, second = charge(made), charge(made)

        assert deliver(second).state == "pending"
        stripe_simulator.fail(
            {"kind": "conflict", "method": "POST", "path": "/v1/payment_intents", "count": 2}
        )
        assert deliver(first).state == "sending"
        assert deliver(second).state == "pending"
        assert deliver(first, clock=later(timedelta(minutes=5))).state == "succeeded"
        assert deliver(second).state == "succeeded"
        assert made.charged() == [1_000, 1_000]


class TestTheJob:
    def test_sends_what_is_due(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        before = write(backlog).waiting
        commands = [charge(made) for _ in range(3)]

        while send_due():
            pass

        assert [write(lambda cur, one=one: find_command(cur, one)).state for one in commands] == [
            "succeeded"
        ] * 3
        assert made.charged() == [1_000] * 3
        assert write(backlog).waiting <= before

    def test_does_nothing_without_a_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settings, "STRIPE_API_KEY", None)

        assert send_due() == 0

    def test_that_several_do_at_once_charges_once(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        command = charge(made)
        start = threading.Barrier(6)

        def work() -> None:
            start.wait()
            deliver(command)
            connections.close_all()

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        sent = write(lambda cur: find_command(cur, command))
        assert sent.state == "succeeded"
        assert len(stripe_simulator.requests("POST", "/v1/payment_intents", key=sent.key)) == 1


class TestAWorker:
    def test_sends_what_beat_finds_due(self, stripe_simulator: Simulator, worker: Child) -> None:
        made = paying(stripe_simulator)
        command = charge(made)

        def is_done() -> bool:
            current_app.send_task("events.tasks.run_due_jobs")
            time.sleep(1)
            return write(lambda cur: find_command(cur, command)).state == "succeeded"

        assert any(is_done() for _ in range(60))
        assert made.charged() == [1_000]


class TestTheBucket:
    def test_holds_all_callers_under_the_rate(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settings, "STRIPE_CALLS_PER_SECOND", 20)
        name = unique("bucket")
        counts: list[int] = []

        def work() -> None:
            counts.append(sum(pacing.take(name) for _ in range(15)))
            connections.close_all()

        began = time.monotonic()
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert counts == [15] * 4
        assert time.monotonic() - began >= (60 - 20) / 20 - 0.1

    def test_makes_everybody_wait_after_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settings, "STRIPE_CALLS_PER_SECOND", 20)
        name = unique("bucket")
        pacing.slow_down(30, name)

        assert pacing.take(name) is False


class TestACommandThatStops:
    def test_is_a_finding_and_goes_on_when_a_person_has_it_looked_up(
        self, stripe_simulator: Simulator
    ) -> None:
        made = payer(stripe_simulator)
        command = strange(made, surprise="yes")

        done = deliver(command.id)

        assert (done.state, done.error_code) == ("wrong", "parameter_unknown")
        found = (
            platform().get("/v1/payment-commands", organization=str(made.id), status="wrong").json()["data"]
        )
        assert [one["id"] for one in found] == [str(command.id)]
        findings = write(
            lambda cur: cur.execute(
                "SELECT subject FROM findings WHERE organization = %s AND kind = 'command_stopped'",
                (made.id,),
            ).fetchall()
        )
        assert findings == [(f"command:{command.id}",)]
        assert platform().post(f"/v1/payment-commands/{command.id}/send").status_code == 409
        assert platform().post(f"/v1/payment-commands/{command.id}/look").status_code == 200
        states = [deliver(command.id, clock=later(timedelta(minutes=after))).state for after in (1, 30, 62)]
        assert states == ["unknown", "unknown", "lapsed"]
        made.send_when_due()  # the next generation, which would wait for other tests
        assert stripe_simulator.forgive() != []

    def test_that_was_changed_behind_our_back_is_never_sent(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)
        command = strange(made, description="ours")
        write(
            lambda cur: cur.execute(
                'UPDATE outbound_commands SET params = params || \'{"description": "theirs"}\' WHERE id = %s',
                (command.id,),
            )
        )

        with pytest.raises(ValueError, match="not those"):
            deliver(command.id)

        assert stripe_simulator.requests("POST", "/v1/customers") == []
        other = strange(made, description="another")
        send_commands([command.id, other.id], clock=later(timedelta(minutes=2)))
        stuck = write(lambda cur: find_command(cur, command.id))
        assert (stuck.state, str(stuck.note)[:10]) == ("sending", "ValueError")
        assert write(lambda cur: find_command(cur, other.id)).state == "succeeded"
        write(
            lambda cur: cur.execute(
                'UPDATE outbound_commands SET params = params || \'{"description": "ours"}\' WHERE id = %s',
                (command.id,),
            )
        )
        assert deliver(command.id, clock=later(timedelta(hours=1))).state == "succeeded"

    def test_with_a_key_that_is_refused_waits(
        self, stripe_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = payer(stripe_simulator)
        command = strange(made, description="ours")
        key = settings.STRIPE_API_KEY
        monkeypatch.setattr(settings, "STRIPE_API_KEY", "sk_test_wrong")

        waiting = deliver(command.id)
        monkeypatch.setattr(settings, "STRIPE_API_KEY", key)

        assert (waiting.state, waiting.note) == ("sending", "credentials")
        assert deliver(command.id, clock=later(timedelta(minutes=2))).state == "succeeded"


class TestThePages:
    def test_of_the_admin_send_again(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        command = charge(made)
        write(
            lambda cur: cur.execute(
                "UPDATE outbound_commands SET next_try_at = %s WHERE id = %s",
                (wall_now(cur) + timedelta(hours=1), command),
            )
        )
        assert deliver(command).state == "pending"
        User.objects.create_superuser(name := unique("root"), password="x" * 20)
        client = Client()
        assert client.login(username=name, password="x" * 20)

        page = client.get("/admin/billing/outboundcommand/", {"q": str(command)})
        client.post(
            "/admin/billing/outboundcommand/",
            {"action": "send", "_selected_action": [str(command)], "index": "0"},
        )

        assert str(command) in page.content.decode()
        assert deliver(command).state == "succeeded"
        assert made.charged() == [1_000]

    def test_of_the_metrics_show_how_old_the_oldest_is(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)
        command = strange(made, description="x")
        write(
            lambda cur: cur.execute(
                "UPDATE outbound_commands SET requested_at = %s WHERE id = %s",
                (wall_now(cur) - timedelta(minutes=10), command.id),
            )
        )

        text = scrape().decode()
        write(
            lambda cur: cur.execute(
                "UPDATE outbound_commands SET requested_at = %s WHERE id = %s",
                (command.requested_at, command.id),
            )
        )

        (oldest,) = [
            float(line.split()[1])
            for line in text.splitlines()
            if line.startswith("counterfoil_payment_commands_old")
        ]
        assert oldest >= 600
        assert 'counterfoil_payment_commands{state="open"}' in text
        assert deliver(command.id).state == "succeeded"


def test_a_customer_and_its_commands_are_rebuilt_from_events(stripe_simulator: Simulator) -> None:
    """The session's end compares every row; here only that both kinds are there to be compared."""
    made = paying(stripe_simulator)
    charge(made)
    made.send()

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM outbound_commands WHERE organization = %s", [made.id])
        assert cursor.fetchone()[0] == 3
