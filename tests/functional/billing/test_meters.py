"""Meters through the API: what they may be, that what they count never changes, and who may make them."""

from typing import Any

import pytest

from orgs import PLATFORM_ID
from tests.builders.metering import unique_type
from tests.builders.orgs import caller, events_of, make_organization, platform, unique

PATH = "/v1/meters"
UNKNOWN = "01a21f15-a6d8-75f2-b4d6-447018e43b18"


def body(**given: Any) -> dict[str, Any]:
    return {
        "key": unique("meter"),
        "name": "Storage",
        "source": "events",
        "event_type": unique_type(),
        "aggregation": "sum",
        "value_property": "units",
        **given,
    }


def without(*names: str, **given: Any) -> dict[str, Any]:
    return {name: value for name, value in body(**given).items() if name not in names}


def meter_events() -> int:
    """How many events of meters there are."""
    return sum(event[0].startswith("meter.") for event in events_of(PLATFORM_ID))


def problem(answer: Any) -> tuple[int, str, list[str]]:
    found = answer.json()
    return answer.status_code, found["code"], [error["pointer"] for error in found.get("errors", ())]


class TestMakingAMeter:
    def test_answers_with_all_of_it(self) -> None:
        asked = body(
            description="Gigabytes",
            filters=[
                {"property": "region", "in": ["eu", "us"]},
                {"property": "tier", "equals": 2},
                {"property": "test", "exists": False},
            ],
            group_by=["region"],
        )
        made = platform().post(PATH, asked)
        assert made.status_code == 201
        shown = made.json()
        asked["filters"][1]["equals"] = "2"
        assert {name: shown[name] for name in asked} == asked
        assert (shown["unique_property"], shown["status"], shown["version"]) == (None, "active", 1)
        for name in (shown["id"], shown["key"]):
            assert platform().get(f"{PATH}/{name}").json() == shown
        reader = caller(make_organization(), "billing:read")
        assert reader.get(f"{PATH}/{shown['key']}").json() == shown
        assert reader.get(PATH, limit="1").json()["data"] == [shown]

    def test_is_repeated_under_its_key(self) -> None:
        asked = body()
        admin, before = platform(), meter_events()
        first, again = (admin.post(PATH, asked, key="meter-once") for _ in range(2))
        assert (again.status_code, again.content) == (201, first.content)
        assert meter_events() == before + 1

    def test_of_usage_counts_what_the_gate_records(self) -> None:
        asked = without("event_type", source="usage", value_property="tokens", group_by=["model", "tool"])
        assert platform().post(PATH, asked).status_code == 201

    @pytest.mark.parametrize("lookalike", [str, str.upper, lambda key: key.replace("l", "1")])
    def test_under_a_key_that_is_taken_is_a_conflict_for_ever(self, lookalike: Any) -> None:
        key = unique("label")
        platform().post(PATH, body(key=key))
        platform().post(f"{PATH}/{key}/archive")
        before = meter_events()
        assert problem(platform().post(PATH, body(key=lookalike(key)))) == (409, "name_conflict", ["/key"])
        assert meter_events() == before


class TestWhatAMeterMayNotBe:
    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"key": None}, (400, "invalid_field", ["/key"])),
            ({"key": "with space"}, (400, "invalid_field", ["/key"])),
            ({"name": "\u202e"}, (400, "invalid_text", ["/name"])),
            ({"name": "x" * 101}, (400, "invalid_field", ["/name"])),
            ({"source": "book"}, (400, "invalid_field", ["/source"])),
            ({"aggregation": "average"}, (400, "invalid_field", ["/aggregation"])),
            ({"event_type": None}, (400, "invalid_field", ["/event_type"])),
            ({"source": "usage"}, (400, "invalid_field", ["/event_type"])),
            ({"value_property": None}, (400, "invalid_field", ["/value_property"])),
            ({"aggregation": "count"}, (400, "invalid_field", ["/value_property"])),
            ({"aggregation": "unique", "value_property": None}, (400, "invalid_field", ["/unique_property"])),
            ({"unique_property": "disk"}, (400, "invalid_field", ["/unique_property"])),
            ({"filters": {}}, (400, "invalid_field", ["/filters"])),
            ({"filters": [1]}, (400, "invalid_field", ["/filters/0"])),
            ({"filters": [{"property": "a"}]}, (400, "invalid_field", ["/filters/0/equals"])),
            (
                {"filters": [{"property": "a", "equals": "b", "exists": True}]},
                (400, "invalid_field", ["/filters/0/equals"]),
            ),
            ({"filters": [{"property": "a", "in": []}]}, (400, "invalid_field", ["/filters/0/in"])),
            ({"filters": [{"property": "a", "in": [None]}]}, (400, "invalid_field", ["/filters/0/in/0"])),
            (
                {"filters": [{"property": "a", "equals": 0.5}]},
                (400, "invalid_quantity", ["/filters/0/equals"]),
            ),
            ({"filters": [{"property": "a", "exists": 1}]}, (400, "invalid_field", ["/filters/0/exists"])),
            ({"filters": [{"property": "a", "like": "b"}]}, (400, "unknown_field", ["/filters/0/like"])),
            ({"filters": [{"property": "a", "exists": True}] * 11}, (400, "invalid_field", ["/filters"])),
            ({"group_by": ["a", "a"]}, (400, "invalid_field", ["/group_by"])),
            ({"group_by": list("abcdef")}, (400, "invalid_field", ["/group_by"])),
            ({"status": "active"}, (400, "read_only_field", ["/status"])),
            ({"colour": "red"}, (400, "unknown_field", ["/colour"])),
        ],
    )
    def test_is_refused_by_name_and_leaves_nothing(
        self, change: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        before = meter_events()
        status, code, pointers = problem(platform().post(PATH, body(**change)))
        assert (status, code, pointers[: len(expected[2])]) == expected
        assert meter_events() == before

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"value_property": "price"}, "/value_property"),
            ({"group_by": ["model", "mood"]}, "/group_by/1"),
            ({"filters": [{"property": "mood", "exists": True}]}, "/filters/0/property"),
        ],
    )
    def test_of_usage_names_only_what_usage_records_have(self, change: dict[str, Any], pointer: str) -> None:
        asked = without("event_type", **{"source": "usage", "value_property": "tokens", **change})
        assert problem(platform().post(PATH, asked)) == (400, "invalid_field", [pointer])


class TestChangingAMeter:
    def test_gives_it_another_name_with_old_and_new(self) -> None:
        key = platform().post(PATH, body()).json()["key"]
        changed = platform().patch(f"{PATH}/{key}", {"name": "Disk", "description": "of all"}).json()
        assert (changed["name"], changed["description"], changed["version"]) == ("Disk", "of all", 2)
        kind, _, _, _, data = events_of(PLATFORM_ID)[-1]
        assert (kind, data["changed"]) == (
            "meter.changed", {"name": ["Storage", "Disk"], "description": [None, "of all"]}
        )  # fmt: skip
        assert platform().patch(f"{PATH}/{key}", {"name": "Disk"}).json()["version"] == 2

    @pytest.mark.parametrize(
        "field", ["key", "source", "aggregation", "event_type", "value_property", "filters", "group_by"]
    )
    def test_never_changes_what_it_counts(self, field: str) -> None:
        made = platform().post(PATH, body()).json()
        answer = platform().patch(f"{PATH}/{made['key']}", {field: made[field]})
        assert problem(answer) == (400, "read_only_field", [f"/{field}"])
        assert "make another meter" in answer.json()["detail"]
        assert platform().get(f"{PATH}/{made['key']}").json() == made

    def test_ends_with_its_archiving(self) -> None:
        key = platform().post(PATH, body()).json()["key"]
        ended = platform().post(f"{PATH}/{key}/archive").json()
        assert (ended["status"], ended["version"]) == ("archived", 2)
        assert platform().post(f"{PATH}/{key}/archive").json() == ended
        assert problem(platform().patch(f"{PATH}/{key}", {"name": "x"}))[:2] == (409, "invalid_transition")
        shown = platform().get(PATH, archived="false", limit="100").json()["data"]
        assert key not in [each["key"] for each in shown]


class TestWhoMayMakeThem:
    def test_is_the_platform_alone(self) -> None:
        made = platform().post(PATH, body()).json()
        for scopes in (("admin",), ("billing:write",)):
            customer = caller(make_organization(), *scopes)
            for answer in (
                customer.post(PATH, body()),
                customer.patch(f"{PATH}/{made['key']}", {"name": "Mine"}),
                customer.post(f"{PATH}/{made['key']}/archive"),
            ):
                assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert caller(make_organization(), "spend:read").get(PATH).status_code == 403

    @pytest.mark.parametrize(
        "name", ["nothing", "01a21f15-a6d8-75f2-b4d6-447018e43b18", "%00", "%EF%BC%91", "-1", "a;b"]
    )
    def test_an_unknown_one_is_not_found(self, name: str) -> None:
        for answer in (
            platform().get(f"{PATH}/{name}"),
            platform().patch(f"{PATH}/{name}", {"name": "x"}),
            platform().post(f"{PATH}/{name}/archive"),
            caller(make_organization(), "billing:read").get(
                f"{PATH}/{name}/quantities", **{"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}
            ),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
