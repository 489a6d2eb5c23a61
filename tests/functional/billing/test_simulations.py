"""Months that pass for a sandbox organization: in one call as day by day, through the API and from the console."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from billing.operations.revenue.recognising import recognise_revenue
from events.store import Cursor
from orgs.operations.clock import advance_locked_to, locked_sandbox
from tests.builders.billing import Billed, billed
from tests.builders.books import balances
from tests.builders.catalog import make_coupon
from tests.builders.dunning import usual_policy
from tests.builders.metering import make_meter, new_event, record
from tests.builders.orgs import AUTHOR, caller, make_organization, platform, unique, write
from tests.builders.simulated import (
    STEP,
    at,
    at_start,
    decide,
    documents,
    happened,
    journal,
    move_to,
    pass_until,
)
from tests.builders.subscribed import fee, metered, seats
from tests.builders.subscriptions import acted, now_of, sell, subscribe

DAY = timedelta(days=1)
YEAR = {"unit": "year", "count": 1}
MONTH = {"unit": "month", "count": 1}
MONTHLY = [{"amounts": {"USD": "20"}, "every": MONTH}]
START = at("2027-01-31T08:00:00")
END = at("2028-03-01T08:00:00")


@pytest.fixture(autouse=True)
def nobody_duns() -> Iterator[None]:
    """What follows when nobody pays is told elsewhere (test_dunning_time)."""
    with usual_policy():
        yield


def problem(answer: Any) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["code"]


def simulated(organization: Any, until: datetime | str, *, key: str | None = None) -> Any:
    """The answer to POST /v1/simulations by the platform."""
    text = until if isinstance(until, str) else until.isoformat()
    return platform().post("/v1/simulations", {"organization": str(organization), "until": text}, key=key)


class Story:
    """What a customer does on its way; each at its own moment."""

    def __init__(self) -> None:
        self.meter = make_meter("sum")
        self.yearly = sell(fee("490"), seats("10"), interval=YEAR, credits=MONTHLY, trial_days=14)
        self.monthly = sell(
            fee("30"),
            metered("extra", meter=self.meter.key, included="5"),
            funding="credit_then_invoice",
        )
        self.coupon = make_coupon(percent="50", duration="periods", periods=3).code

    def begin(self, made: Billed) -> None:
        """A year with a trial that starts at the end of a month, and months with a coupon."""
        who = decide(made)
        first = (START + timedelta(hours=2)).isoformat()
        self.first = subscribe(who, self.yearly, quantities={"seats": 3}, start_at=first)
        start = (START + timedelta(hours=3)).isoformat()
        second = subscribe(who, self.monthly, coupons=[self.coupon], start_at=start)
        made.customer.grant("7", expires_at=at("2027-02-20T10:00:00"))
        self.steps: list[tuple[datetime, Callable[[], Any]]] = [
            (at("2027-02-02T12:00:00"), lambda: self.use(made, "3.105", "0.333")),
            (at("2027-02-21T12:00:00"), lambda: self.use(made, "30.005")),
            (at("2027-02-22T12:00:00"), lambda: self.count(made, "12.5")),
            (
                at("2027-03-27T12:00:00"),
                lambda: acted(who, self.first, "quantity", {"quantities": {"seats": 5}}),
            ),
            (
                at("2027-04-10T12:00:00"),
                lambda: acted(who, second, "pause", {"resumes_at": "2027-06-15T12:00:00Z"}),
            ),
            (at("2027-06-20T12:00:00"), lambda: self.count(made, "9")),
            (at("2027-06-20T15:00:00"), lambda: made.customer.reserved("2", ttl_seconds=7_200)),
        ]

    def use(self, made: Billed, *amounts: str) -> None:
        """Calls through the gate."""
        made.use(*amounts)

    def count(self, made: Billed, quantity: str) -> None:
        """A quantity from outside."""
        event = new_event(self.meter.definition.event_type or "", now_of(made.id), {"units": quantity})
        record(made.id, event)


class TestThirteenMonths:
    def test_in_one_leap_are_the_same_as_day_by_day(self) -> None:
        leaping, daily = (at_start(START, time_zone="Europe/Berlin", net_days=365) for _ in range(2))
        for made in (leaping, daily):
            story = Story()
            story.begin(made)
            for moment, action in story.steps:
                if made is daily:
                    pass_days(made, moment)
                pass_until(made, [moment])
                action()
            if made is daily:
                pass_days(made, END)
            pass_until(made, [END])
        found = documents(leaping.id)
        assert found == documents(daily.id)
        assert numbers(found) == [(2027, n + 1) for n in range(sum(row[1] == 2027 for row in found))] + [
            (2028, n + 1) for n in range(sum(row[1] == 2028 for row in found))
        ]
        assert journal(leaping.id) == journal(daily.id)
        assert happened(leaping.id) == happened(daily.id)
        assert len(found) > 12
        for made in (leaping, daily):
            made.assert_sound()

    def test_in_one_leap_are_the_same_as_a_clock_that_nobody_waits_for(self) -> None:
        """What is late is dated at its boundary, too; only what is to be paid by when counts from the number."""
        leaping, late = (at_start(START, time_zone="America/New_York") for _ in range(2))
        plan = sell(fee("49"), seats("10"))
        for made in (leaping, late):
            subscribe(decide(made), plan, start_at=(START + timedelta(hours=1)).isoformat())
        pass_until(leaping, [END])
        move_to(late.id, END)
        late.run()
        write(partial(recognise_revenue, organization=late.id))
        assert undue(leaping) == undue(late)
        assert balances(leaping.id) == balances(late.id)


def pass_days(made: Billed, until: datetime) -> None:
    """Let time pass in steps, to just before a moment."""
    moment = now_of(made.id) + STEP
    while moment < until:
        pass_until(made, [moment])
        moment += STEP


def undue(made: Billed) -> list[tuple[Any, ...]]:
    """The invoices but for when they are to be paid."""
    return [(*row[:9], *row[10:]) for row in documents(made.id)]


def numbers(found: list[tuple[Any, ...]]) -> list[tuple[int, int]]:
    """Year and number of the invoices in the order of their numbers."""
    return sorted((row[1], row[2]) for row in found if row[2] is not None)


class TestASimulation:
    def test_does_everything_at_its_own_moment_and_tells_of_it_in_order(self) -> None:
        made = at_start(START)
        who = decide(made)
        subscribe(who, sell(fee("49"), credits=MONTHLY), start_at=(START + timedelta(hours=1)).isoformat())
        answer = simulated(made.id, START + 70 * DAY)
        assert answer.status_code == 200, answer.content
        told = answer.json()
        assert (told["finished"], told["has_more"]) == (True, False)
        assert told["reached_at"][:16] == (START + 70 * DAY).isoformat()[:16]
        times = [datetime.fromisoformat(one["at"]) for one in told["happenings"]]
        assert times == sorted(times)
        texts = [one["text"] for one in told["happenings"]]
        assert [text.partition(" over")[0].partition(" (")[0] for text in texts[:4]] == [
            "Subscription starts",
            "Allowance of 20 USD, good until 2027-02-28",
            "Draft of an invoice",
            f"Invoice {made.invoices()[0]['number']}",
        ]
        (entry,) = next(one["entries"] for one in told["happenings"] if one["type"] == "invoice.finalized")
        amounts = {line["account"]: line["amount"] for line in entry["lines"]}
        assert amounts == {"receivable": "-49", "deferred_revenue": "49"}
        assert {"grant.granted", "grant.expired", "invoice.drafted", "subscription.renewed"} <= {
            one["type"] for one in told["happenings"]
        }
        assert [one["total"] for one in made.invoices()] == ["49.00"] * 3

    def test_that_is_repeated_moves_nothing_and_under_its_key_says_the_same(self) -> None:
        made = at_start(START)
        subscribe(decide(made), sell(), start_at=(START + timedelta(hours=1)).isoformat())
        key = unique()
        first = simulated(made.id, START + 40 * DAY, key=key)
        before = now_of(made.id), made.invoices(), happened(made.id)
        again = simulated(made.id, START + 40 * DAY, key=key)
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers["Idempotent-Replayed"] == "true"
        anew = simulated(made.id, START + 40 * DAY).json()
        assert (anew["finished"], anew["happenings"]) == (True, [])
        assert problem(simulated(made.id, START + 50 * DAY, key=key)) == (422, "idempotency_key_reused")
        after = now_of(made.id), made.invoices(), happened(made.id)
        assert after[0] - before[0] < timedelta(minutes=1)
        assert after[1:] == before[1:]

    def test_moves_to_a_moment_that_passes_while_it_is_looked_at(self) -> None:
        made = billed()

        def operation(cur: Cursor) -> tuple[datetime, datetime]:
            locked = locked_sandbox(cur, made.id)
            moment = locked.now + timedelta(milliseconds=1)
            time.sleep(0.01)
            return moment, advance_locked_to(cur, locked, to=moment, author=AUTHOR)

        moment, moved = write(operation)
        assert moment <= moved < moment + timedelta(seconds=1)

    def test_expires_what_is_reserved_and_ends_grants_at_their_ends(self) -> None:
        made = at_start(START)
        made.customer.grant("5", expires_at=START + 3 * DAY)
        made.customer.reserved("1", ttl_seconds=3_600)
        told = simulated(made.id, START + 4 * DAY).json()["happenings"]
        assert [(one["type"], one["at"][:13]) for one in told] == [
            ("reservation.expired", (START + timedelta(hours=1)).isoformat()[:13]),
            ("grant.expired", (START + 3 * DAY).isoformat()[:13]),
        ]
        (entry,) = told[1]["entries"]
        assert entry["kind"] == "breakage"
        assert sorted(int(line["amount"]) for line in entry["lines"]) == [-5, 5]

    def test_is_refused_for_what_is_no_sandbox_and_for_more_than_ten_years(self) -> None:
        real, made = billed(sandbox=False), billed()
        customers = [caller(made.id, scope) for scope in ("admin", "billing:write")]
        with real.still(), made.still():
            assert problem(simulated(real.id, "2030-01-01T00:00:00Z")) == (422, "not_a_sandbox")
            assert problem(simulated(made.id, "2100-01-01T00:00:00Z")) == (400, "invalid_period")
            assert problem(simulated(made.id, "2027-01-01T00:00:00")) == (400, "naive_datetime")
            assert problem(simulated("01900000-0000-7000-8000-0000000000ff", START)) == (404, "not_found")
            body = {"organization": str(made.id), "until": START.isoformat()}
            for who in customers:
                assert problem(who.post("/v1/simulations", body)) == (403, "forbidden")
            assert problem(platform().post("/v1/simulations", {**body, "months": 3})) == (
                400,
                "unknown_field",
            )

    def test_from_the_console_prints_what_finance_reads(self) -> None:
        made = at_start(START)
        subscribe(decide(made), sell(fee("49")), start_at=(START + timedelta(hours=1)).isoformat())
        out = StringIO()
        call_command("simulate", organization=str(made.id), months=2, stdout=out)
        printed = out.getvalue()
        first = made.invoices()[0]
        assert f"Invoice {first['number']} over 49 USD, dated 2027-01-31, due 2027-02-14" in printed
        assert "Journal, invoice, 2027-01-31: " in printed
        lines = StringIO()
        until = (now_of(made.id) + 31 * DAY).isoformat()
        call_command("simulate", organization=str(made.id), until=until, json=True, stdout=lines)
        told = [json.loads(line) for line in lines.getvalue().splitlines()]
        assert [one["type"] for one in told if one["type"].startswith("invoice.")] == [
            "invoice.drafted",
            "invoice.finalized",
        ] * 2
        with pytest.raises(CommandError, match="0 organizations are called Nobody"):
            call_command("simulate", organization="Nobody", months=1)


class TestTheClock:
    def test_of_a_sandbox_that_was_made_through_the_api_is_moved_by_seconds_or_to_a_moment(self) -> None:
        finance = platform()
        made = finance.post("/v1/organizations", {"name": "Trial balloon", "sandbox": True})
        assert (made.status_code, made.json()["sandbox"]) == (201, True)
        changed = finance.patch(f"/v1/organizations/{made.json()['id']}", {"sandbox": False})
        assert problem(changed) == (400, "read_only_field")
        path = f"/v1/organizations/{made.json()['id']}/clock"
        before = datetime.fromisoformat(finance.get(path).json()["now"])
        moved = finance.post(f"{path}/advance", {"seconds": 3_600})
        assert moved.status_code == 200, moved.content
        assert moved.json()["ahead_seconds"] == 3_600
        assert datetime.fromisoformat(moved.json()["now"]) >= before + timedelta(hours=1)
        to = (before + 3 * DAY).replace(microsecond=0)
        shown = datetime.fromisoformat(finance.post(f"{path}/advance", {"to": to.isoformat()}).json()["now"])
        assert timedelta(0) <= shown - to < timedelta(minutes=1)

    def test_is_moved_once_under_a_key(self) -> None:
        made = billed()
        path, key = f"/v1/organizations/{made.id}/clock/advance", unique()
        answers = [platform().post(path, {"seconds": 60}, key=key).json() for _ in range(2)]
        assert answers[0] == answers[1]
        assert made.reader.get(f"/v1/organizations/{made.id}/clock").json()["ahead_seconds"] == 60

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({}, (400, "invalid_field")),
            ({"seconds": 0}, (400, "invalid_field")),
            ({"seconds": -1}, (400, "invalid_field")),
            ({"seconds": 316_224_001}, (400, "invalid_field")),
            ({"seconds": "60"}, (400, "invalid_field")),
            ({"seconds": 60, "to": "2030-01-01T00:00:00Z"}, (400, "invalid_field")),
            ({"to": "2020-01-01T00:00:00Z"}, (400, "invalid_period")),
            ({"to": "2100-01-01T00:00:00Z"}, (400, "invalid_period")),
            ({"to": "2030-01-01"}, (400, "invalid_datetime")),
        ],
    )
    def test_refuses_what_is_no_step_forward(self, body: Any, expected: tuple[int, str]) -> None:
        made = billed()
        with made.still():
            answer = platform().post(f"/v1/organizations/{made.id}/clock/advance", body)
            assert problem(answer) == expected

    def test_stands_still_for_others(self) -> None:
        real, made = billed(sandbox=False), billed()
        customers = [caller(made.id, scope) for scope in ("admin", "billing:write")]
        with real.still(), made.still():
            path = "/v1/organizations/{}/clock/advance"
            refused = platform().post(path.format(real.id), {"seconds": 60})
            assert problem(refused) == (422, "not_a_sandbox")
            for who in customers:
                assert problem(who.post(path.format(made.id), {"seconds": 60})) == (403, "forbidden")
            other = caller(make_organization(), "admin")
            assert problem(other.get(f"/v1/organizations/{made.id}/clock")) == (404, "not_found")
