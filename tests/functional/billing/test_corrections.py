"""Amending and voiding events, and backfills, through the API: new facts only, once, and the exact difference."""

import json
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

from billing.queries.metering import aggregate
from billing.rules.meters import Meter
from common.ids import new_id
from tests.builders.metering import cut_of, facts_of, make_meter, now, sent, unique_type
from tests.builders.orgs import Caller, caller, make_member, make_organization, make_team, platform, write

EVENTS = "/v1/events"
BACKFILLS = "/v1/event-backfills"
SCOPES = ("spend:write", "billing:write")


class Customer:
    """An organization with a meter of its own type of event, and a key that reports and corrects."""

    def __init__(self) -> None:
        self.id: UUID = make_organization()
        self.client: Caller = caller(self.id, *SCOPES)
        self.meter: Meter = make_meter("sum")
        self.type = self.meter.definition.event_type or ""

    def send(self, units: str, *, age: timedelta = timedelta(minutes=1), **given: Any) -> str:
        event = sent(self.type, data={"units": units}, occurred_at=(now() - age).isoformat(), **given)
        identifier: str = self.client.post(EVENTS, event).json()["id"]
        return identifier

    def amend(self, event: str, *, key: str = "k", **said: Any) -> Any:
        return self.client.post(f"{EVENTS}/{event}/amend", {"reason": "miscounted", **said}, key=key)

    def void(self, event: str, *, key: str = "v") -> Any:
        return self.client.post(f"{EVENTS}/{event}/void", {"reason": "a test"}, key=key)

    def told(
        self, start: datetime, end: datetime, cut: Any, previous: Any = None
    ) -> list[tuple[Fraction, int]]:
        found = write(lambda cur: aggregate(cur, self.id, self.meter, start, end, cut, previous))
        return [(one.quantity, one.records) for one in found]


@pytest.fixture
def acme() -> Customer:
    return Customer()


def problem(answer: Any) -> tuple[int, str, list[str]]:
    found = answer.json()
    return answer.status_code, found["code"], [error["pointer"] for error in found.get("errors", ())]


class TestAmending:
    def test_states_the_event_anew_by_facts_besides(self, acme: Customer) -> None:
        event = acme.send("5")
        answer = acme.amend(event, data={"units": "3"})
        assert answer.status_code == 200
        shown = answer.json()
        assert (shown["id"], shown["status"], shown["data"]) == (event, "counts", {"units": "3"})
        assert [(each["kind"], each["data"]) for each in shown["history"]] == [
            ("stated", {"units": "5"}), ("amended", {"units": "3"}),
        ]  # fmt: skip
        assert shown["history"][1]["reason"] == "miscounted"
        assert acme.client.get(f"{EVENTS}/{event}").json() == shown
        first, back, anew = facts_of(acme.id)
        assert [row[0] for row in (first, back, anew)] == [1, -1, 1]
        assert {str(row[1]) for row in (first, back, anew)} == {event}
        assert (back[3], json.loads(anew[3])) == (first[3], {"units": "3"})

    def test_of_a_closed_period_gives_the_difference_in_the_next_cut(self, acme: Customer) -> None:
        event = acme.send("5", age=timedelta(days=40))
        start, end = now() - timedelta(days=41), now() - timedelta(days=30)
        one = cut_of(acme.id, end)
        acme.amend(event, data={"units": "3.25"})
        two = cut_of(acme.id, now())
        acme.amend(event, key="again", data={"units": "4"})
        three = cut_of(acme.id, now())
        assert acme.told(start, end, one) == [(Fraction(5), 1)]
        assert acme.told(start, end, two, one) == [(Fraction("-1.75"), 2)]
        assert acme.told(start, end, three, two) == [(Fraction("0.75"), 2)]
        assert acme.told(start, end, three) == [(Fraction(4), 5)]

    def test_moves_it_from_a_closed_period_to_an_open_one(self, acme: Customer) -> None:
        event = acme.send("5", age=timedelta(days=20))
        boundary = now() - timedelta(days=10)
        start, end = boundary - timedelta(days=30), now()
        one = cut_of(acme.id, boundary)
        acme.amend(event, occurred_at=(now() - timedelta(days=5)).isoformat())
        two = cut_of(acme.id, end)
        assert acme.told(start, boundary, two, one) == [(Fraction(-5), 1)]
        assert acme.told(boundary, end, two, one) == [(Fraction(5), 1)]

    def test_is_repeated_under_its_key(self, acme: Customer) -> None:
        event = acme.send("5")
        first, again = (acme.amend(event, data={"units": "3"}) for _ in range(2))
        assert (again.status_code, again.content) == (200, first.content)
        assert len(facts_of(acme.id)) == 3
        assert problem(acme.amend(event, data={"units": "4"}))[:2] == (422, "idempotency_key_reused")

    def test_with_what_it_says_already_changes_nothing(self, acme: Customer) -> None:
        event = acme.send("5")
        assert acme.amend(event, data={"units": "5"}).status_code == 200
        assert len(facts_of(acme.id)) == 1

    def test_leaves_the_id_taken_by_what_was_first_sent(self, acme: Customer) -> None:
        event = sent(acme.type)
        first = acme.client.post(EVENTS, event)
        acme.amend(first.json()["id"], data={"units": "3"})
        assert acme.client.post(EVENTS, event).content == first.content
        again = acme.client.post(EVENTS, {**event, "data": {"units": "3"}})
        assert problem(again)[:2] == (422, "event_id_reused")
        assert len(facts_of(acme.id)) == 3

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ({}, (400, "invalid_field", ["/data"])),
            ({"reason": None, "data": {"units": "1"}}, (400, "invalid_field", ["/reason"])),
            ({"data": {"units": 0.5}}, (400, "invalid_quantity", ["/data/units"])),
            ({"data": {}}, (400, "invalid_quantity", ["/data/units"])),
            ({"data": {"units": "-1"}}, (400, "invalid_quantity", ["/data/units"])),
            ({"occurred_at": "2026-01-01T00:00:00"}, (400, "naive_datetime", ["/occurred_at"])),
            ({"occurred_at": "2090-01-01T00:00:00Z"}, (400, "event_in_future", ["/occurred_at"])),
            ({"type": "x", "data": {"units": "1"}}, (400, "unknown_field", ["/type"])),
            ({"status": "void"}, (400, "read_only_field", ["/status"])),
        ],
    )
    def test_that_says_nothing_good_is_refused_and_leaves_nothing(
        self, acme: Customer, said: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        event = acme.send("5")
        assert problem(acme.amend(event, **said)) == expected
        assert len(facts_of(acme.id)) == 1

    def test_needs_an_idempotency_key(self, acme: Customer) -> None:
        event = acme.send("5")
        for verb, body in (("amend", {"reason": "r", "data": {"units": "1"}}), ("void", {"reason": "r"})):
            answer = acme.client.post(f"{EVENTS}/{event}/{verb}", body)
            assert problem(answer)[:2] == (400, "idempotency_key_required")
        assert len(facts_of(acme.id)) == 1


class TestVoiding:
    def test_takes_the_event_back_once(self, acme: Customer) -> None:
        event = acme.send("5")
        acme.amend(event, data={"units": "3"})
        shown = acme.void(event).json()
        assert (shown["status"], [each["kind"] for each in shown["history"]]) == (
            "void", ["stated", "amended", "void"],
        )  # fmt: skip
        assert acme.void(event, key="other").json() == shown
        assert [row[0] for row in facts_of(acme.id)] == [1, -1, 1, -1]
        assert acme.told(now() - timedelta(hours=1), now(), cut_of(acme.id, now())) == [(Fraction(0), 4)]

    def test_is_for_ever(self, acme: Customer) -> None:
        event = acme.send("5")
        acme.void(event)
        assert problem(acme.amend(event, data={"units": "1"}))[:2] == (409, "invalid_transition")
        assert len(facts_of(acme.id)) == 2

    @pytest.mark.parametrize("kind", ["max", "unique", "latest", "weighted_sum"])
    def test_of_a_closed_period_changes_what_is_no_sum_by_the_difference(self, kind: str) -> None:
        acme = Customer()
        given = {"unique_property": "units"} if kind == "unique" else {}
        acme.meter = make_meter(kind, event_type=acme.type, **given)
        acme.send("2", age=timedelta(days=20))
        large = acme.send("9", age=timedelta(days=15))
        start, end = now() - timedelta(days=20, minutes=1), now() - timedelta(days=10)
        one = cut_of(acme.id, end)
        acme.void(large)
        two = cut_of(acme.id, now())
        ((known, _),), ((more, _),) = acme.told(start, end, one), acme.told(start, end, two, one)
        ((left, records),) = acme.told(start, end, two)
        assert (known + more, records) == (left, 3)
        assert more < 0
        assert left == {"max": 2, "latest": 2, "unique": 1}.get(kind, left)


class TestABackfill:
    def make(self, acme: Customer) -> str:
        made = acme.client.post(BACKFILLS, {"name": "March", "reason": "the queue was lost"})
        assert made.status_code == 201
        identifier: str = made.json()["id"]
        return identifier

    def fill(self, acme: Customer, backfill: str, *units: str) -> list[dict[str, Any]]:
        at = (now() - timedelta(days=2)).isoformat()
        items = [sent(acme.type, data={"units": each}, occurred_at=at) for each in units]
        answer = acme.client.post(f"{BACKFILLS}/{backfill}/events", {"items": items})
        assert answer.status_code == 200
        return [result["body"] for result in answer.json()["results"]]

    def revert(self, acme: Customer, backfill: str, key: str = "r") -> Any:
        return acme.client.post(f"{BACKFILLS}/{backfill}/revert", {"reason": "sent twice"}, key=key)

    def test_takes_events_of_any_age_as_adjustments(self, acme: Customer) -> None:
        backfill = self.make(acme)
        events = self.fill(acme, backfill, "1", "2")
        assert {event["adjustment"] for event in events} == {True}
        shown = acme.client.get(f"{BACKFILLS}/{backfill}").json()
        assert (shown["status"], shown["events"], shown["counting"]) == ("open", 2, 2)
        assert acme.client.get(BACKFILLS).json() == {"data": [shown], "next_cursor": None}
        listed = acme.client.get(EVENTS, backfill=backfill).json()["data"]
        assert {event["backfill"] for event in listed} == {backfill}

    def test_is_taken_back_whole_and_once(self, acme: Customer) -> None:
        acme.send("7")
        backfill = self.make(acme)
        one, two, three = (event["id"] for event in self.fill(acme, backfill, "1", "2", "3"))
        acme.amend(one, data={"units": "10"})
        acme.void(two)
        before = cut_of(acme.id, now())
        shown = self.revert(acme, backfill).json()
        assert (shown["status"], shown["counting"], shown["revert_reason"]) == ("reverted", 0, "sent twice")
        assert self.revert(acme, backfill, key="another").json() == shown
        after = cut_of(acme.id, now())
        period = now() - timedelta(days=3), now()
        assert acme.told(*period, before) == [(Fraction(20), 7)]
        assert acme.told(*period, after, before) == [(Fraction(-13), 2)]
        states = [acme.client.get(f"{EVENTS}/{event}").json()["status"] for event in (one, two, three)]
        assert states == ["void"] * 3

    def test_takes_nothing_more_when_it_was_reverted(self, acme: Customer) -> None:
        backfill = self.make(acme)
        self.fill(acme, backfill, "1")
        self.revert(acme, backfill)
        answer = acme.client.post(f"{BACKFILLS}/{backfill}/events", {"items": [sent(acme.type)]})
        assert problem(answer)[:2] == (409, "invalid_transition")
        assert len(facts_of(acme.id)) == 2

    def test_is_made_once_under_a_key(self, acme: Customer) -> None:
        first, again = (acme.client.post(BACKFILLS, {"name": "n", "reason": "r"}, key="b") for _ in range(2))
        assert first.content == again.content
        assert len(acme.client.get(BACKFILLS).json()["data"]) == 1

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"reason": "r"}, (400, "invalid_field", ["/name"])),
            ({"name": "n"}, (400, "invalid_field", ["/reason"])),
            ({"name": "n\u0000", "reason": "r"}, (400, "invalid_text", ["/name"])),
            ({"name": "n", "reason": "r", "status": "open"}, (400, "read_only_field", ["/status"])),
            ({"name": "n", "reason": "r", "x": 1}, (400, "unknown_field", ["/x"])),
        ],
    )
    def test_says_what_it_is(
        self, acme: Customer, body: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        assert problem(acme.client.post(BACKFILLS, body)) == expected
        assert acme.client.get(BACKFILLS).json()["data"] == []


class TestWhoMayCorrect:
    @pytest.mark.parametrize(
        ("scopes", "role", "allowed"),
        [
            (("billing:write", "spend:read"), None, True),
            (("admin",), None, True),
            (("spend:write",), None, False),
            (("admin", "billing:write", "spend:read"), "owner", True),
            (("billing:write", "spend:read"), "billing_admin", True),
            (("admin", "spend:write"), "team_owner", False),
            (("spend:write",), "member", False),
        ],
    )
    def test_is_whoever_may_change_what_is_billed(
        self, acme: Customer, scopes: tuple[str, ...], role: str | None, allowed: bool
    ) -> None:
        event = acme.send("5")
        team = make_team(acme.id).key if role == "team_owner" else None
        member = None if role is None else str(make_member(acme.id, role, team=team).id)
        who = caller(acme.id, *scopes, member=member)
        answers = [
            who.post(f"{EVENTS}/{event}/amend", {"reason": "r", "data": {"units": "1"}}, key="1"),
            who.post(f"{EVENTS}/{event}/void", {"reason": "r"}, key="2"),
            who.post(BACKFILLS, {"name": "n", "reason": "r"}),
        ]
        expected = [200, 200, 201] if allowed else [403] * 3
        assert [answer.status_code for answer in answers] == expected
        assert len(facts_of(acme.id)) == (4 if allowed else 1)

    def test_is_the_platform_for_the_organization_that_it_names(self, acme: Customer) -> None:
        event = acme.send("5")
        assert platform().post(f"{EVENTS}/{event}/void", {"reason": "r"}, key="p").status_code == 200
        body = {"name": "n", "reason": "r", "organization": str(acme.id)}
        made = platform().post(BACKFILLS, body).json()
        assert made["organization"] == str(acme.id)
        revert = f"{BACKFILLS}/{made['id']}/revert"
        assert platform().post(revert, {"reason": "r"}, key="q").json()["status"] == "reverted"

    def test_what_another_organization_has_is_not_found(self, acme: Customer) -> None:
        event = acme.send("5")
        backfill = acme.client.post(BACKFILLS, {"name": "n", "reason": "r"}).json()["id"]
        other = caller(make_organization(), *SCOPES)
        for place in (event, backfill, str(new_id()), "x"):
            answers = [
                other.post(f"{EVENTS}/{place}/amend", {"reason": "r", "data": {"units": "1"}}, key="1"),
                other.post(f"{EVENTS}/{place}/void", {"reason": "r"}, key="2"),
                other.get(f"{BACKFILLS}/{place}"),
                other.post(f"{BACKFILLS}/{place}/events", {"items": [sent(unique_type())]}),
                other.post(f"{BACKFILLS}/{place}/revert", {"reason": "r"}, key="3"),
            ]
            assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "not_found")}
        assert len(facts_of(acme.id)) == 1
