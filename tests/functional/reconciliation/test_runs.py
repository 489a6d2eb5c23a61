"""Runs: each night once whoever asks, going on where one was killed, and a day on which no webhook came."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from pytest_django import Settings

from tests.builders.books import rows
from tests.builders.orgs import platform, write
from tests.builders.processor import CENT, state
from tests.builders.reconciling import AT_STRIPE, Day
from tests.builders.stripe import Simulator
from tests.functional.webhooks.test_inbox_admin import staff
from tests.invariants import Still, assert_sound
from webhooks.operations.inbound.processing import process_due
from webhooks.operations.reconciling.running import reconcile, reconcile_due
from webhooks.queries.reconciling.runs import Run, list_runs, running

CHECKOUT = Path(__file__).resolve().parents[3]
EACH = int(os.environ.get("RECONCILIATION_KILL_EACH", "6"))
"""Before every so many-th note, of a step that is done or of something that differed, the process is killed."""


def newest_run() -> Run:
    """The newest run's report."""
    return write(lambda cur: list_runs(cur, before=None, limit=1))[0]


def counted(run: Run) -> dict[str, Any]:
    """What a report says of everything that is counted anew in each run, and not by what it changed."""
    told = ("compared", "foreign", "amounts", "open")
    steps = set(AT_STRIPE) - {"balance_rows", "items", "recheck"}
    return {name: {each: run.done[name][each] for each in told} for name in sorted(steps)}


def nightly() -> list[tuple[Any, ...]]:
    return rows("SELECT period, status FROM reconciliations WHERE cause = 'nightly' ORDER BY period")


class TestANight:
    def test_is_run_once_by_however_many_beats_and_each_missed_day_once(self, settings: Settings) -> None:
        settings.STRIPE_API_KEY = None
        with connections["owner"].cursor() as cursor:
            cursor.execute("TRUNCATE reconciliation_differences, reconciliations")
        with ThreadPoolExecutor(4) as threads:
            done = list(threads.map(lambda _: due_in_thread(), range(4)))
        assert sum(done) == 1
        ((last, status),) = nightly()
        assert status == "finished"
        assert reconcile_due() == 0
        with connections["owner"].cursor() as cursor:
            cursor.execute("UPDATE reconciliations SET period = period - 2 WHERE cause = 'nightly'")
        assert reconcile_due() == 2
        assert [period for period, _ in nightly()][-1] == last
        assert len(nightly()) == 3
        with connections["owner"].cursor() as cursor:
            cursor.execute("UPDATE reconciliations SET period = period + 2 WHERE period = %s", (last,))
        assert reconcile_due() == 0  # a clock that was set back makes no night due again
        steps = platform().get("/v1/reconciliations", limit="1").json()["data"][0]["steps"]
        assert {each["name"] for each in steps} == {"sums", "bills", "books", "projections", "recheck"}
        assert platform().get("/v1/reconciliations").json()["data"][0]["status"] == "finished"


def due_in_thread() -> int:
    try:
        return reconcile_due()
    finally:
        connections.close_all()


class TestARun:
    def test_that_is_killed_goes_on_and_comes_to_the_same_state(self, day: Day) -> None:
        customer = day.payer()
        for n in range(3):
            customer.pay(1_000 + n)
        twice = customer.ask(500)
        customer.pay(500, payment=twice)
        customer.pay(500, payment=twice)
        program = Path(__file__).with_name("dying.py")
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        killed = 0
        while True:
            ended = subprocess.run(
                [sys.executable, str(program), str(EACH)], cwd=CHECKOUT, env=environment, capture_output=True,
                text=True, check=False,
            )  # fmt: skip
            if ended.returncode == 0:
                break
            assert ended.returncode == -9, ended.stderr[-3_000:]
            killed += 1
            begun = write(running)
            assert begun is not None
            assert begun.attempts == killed
        assert killed >= len(AT_STRIPE) // EACH
        assert day.by_class("repaired") == {"missing_here": 4}
        assert day.by_class("open") == {"double": 1}
        assert day.moved()[0] == day.moved()[1]
        assert state(customer.organization)["balances"]["customer_credit"] == 3_503 * CENT
        known = day.by_class()
        killed_run, again = newest_run(), day.run()
        assert day.by_class() == known
        assert {name: each["repaired"] for name, each in killed_run.done.items() if each["repaired"]} == {
            "payment": 4
        }
        assert killed_run.differences["missing_here"] | {"open": 0} == {
            "found": 4,
            "repaired": 4,
            "new": 4,
            "open": 0,
        }
        assert counted(killed_run) == counted(again)
        assert_sound(customer.organization)

    def test_finds_nothing_in_what_is_in_flight(self, day: Day, settings: Settings) -> None:
        settings.RECONCILIATION_GRACE_SECONDS = 900
        customer = day.payer()
        intent = customer.pay(1_000)
        day.simulator.refund(intent.latest_charge, 400)
        day.simulator.sdk().v1.payment_intents.create(
            {"amount": 900, "currency": "usd", "customer": customer.customer, "confirm": True,
             "payment_method": "pm_card_visa", "off_session": True}
        )  # fmt: skip
        with Still(customer.organization):
            day.run()
        assert day.by_class() == {}

    def test_with_the_processor_away_stays_begun_and_goes_on(self, day: Day) -> None:
        customer = day.payer()
        customer.pay(1_000)
        day.simulator.fail({"kind": "error_before", "path": "/v1/payment_intents", "count": 100})
        with pytest.raises(Exception, match="processor"):
            day.run()
        begun = write(running)
        assert begun is not None
        assert begun.error is not None
        day.simulator.fail()
        day.run()
        assert write(running) is None
        assert day.by_class() == {"missing_here": 1}

    def test_of_a_day_without_any_webhook_repairs_everything(self, day: Day) -> None:
        """All deliveries were dropped: the list of events and the objects bring everything here."""
        customers = [day.payer() for _ in range(3)]
        for n, customer in enumerate(customers):
            first = customer.pay(5_000 + n)
            second = customer.pay(3_000 + n)
            day.simulator.refund(first.latest_charge, 700)
            dispute = day.simulator.dispute(second.latest_charge)
            if n:
                day.simulator.close_dispute(dispute["id"], "won" if n == 1 else "lost")
        day.simulator.fund(50_000)
        day.simulator.decide(sweep="usd")
        day.simulator.advance(86_400)
        run = reconcile(only=("catch_up", *AT_STRIPE))
        while process_due():
            pass
        run = reconcile(only=("catch_up", *AT_STRIPE))
        ours, theirs = day.moved()
        assert ours == theirs
        assert run.balances["USD"]["closing"] == run.balances["USD"]["rows"]
        assert day.by_class("open") == {}
        for customer in customers:
            assert_sound(customer.organization)
        known = day.by_class()
        day.run()
        assert day.by_class() == known


class TestTheReport:
    def test_is_told_by_the_command_the_api_and_the_staffs_pages(
        self, stripe_simulator: Simulator, day: Day
    ) -> None:
        customer = day.payer()
        customer.pay(1_234)
        output = io.StringIO()
        with suppress(CommandError):  # other tests' differences are open
            call_command("reconcile", "--json", stdout=output)
        told = json.loads(output.getvalue())
        assert told["steps"]["books"]["compared"] >= 0
        assert told["steps"]["projections"]["compared"] > 0
        shown = platform().get(f"/v1/reconciliations/{told['id']}").json()
        assert shown["status"] == "finished"
        assert shown["is_clean"] == told["ok"]
        answer = platform().get(f"/v1/reconciliations/{told['id']}/differences", limit="100")
        assert answer.status_code == 200
        assert platform().get(f"/v1/reconciliations/{customer.organization}").status_code == 404
        client = staff("view_reconciliation", "view_reconciliationdifference", "view_processoritem")
        for page in ("reconciliation", "reconciliationdifference", "processoritem"):
            assert client.get(f"/admin/webhooks/{page}/").status_code == 200
        with pytest.raises(CommandError):
            call_command("reconcile", "--date", "yesterday")
        with pytest.raises(CommandError):
            call_command("reconcile", "--date", "2999-01-01")
