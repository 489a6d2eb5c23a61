"""Who spent what (S18, S19, S23, S24): sums that equal the organization's total to the last unit, at any time."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from time import monotonic
from typing import Any

import pytest

from common.money import parse_amount
from events.operations.advance import advance_subscriber
from events.store import Cursor
from tests.builders.orgs import caller, make_organization, write
from tests.builders.spend import Spender, spender, unique

DIMENSIONS = ("agent", "team", "workflow", "connection", "model", "provider", "user", "run", "tool")
READER = "spend.usage_daily_fine"


def attribution(acme: Spender, group_by: str, **query: str) -> dict[str, Any]:
    answer = acme.client.get("/v1/usage/attribution", group_by=group_by, **query)
    assert answer.status_code == 200, answer.json()
    shown: dict[str, Any] = answer.json()
    return shown


def parts(shown: dict[str, Any]) -> dict[str | None, str]:
    return {row["key"]: row["charge"] for row in (*shown["data"], shown["unattributed"])}


def total_of(shown: dict[str, Any]) -> int:
    rows = [*shown["data"], shown["unattributed"], *([shown["other"]] if shown["other"] else [])]
    return sum(units(row["charge"]) for row in rows)


def units(text: str) -> int:
    return parse_amount(text, allow_zero=True)


def fact(acme: Spender, amount: str, at: datetime, **subject: Any) -> None:
    body = {
        "source": "test",
        "id": unique(),
        "subject": {"agent": "bot", **subject},
        "amount": amount,
        "occurred_at": at.isoformat(),
    }
    answer = acme.client.post("/v1/usage", body, key=unique("u"))
    assert answer.status_code == 201, answer.json()


@pytest.fixture(scope="module")
def acme() -> Spender:
    """Ten calls of two agents with and without everything that a call can be attributed to."""
    acme = spender()
    client = acme.client
    client.post("/v1/teams", {"key": "research", "name": "Research"})
    client.post("/v1/agents", {"key": "teamed", "name": "Teamed", "team": "research"})
    client.post("/v1/workflows", {"key": "weekly", "name": "Weekly"})
    client.post("/v1/connections", {"key": "main", "name": "Main"})
    acme.call("1.00000001", subject={"workflow": "weekly", "connection": "main", "user": "u-1", "run": "r-1"})
    acme.call("2", subject={"user": "u-1", "run": "r-2"}, action={"kind": "tool", "tool": "search"})
    acme.call("0.5", subject={"agent": "teamed", "run": "r-2"})
    acme.call("0.25")
    return acme


class TestAttribution:
    @pytest.mark.parametrize("dimension", DIMENSIONS)
    def test_sums_to_the_organizations_total_with_the_unattributed_bucket(
        self, acme: Spender, dimension: str
    ) -> None:
        shown = attribution(acme, dimension)
        assert shown["total"]["charge"] == "3.75000001"
        assert shown["total"]["cost"] == "3.75000001"
        assert total_of(shown) == 375000001

    @pytest.mark.parametrize(
        ("dimension", "expected"),
        [
            ("agent", {"bot": "3.25000001", "teamed": "0.5", None: "0"}),
            ("team", {"research": "0.5", None: "3.25000001"}),
            ("workflow", {"weekly": "1.00000001", None: "2.75"}),
            ("connection", {"main": "1.00000001", None: "2.75"}),
            ("model", {None: "3.75000001"}),
            ("provider", {None: "3.75000001"}),
            ("user", {"u-1": "3.00000001", None: "0.75"}),
            ("run", {"r-1": "1.00000001", "r-2": "2.5", None: "0.25"}),
            ("tool", {"search": "2", None: "1.75000001"}),
        ],
    )
    def test_is_by_name_and_by_falling_charge(
        self, acme: Spender, dimension: str, expected: dict[str | None, str]
    ) -> None:
        shown = attribution(acme, dimension)
        assert parts(shown) == expected
        charges = [units(row["charge"]) for row in shown["data"]]
        assert charges == sorted(charges, reverse=True)

    def test_shows_the_shares_of_the_total(self, acme: Spender) -> None:
        shown = attribution(acme, "team")
        assert (shown["data"][0]["share"], shown["unattributed"]["share"]) == ("0.133333", "0.866667")

    @pytest.mark.parametrize("dimension", ["user", "run", "tool"])
    def test_is_the_same_before_and_after_the_reader_has_seen_the_records(self, dimension: str) -> None:
        acme = spender()
        acme.call("1", subject={"user": "u-1", "run": "r-1"}, action={"kind": "tool", "tool": "search"})
        before = attribution(acme, dimension)
        advance_subscriber(name=READER)
        assert attribution(acme, dimension) == before
        acme.call("2", subject={"user": "u-2", "run": "r-2"}, action={"kind": "tool", "tool": "mail"})
        assert total_of(attribution(acme, dimension)) == units("3")
        advance_subscriber(name=READER)
        advance_subscriber(name=READER)
        assert total_of(attribution(acme, dimension)) == units("3")

    def test_of_a_new_organization_is_all_zero(self) -> None:
        answer = caller(make_organization()).get("/v1/usage/attribution", group_by="agent").json()
        assert (answer["data"], answer["unattributed"]["charge"], answer["total"]["calls"]) == ([], "0", 0)

    def test_needs_a_dimension(self) -> None:
        client = caller(make_organization())
        for query in ({}, {"group_by": "colour"}, {"group_by": "agent", "to": "yesterday"}):
            answer = client.get("/v1/usage/attribution", **query)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


class TestAPeriod:
    def facts(self) -> tuple[Spender, datetime]:
        """One unit every 20 minutes over 50 hours, ended an hour ago, of growing amounts."""
        acme = spender()
        first = (datetime.now(UTC) - timedelta(hours=51)).replace(minute=10, second=0, microsecond=0)
        for number in range(0, 150, 7):
            fact(acme, f"0.{number + 1:03d}", first + timedelta(minutes=20 * number), user=f"u-{number % 2}")
        return acme, first

    @pytest.mark.parametrize("dimension", ["agent", "user"])
    def test_takes_any_edges_and_its_parts_sum_to_the_whole(self, dimension: str) -> None:
        acme, first = self.facts()
        advance_subscriber(name=READER)
        whole = total_of(attribution(acme, dimension))
        cuts = [first + timedelta(minutes=minutes) for minutes in (0, 1, 90, 671, 1440, 2000, 2001, 4000)]
        pieces = 0
        for start, end in pairwise(cuts):
            period = {"from": start.isoformat(), "to": end.isoformat()}
            pieces += total_of(attribution(acme, dimension, **period))
        assert pieces == whole
        assert whole == sum((number + 1) * 10**5 for number in range(0, 150, 7))

    def test_begins_before_it_ends(self) -> None:
        query = {"group_by": "agent", "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}
        answer = caller(make_organization()).get("/v1/usage/attribution", **query)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_period")


class TestTheReader:
    def finer(self, acme: Spender) -> list[tuple[Any, ...]]:
        def read(cur: Cursor) -> list[tuple[Any, ...]]:
            cur.execute(
                "SELECT dimension, value, calls, charge::bigint FROM usage_daily_fine WHERE organization = %s "
                "ORDER BY 1, 2",
                (acme.organization,),
            )
            return cur.fetchall()

        return write(read)

    def test_adds_each_record_once_to_every_dimension(self) -> None:
        acme = spender()
        acme.call("1", subject={"user": "u-1"})
        acme.call("0.5", subject={"user": "u-1"}, action={"kind": "tool", "tool": "search"})
        deadline = monotonic() + 10
        while not self.finer(acme) and monotonic() < deadline:
            advance_subscriber(name=READER)
        advance_subscriber(name=READER)
        assert self.finer(acme) == [
            ("run", "", 2, 150_000_000),
            ("tool", "", 1, 100_000_000),
            ("tool", "search", 1, 50_000_000),
            ("user", "u-1", 2, 150_000_000),
        ]


class TestMovedAgents:
    def test_leave_what_they_spent_with_the_team_of_the_time(self) -> None:
        acme = spender()
        for key in ("first", "second"):
            acme.client.post("/v1/teams", {"key": key, "name": key.title()})
        acme.client.patch("/v1/agents/bot", {"team": "first"})
        acme.call("1")
        acme.client.patch("/v1/agents/bot", {"team": "second"})
        acme.call("0.5")
        acme.client.post("/v1/teams/first/archive")
        assert parts(attribution(acme, "team")) == {"first": "1", "second": "0.5", None: "0"}


class TestUncappedTargets:
    def uncapped(self, acme: Spender) -> list[tuple[str, str | None, list[str]]]:
        rows = acme.client.get("/v1/reports/uncapped").json()["data"]
        return [(row["scope"], row["target"], row["covered_by"]) for row in rows]

    def test_are_all_that_no_budget_of_their_own_limits(self) -> None:
        acme = spender("0")
        assert self.uncapped(acme) == [
            ("agent", "bot", []),
            ("organization", None, []),
            ("run", None, []),
            ("user", None, []),
        ]
        acme.budget()
        assert self.uncapped(acme) == [
            ("agent", "bot", ["organization"]),
            ("run", None, ["organization"]),
            ("user", None, ["organization"]),
        ]
        acme.budget(scope="agent", target="bot")
        acme.budget(scope="run")
        acme.budget(scope="user", window="month")
        assert self.uncapped(acme) == []

    def test_are_not_capped_by_what_is_off_archived_or_counts_tokens(self) -> None:
        acme = spender("0")
        acme.budget(mode="off")
        archived = acme.budget()["id"]
        acme.client.post(f"/v1/budgets/{archived}/archive")
        acme.client.post("/v1/budgets", {"scope": "agent", "window": "day", "limit": "5", "unit": "TOKENS"})
        assert [scope for scope, _, _ in self.uncapped(acme)] == ["agent", "organization", "run", "user"]
