"""Quantities from outside through the API: once for ever, in every form, strictly read, and what no meter is for."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from orgs.operations.organizations import close_organization
from tests.builders.billing import billed
from tests.builders.metering import facts_of, make_meter, now, sent, unique_type
from tests.builders.orgs import (
    AUTHOR,
    Caller,
    caller,
    http,
    make_agent,
    make_member,
    make_organization,
    platform,
    unique,
    write,
)
from tests.builders.subscribed import metered
from tests.builders.subscriptions import now_of, owner, sell, subscribe

PATH = "/v1/events"
BATCH = "/v1/events/batch"


@pytest.fixture
def customer() -> tuple[UUID, Caller]:
    organization = make_organization()
    return organization, caller(organization, "spend:write")


def problem(answer: Any) -> tuple[int, str, list[str]]:
    found = answer.json()
    return answer.status_code, found["code"], [error["pointer"] for error in found.get("errors", ())]


def raw(client: Caller, body: bytes, content_type: str, path: str = PATH) -> Any:
    headers = {"Authorization": f"Bearer {client.secret}"}
    return http().post(path, body, content_type=content_type, headers=headers)


def envelope(event: dict[str, Any], **given: Any) -> dict[str, Any]:
    plain = {name: value for name, value in event.items() if name != "occurred_at"}
    return {"specversion": "1.0", "time": event["occurred_at"], **plain, **given}


class TestAnEvent:
    def test_is_accepted_and_told_which_meters_count_it(self, customer: tuple[UUID, Caller]) -> None:
        organization, client = customer
        kind = unique_type()
        one, two = make_meter("sum", event_type=kind), make_meter("count", event_type=kind)
        make_meter("count", event_type=kind, filters=())
        event = sent(kind)
        answer = client.post(PATH, event)
        assert answer.status_code == 201
        shown = answer.json()
        assert {**shown, "meters": shown["meters"][:2]} == {
            "id": shown["id"],
            "source": "meter-tests",
            "external_id": event["id"],
            "type": kind,
            "occurred_at": event["occurred_at"].replace("+00:00", "Z"),
            "adjustment": False,
            "meters": [one.key, two.key],
            "unmatched": False,
        }
        (fact,) = facts_of(organization)
        assert (fact[0], str(fact[1]), fact[2], json.loads(fact[3])) == (1, shown["id"], None, event["data"])

    def test_that_no_meter_is_for_is_kept_and_says_so(self, customer: tuple[UUID, Caller]) -> None:
        organization, client = customer
        shown = client.post(PATH, sent(unique_type())).json()
        assert (shown["meters"], shown["unmatched"]) == ([], True)
        assert len(facts_of(organization)) == 1

    def test_sent_again_changes_nothing_and_has_the_same_answer(self, customer: tuple[UUID, Caller]) -> None:
        organization, client = customer
        kind = unique_type()
        event = sent(kind)
        first = client.post(PATH, event)
        make_meter("count", event_type=kind)  # what was said then is said again
        again = client.post(PATH, dict(reversed(event.items())))
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["Idempotent-Replayed"] == "true"
        in_envelope = client.post(PATH, envelope(event, traceparent="00-abc"))
        assert (in_envelope.status_code, in_envelope.content) == (201, first.content)
        assert len(facts_of(organization)) == 1

    @pytest.mark.parametrize(
        "change",
        [
            {"data": {"units": "2"}},
            {"type": "other"},
            {"subject": "s"},
            {"occurred_at": "2026-01-01T00:00:00Z"},
        ],
    )
    def test_with_an_id_that_told_otherwise_is_refused(
        self, customer: tuple[UUID, Caller], change: dict[str, Any]
    ) -> None:
        organization, client = customer
        event = sent(unique_type())
        client.post(PATH, event)
        assert problem(client.post(PATH, {**event, **change}))[:2] == (422, "event_id_reused")
        assert len(facts_of(organization)) == 1

    def test_of_another_source_or_organization_is_another(self, customer: tuple[UUID, Caller]) -> None:
        _, client = customer
        event = sent(unique_type())
        other = caller(make_organization(), "spend:write")
        answers = [
            client.post(PATH, event),
            client.post(PATH, {**event, "source": "b"}),
            other.post(PATH, event),
        ]
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 3

    @pytest.mark.parametrize(
        ("age", "adjustment"),
        [
            (timedelta(minutes=-4), False),
            (timedelta(days=34), False),
            (timedelta(days=40), True),
            (timedelta(days=3_000), True),
        ],
    )
    def test_that_is_old_counts_as_an_adjustment_with_its_own_time(
        self, customer: tuple[UUID, Caller], age: timedelta, adjustment: bool
    ) -> None:
        organization, client = customer
        at = (now() - age).isoformat()
        shown = client.post(PATH, sent(unique_type(), occurred_at=at)).json()
        assert (shown["adjustment"], shown["occurred_at"]) == (adjustment, at.replace("+00:00", "Z"))
        assert facts_of(organization)[0][4] is adjustment

    def test_of_a_period_that_is_on_an_invoice_is_an_adjustment_of_the_next(self) -> None:
        made = billed()
        counted, other = make_meter("sum"), make_meter("sum")
        kinds = [meter.definition.event_type or "" for meter in (counted, other)]
        who, api = owner(made.id), made.customer.api
        subscribe(who, sell(metered("use", meter=counted.key)))
        made.customer.pass_time(minutes=2)
        moment = (now_of(made.id) - timedelta(minutes=1)).isoformat()
        early = api.post(PATH, sent(kinds[0], occurred_at=moment)).json()
        made.pass_months()
        made.run()
        late = [api.post(PATH, sent(kind, occurred_at=moment)).json() for kind in kinds]
        today = (now_of(made.id) - timedelta(minutes=1)).isoformat()
        open_one = api.post(PATH, sent(kinds[0], occurred_at=today)).json()
        assert [one["adjustment"] for one in (early, *late, open_one)] == [False, True, False, False]
        assert late[0]["occurred_at"] == moment.replace("+00:00", "Z")
        voided = who.post(f"{PATH}/{early['id']}/void", {"reason": "oops"}, key=unique()).json()
        assert [said["adjustment"] for said in voided["history"]] == [False, True]
        moved = {"reason": "then", "occurred_at": moment}
        amended = who.post(f"{PATH}/{open_one['id']}/amend", moved, key=unique()).json()
        assert (amended["adjustment"], amended["occurred_at"]) == (True, late[0]["occurred_at"])
        made.assert_sound()

    def test_that_is_too_far_ahead_is_refused(self, customer: tuple[UUID, Caller]) -> None:
        organization, client = customer
        event = sent(unique_type(), occurred_at=(now() + timedelta(hours=1)).isoformat())
        assert problem(client.post(PATH, event)) == (400, "event_in_future", ["/occurred_at"])
        assert facts_of(organization) == []

    @pytest.mark.parametrize(
        ("data", "pointer"),
        [
            ({}, "/data/units"),
            ({"units": "one"}, "/data/units"),
            ({"units": "-1"}, "/data/units"),
            ({"units": -1}, "/data/units"),
            ({"units": True}, "/data/units"),
            ({"units": "1e3"}, "/data/units"),
            ({"units": "１０"}, "/data/units"),
            ({"units": "0.0000000000001"}, "/data/units"),
            ({"units": "123456789012"}, "/data/units"),
            ({"units": 123456789012}, "/data/units"),
        ],
    )
    def test_that_a_meter_is_for_and_cannot_count_is_refused(
        self, customer: tuple[UUID, Caller], data: dict[str, Any], pointer: str
    ) -> None:
        organization, client = customer
        meter = make_meter("sum")
        event = sent(meter.definition.event_type or "", data=data)
        assert problem(client.post(PATH, event)) == (400, "invalid_quantity", [pointer])
        assert facts_of(organization) == []

    def test_without_what_is_unique_is_refused(self, customer: tuple[UUID, Caller]) -> None:
        _, client = customer
        meter = make_meter("unique", unique_property="disk")
        event = sent(meter.definition.event_type or "")
        assert problem(client.post(PATH, event)) == (400, "invalid_field", ["/data/disk"])


class TestWhatAnEventMayNotBe:
    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"source": None}, (400, "invalid_field", ["/source"])),
            ({"source": 5}, (400, "invalid_field", ["/source"])),
            ({"id": ""}, (400, "invalid_field", ["/id"])),
            ({"id": "x" * 201}, (400, "invalid_field", ["/id"])),
            ({"id": "a\u200bb"}, (400, "invalid_text", ["/id"])),
            ({"type": None}, (400, "invalid_field", ["/type"])),
            ({"occurred_at": "2026-01-01T00:00:00"}, (400, "naive_datetime", ["/occurred_at"])),
            ({"occurred_at": "2026-02-29T00:00:00Z"}, (400, "invalid_datetime", ["/occurred_at"])),
            ({"occurred_at": "2026-01-01T00:00:60Z"}, (400, "invalid_datetime", ["/occurred_at"])),
            ({"occurred_at": 1_700_000_000}, (400, "invalid_datetime", ["/occurred_at"])),
            ({"data": []}, (400, "invalid_field", ["/data"])),
            ({"data": {"a": None}}, (400, "invalid_field", ["/data/a"])),
            ({"data": {"a": {"b": 1}}}, (400, "invalid_field", ["/data/a"])),
            ({"data": {"a": [1]}}, (400, "invalid_field", ["/data/a"])),
            ({"data": {"a": 0.5}}, (400, "invalid_quantity", ["/data/a"])),
            ({"data": {"a": 10**18}}, (400, "invalid_quantity", ["/data/a"])),
            ({"data": {"a": "x" * 501}}, (400, "invalid_field", ["/data/a"])),
            ({"data": {"x" * 41: 1}}, (400, "invalid_field", ["/data"])),
            ({"data": {str(n): n for n in range(51)}}, (400, "invalid_field", ["/data"])),
            ({"data": {"a": "b\u202e"}}, (400, "invalid_text", ["/data/a"])),
            ({"organization": "x"}, (400, "read_only_field", ["/organization"])),
            ({"amount": "1"}, (400, "unknown_field", ["/amount"])),
        ],
    )
    def test_is_refused_by_name_and_leaves_nothing(
        self, customer: tuple[UUID, Caller], change: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        organization, client = customer
        event = {**sent(unique_type()), **change}
        for _ in range(2):
            assert problem(client.post(PATH, event)) == expected
        assert facts_of(organization) == []

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "invalid_json"),
            (b"[]", "invalid_json"),
            (b"null", "invalid_json"),
            (b"\xef\xbb\xbf{}", "invalid_json"),
            (b"\xff", "invalid_json"),
            (b"{} x", "invalid_json"),
            (b'{"data": NaN}', "invalid_json"),
            (b"[" * 100_000, "invalid_json"),
            (b'{"id": "a", "id": "b"}', "duplicate_key"),
            (b'{"data": {"a": 1, "a": 2}}', "duplicate_key"),
            (b'{"id": "a\\u0000"}', "invalid_text"),
            (b'{"data": {"a\\u0000": 1}}', "invalid_text"),
            (b'{"id": "\\ud800"}', "invalid_text"),
        ],
    )
    @pytest.mark.parametrize(
        "content_type", ["application/json", "application/cloudevents+json; charset=utf-8"]
    )
    def test_in_its_bytes_is_refused_in_every_form(
        self, customer: tuple[UUID, Caller], body: bytes, code: str, content_type: str
    ) -> None:
        answer = raw(customer[1], body, content_type)
        assert (answer.status_code, answer.json()["code"]) == (400, code)

    @pytest.mark.parametrize(
        "content_type",
        [
            "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-7",
            "application/cloudevents+json; charset=utf-16", "application/cloudevents+xml",
        ],
    )  # fmt: skip
    def test_of_another_media_type(self, customer: tuple[UUID, Caller], content_type: str) -> None:
        answer = raw(customer[1], json.dumps(sent("x")).encode(), content_type)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")

    @pytest.mark.parametrize(
        "form", ["application/json", "application/cloudevents+json", "application/cloudevents-batch+json"]
    )
    def test_too_large(self, customer: tuple[UUID, Caller], form: str) -> None:
        answer = raw(customer[1], b" " * 2_000_000, form)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


class TestACloudEvent:
    def test_is_the_same_event_in_structured_mode(self, customer: tuple[UUID, Caller]) -> None:
        organization, client = customer
        event = sent(unique_type(), subject="disk-1")
        said = envelope(event, datacontenttype="application/json", dataschema="urn:x", myext=1)
        answer = raw(client, json.dumps(said).encode(), "application/cloudevents+json")
        assert answer.status_code == 201
        assert client.post(PATH, event).content == answer.content
        assert len(facts_of(organization)) == 1

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"specversion": "0.3"}, (400, "invalid_field", ["/specversion"])),
            ({"datacontenttype": "text/xml"}, (400, "invalid_field", ["/datacontenttype"])),
            ({"data_base64": "AA=="}, (400, "unknown_field", ["/data_base64"])),
            ({"Ext": "x"}, (400, "unknown_field", ["/Ext"])),
            ({"ext": {}}, (400, "unknown_field", ["/ext"])),
            ({"time": "yesterday"}, (400, "invalid_datetime", ["/time"])),
        ],
    )
    def test_is_read_strictly(
        self, customer: tuple[UUID, Caller], change: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        assert problem(customer[1].post(PATH, envelope(sent(unique_type()), **change))) == expected

    def test_comes_in_batches_of_its_own_media_type(self, customer: tuple[UUID, Caller]) -> None:
        organization, client = customer
        batch = [envelope(sent(unique_type())) for _ in range(3)]
        answer = raw(client, json.dumps(batch).encode(), "application/cloudevents-batch+json")
        assert answer.status_code == 200
        assert [result["status"] for result in answer.json()["results"]] == [201] * 3
        assert len(facts_of(organization)) == 3

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "invalid_json"), (b"{}", "invalid_json"), (b'[], "a": []', "invalid_json"),
            (b'[], "items": []', "duplicate_key"), (b"[]}, {", "invalid_json"), (b"[", "invalid_json"),
            (b"[]", "invalid_field"), (b"null", "invalid_json"),
        ],
    )  # fmt: skip
    def test_batch_is_an_array_and_nothing_else(
        self, customer: tuple[UUID, Caller], body: bytes, code: str
    ) -> None:
        answer = raw(customer[1], body, "application/cloudevents-batch+json")
        assert (answer.status_code, answer.json()["code"]) == (400, code)


class TestABatch:
    def test_answers_each_event_and_stops_for_none(self, customer: tuple[UUID, Caller]) -> None:
        organization, client = customer
        meter = make_meter("sum")
        kind = meter.definition.event_type or ""
        first, second = sent(kind), sent(kind)
        items: list[Any] = [
            first, {**first, "data": {"units": "9"}}, 5, first, {**sent(kind), "occurred_at": "x"},
            sent(kind, data={}), envelope(second), sent(unique_type()),
        ]  # fmt: skip
        results = client.post(BATCH, {"items": items}).json()["results"]
        assert [result["status"] for result in results] == [201, 422, 400, 201, 400, 400, 201, 201]
        assert results[0]["body"] == results[3]["body"]
        assert [results[place]["body"]["code"] for place in (1, 2, 4, 5)] == [
            "event_id_reused", "invalid_field", "invalid_datetime", "invalid_quantity",
        ]  # fmt: skip
        assert [result["body"]["unmatched"] for result in results if result["status"] == 201] == [
            False, False, False, True,
        ]  # fmt: skip
        assert len(facts_of(organization)) == 3

    @pytest.mark.parametrize("items", [None, [], {}, [{}] * 1_001])
    def test_has_one_to_a_thousand(self, customer: tuple[UUID, Caller], items: Any) -> None:
        answer = customer[1].post(BATCH, {"items": items})
        assert problem(answer) == (400, "invalid_field", ["/items"])

    def test_of_a_thousand_is_taken(self, customer: tuple[UUID, Caller]) -> None:
        organization, client = customer
        kind = unique_type()
        answer = client.post(BATCH, {"items": [sent(kind) for _ in range(1_000)]})
        assert {result["status"] for result in answer.json()["results"]} == {201}
        assert len(facts_of(organization)) == 1_000


class TestWhoMayReport:
    def test_is_a_key_with_spend_write(self) -> None:
        organization = make_organization()
        for scopes, expected in (
            (("spend:write",), 201),
            (("spend:read",), 403),
            (("admin",), 403),
            (("billing:write",), 403),
        ):
            assert caller(organization, *scopes).post(PATH, sent(unique_type())).status_code == expected

    def test_is_a_member_with_such_a_key(self) -> None:
        organization = make_organization()
        member = str(make_member(organization, "member").id)
        assert caller(organization, "spend:write", member=member).post(PATH, sent("x")).status_code == 201
        finance = str(make_member(organization, "billing_admin").id)
        assert caller(organization, "spend:write", member=finance).post(PATH, sent("x")).status_code == 403

    def test_is_no_key_for_some_agents(self) -> None:
        organization = make_organization()
        make_agent(organization)
        limited = caller(organization, "spend:write", agents=["research-bot"])
        for answer in (limited.post(PATH, sent("x")), limited.get(PATH)):
            assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")

    def test_is_nobody_of_a_closed_organization(self) -> None:
        organization = make_organization()
        client = caller(organization, "spend:write")
        write(lambda cur: close_organization(cur, organization=organization, author=AUTHOR))
        assert client.post(PATH, sent("x")).json()["code"] == "organization_closed"
        assert facts_of(organization) == []


class TestReading:
    def test_finds_events_by_what_names_them(self, customer: tuple[UUID, Caller]) -> None:
        _, client = customer
        kind = unique_type()
        events = [sent(kind, subject=str(n)) for n in range(3)]
        ids = [client.post(PATH, event).json()["id"] for event in events]
        shown = client.get(PATH, limit="2").json()
        assert [each["id"] for each in shown["data"]] == [ids[2], ids[1]]
        rest = client.get(PATH, limit="2", cursor=shown["next_cursor"]).json()
        assert [each["id"] for each in rest["data"]] == [ids[0]]
        named = client.get(PATH, source="meter-tests", external_id=events[1]["id"]).json()["data"]
        assert [each["id"] for each in named] == [ids[1]]
        assert client.get(PATH, type="nothing").json()["data"] == []
        one = client.get(f"{PATH}/{ids[0]}").json()
        assert (one["data"], one["status"], one["subject"]) == (events[0]["data"], "counts", "0")
        assert [(each["kind"], each["reason"]) for each in one["history"]] == [("stated", None)]

    @pytest.mark.parametrize("query", [{"colour": "red"}, {"from": "x"}, {"limit": "0"}, {"backfill": "x"}])
    def test_refuses_what_it_does_not_know(
        self, customer: tuple[UUID, Caller], query: dict[str, str]
    ) -> None:
        answer = customer[1].get(PATH, **query)
        assert (answer.status_code, answer.json()["code"]) in (
            (400, "unknown_parameter"),
            (400, "invalid_parameter"),
        )

    def test_another_organizations_event_is_not_found(self, customer: tuple[UUID, Caller]) -> None:
        theirs = caller(make_organization(), "spend:write").post(PATH, sent(unique_type())).json()["id"]
        answer = customer[1].get(f"{PATH}/{theirs}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert platform().get(f"{PATH}/{theirs}").json()["id"] == theirs
