"""GET /v1/meters/{key}/quantities: what a period comes to, of events and of what the gate recorded."""

from datetime import timedelta
from fractions import Fraction
from hashlib import sha256
from typing import Any

import pytest

from billing.queries.metering import aggregate, records
from tests.builders.metering import cut_of, make_meter, now, sent
from tests.builders.orgs import caller, make_agent, make_organization, platform, unique, write
from tests.builders.spend import spender

HOUR = timedelta(hours=1)


def period(**given: str) -> dict[str, str]:
    return {"from": (now() - HOUR).isoformat(), "to": (now() + HOUR).isoformat(), **given}


def told(client: Any, meter: Any, **given: str) -> list[tuple[dict[str, Any], str, int]]:
    answer = client.get(f"/v1/meters/{meter.key}/quantities", **period(**given))
    assert answer.status_code == 200, answer.json()
    return [(row["group"], row["quantity"], row["records"]) for row in answer.json()["data"]]


class TestTheQuantitiesOfEvents:
    def test_are_told_group_by_group(self) -> None:
        organization = make_organization()
        meter = make_meter("sum", group_by=("region", "tier"), filters=())
        kind = meter.definition.event_type or ""
        client = caller(organization, "spend:write", "billing:read")
        for data in (
            {"units": "1.5", "region": "eu"}, {"units": 2, "region": "eu", "tier": 1},
            {"units": "0.000000000001", "region": "us"}, {"units": "4"},
        ):  # fmt: skip
            assert client.post("/v1/events", sent(kind, data=data)).status_code == 201
        assert told(client, meter) == [({}, "7.500000000001", 4)]
        assert told(client, meter, group_by="region") == [
            ({"region": None}, "4", 1), ({"region": "eu"}, "3.5", 2), ({"region": "us"}, "0.000000000001", 1),
        ]  # fmt: skip
        assert ({"region": "eu", "tier": "1"}, "2", 1) in told(client, meter, group_by="region,tier")

    def test_are_of_the_own_organization_alone(self) -> None:
        meter = make_meter("count")
        theirs = caller(make_organization(), "spend:write")
        theirs.post("/v1/events", sent(meter.definition.event_type or ""))
        assert told(caller(make_organization(), "billing:read"), meter) == []

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ({"from": None}, "invalid_parameter"), ({"to": None}, "invalid_parameter"),
            ({"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "invalid_period"),
            ({"from": "yesterday"}, "invalid_parameter"), ({"group_by": "mood"}, "invalid_parameter"),
            ({"group_by": "region,region"}, "invalid_parameter"), ({"limit": "5"}, "unknown_parameter"),
        ],
    )  # fmt: skip
    def test_are_refused_for_what_is_no_question(self, query: dict[str, Any], code: str) -> None:
        meter = make_meter("count", group_by=("region",))
        client = caller(make_organization(), "billing:read")
        asked = {name: value for name, value in period(**query).items() if value is not None}
        answer = client.get(f"/v1/meters/{meter.key}/quantities", **asked)
        assert (answer.status_code, answer.json()["code"]) == (400, code)

    def test_need_the_scope_and_a_key_that_is_for_all(self) -> None:
        meter, organization = make_meter("count"), make_organization()
        make_agent(organization)
        path = f"/v1/meters/{meter.key}/quantities"
        assert caller(organization, "spend:read").get(path, **period()).status_code == 403
        limited = caller(organization, "billing:read", agents=["research-bot"]).get(path, **period())
        assert limited.json()["code"] == "not_permitted"
        asked = period(organization=str(organization))
        assert platform().get(path, **asked).status_code == 200
        assert platform().get(path, **period()).json()["code"] == "invalid_parameter"


class TestTheQuantitiesOfUsage:
    def test_are_what_the_gate_recorded(self) -> None:
        acme = spender()
        acme.call("0.25", subject={"run": "r-1"})
        acme.call("1.5", subject={"run": "r-2"})
        client = caller(acme.organization, "billing:read")
        calls = make_meter("count", source="usage", group_by=("outcome",))
        charge = make_meter("sum", source="usage", value_property="charge", group_by=("agent",))
        runs = make_meter("unique", source="usage", unique_property="run")
        assert told(client, calls, group_by="outcome") == [({"outcome": "completed"}, "2", 2)]
        ((group, quantity, count),) = told(client, charge, group_by="agent")
        assert (quantity, count, set(group)) == ("1.75", 2, {"agent"})
        assert told(client, runs) == [({}, "2", 2)]

    def test_of_tool_calls_are_told_tool_by_tool(self) -> None:
        acme = spender()
        prefix = unique("tool")
        search, code = f"{prefix}-search", f"{prefix}-code"
        platform().post("/v1/tool-prices", {"pattern": f"{prefix}*", "amount": "0.01"})
        for tools in ({search: 3, code: 1}, {search: 2}):
            reservation = acme.reserve("0.5").json()["id"]
            body = {"outcome": "completed", "amount": "0.1", "usage": {"tool_calls": tools}}
            path = f"/v1/reservations/{reservation}/commit"
            assert acme.client.post(path, body, key=reservation).status_code == 200
        meter = make_meter("sum", source="usage", value_property="tool_calls", group_by=("tool",))
        client = caller(acme.organization, "billing:read")
        assert told(client, meter, group_by="tool") == [
            ({"tool": search}, "5", 2), ({"tool": code}, "1", 1),
        ]  # fmt: skip
        assert told(client, meter) == [({}, "6", 2)]


class TestTheRecordsBehindAQuantity:
    def test_are_those_of_its_digest_also_over_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("billing.queries.metering._RECORDS_AT_ONCE", 2)
        organization = make_organization()
        meter = make_meter("sum", group_by=("region",))
        client = caller(organization, "spend:write")
        for place in range(5):
            data = {"units": str(place), "region": "eu" if place % 2 else "us"}
            client.post("/v1/events", sent(meter.definition.event_type or "", data=data))
        start, end = now() - HOUR, now() + HOUR
        cut = cut_of(organization, end)

        def read(cur: Any) -> Any:
            found = aggregate(cur, organization, meter, start, end, cut, group_by=("region",))
            behind = [
                list(records(cur, organization, meter, start, end, cut, None, ("region",), one.group))
                for one in found
            ]
            return found, behind, list(records(cur, organization, meter, start, end, cut))

        found, behind, everything = write(read)
        assert [one.quantity for one in found] == [Fraction(4), Fraction(6)]
        for one, rows in zip(found, behind, strict=True):
            assert sum(row["value"] * row["sign"] for row in rows) == one.quantity
            assert sha256(b"".join(row["id"].bytes for row in rows)).digest() == one.digest
            assert {row["region"] for row in rows} == set(one.group)
        assert [row["value"] for row in everything] == [0, 1, 2, 3, 4]
