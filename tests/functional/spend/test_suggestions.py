"""Suggested limits (S68): histories made by hand against PostgreSQL's own percentile over the records."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from common.money import parse_amount
from events.store import Cursor
from tests.builders.orgs import caller, make_agent, make_connection, make_organization, write
from tests.builders.spend import Spender, spender, unique

BERLIN = "Europe/Berlin"


def units(text: str) -> int:
    return parse_amount(text, allow_zero=True)


def text_of(amount: int) -> str:
    return f"{amount // 10**8}.{amount % 10**8:08d}"


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


def suggestions(acme: Spender, **query: str) -> list[dict[str, Any]]:
    answer = acme.client.get("/v1/suggestions/limits", **query)
    assert answer.status_code == 200, answer.json()
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def of_bot(acme: Spender, **query: str) -> dict[str, Any]:
    (found,) = suggestions(acme, **{"scope": "agent", "target": "bot", "window": "day", **query})
    return found


def at_noon(days_ago: int, zone: str = "UTC") -> datetime:
    local = datetime.now(ZoneInfo(zone)).replace(hour=12, minute=0, second=0, microsecond=0)
    return (local - timedelta(days=days_ago)).astimezone(UTC)


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


class TestASuggestion:
    def test_is_the_percentile_of_ended_windows_times_the_headroom(self) -> None:
        acme = spender()
        for days, amount in ((1, "1"), (2, "3"), (3, "2"), (5, "4")):
            fact(acme, amount, at_noon(days))
        fact(acme, "99", datetime.now(UTC))
        found = of_bot(acme)
        assert [window["spent"] for window in found["windows"]] == ["4", "0", "2", "3", "1"]
        assert (found["window_count"], found["measured"], found["unrounded"]) == (5, "4", "4.8")
        assert (found["suggested_limit"], found["reason"], found["method"]) == ("4.8", None, "nearest_rank")
        middle = of_bot(acme, percentile="50", headroom="1.5")
        assert (middle["measured"], middle["suggested_limit"], middle["headroom"]) == ("2", "3", "1.50")

    @pytest.mark.parametrize("percent", ["1", "50", "80", "95", "100"])
    @pytest.mark.parametrize("window", ["day", "week", "month"])
    def test_is_what_the_database_works_out_from_the_records(
        self, history: Spender, window: str, percent: str
    ) -> None:
        found = of_bot(history, window=window, percentile=percent)
        expected, count = records_say(history.organization, window, int(percent))
        assert (units(found["measured"]), found["window_count"]) == (expected, count)
        if not expected:
            assert (found["suggested_limit"], found["reason"]) == (None, "nothing_spent")
            return
        assert units(found["unrounded"]) == -(-expected * 120 // 100)
        assert units(found["unrounded"]) <= units(found["suggested_limit"])
        assert units(found["suggested_limit"]) * 100 <= units(found["unrounded"]) * 101

    def test_has_the_organizations_calendar(self, history: Spender) -> None:
        found = of_bot(history)
        assert found["time_zone"] == BERLIN
        for window in found["windows"]:
            start = datetime.fromisoformat(window["start"]).astimezone(ZoneInfo(BERLIN))
            assert (start.hour, start.minute) == (0, 0)

    def test_needs_four_windows(self) -> None:
        acme = spender()
        assert of_bot(acme)["reason"] == "too_few_windows"
        for days in (1, 2, 3):
            fact(acme, "1", at_noon(days))
        found = of_bot(acme)
        assert (found["suggested_limit"], found["reason"]) == (None, "too_few_windows")
        assert (found["window_count"], found["apply"]) == (3, None)
        fact(acme, "1", at_noon(4))
        assert of_bot(acme)["suggested_limit"] == "1.2"

    def test_is_not_nothing(self) -> None:
        acme = spender()
        fact(acme, "1", at_noon(8))
        found = of_bot(acme, percentile="50")
        assert (found["measured"], found["suggested_limit"], found["reason"]) == ("0", None, "nothing_spent")

    def test_of_a_run_is_of_whole_root_runs(self) -> None:
        acme = spender()
        for number in range(1, 5):
            acme.call(str(number), subject={"run": f"r-{number}"})
        acme.call("6", subject={"run": "child", "parent_run": "r-1"})
        acme.reserve("50", subject={"run": "open"})
        (found,) = suggestions(acme, scope="run")
        assert {row["run"]: row["spent"] for row in found["windows"]} == {
            "r-1": "7",
            "r-2": "2",
            "r-3": "3",
            "r-4": "4",
        }
        assert (found["measured"], found["suggested_limit"], found["window"]) == ("7", "8.4", "run")
        assert found["apply"]["body"]["scope"] == "run"


class TestTheList:
    def test_has_every_agent_page_by_page(self, history: Spender) -> None:
        query = {"scope": "agent", "window": "day", "limit": "2"}
        first = history.client.get("/v1/suggestions/limits", **query).json()
        second = history.client.get("/v1/suggestions/limits", **query, cursor=first["next_cursor"]).json()
        assert [row["target"] for row in first["data"] + second["data"]] == ["bot", "crawler", "idle"]
        assert second["next_cursor"] is None
        assert first["data"][0] == of_bot(history)
        assert [row["reason"] for row in second["data"]] == ["too_few_windows"]

    def test_of_the_organization_adds_up_its_agents(self, history: Spender) -> None:
        (whole,) = suggestions(history, scope="organization", window="day")
        parts = suggestions(history, scope="agent", window="day")
        sums: dict[str, int] = {}
        for part in parts:
            for window in part["windows"]:
                sums[window["start"]] = sums.get(window["start"], 0) + units(window["spent"])
        assert {row["start"]: units(row["spent"]) for row in whole["windows"]} == sums
        assert (whole["target"], whole["target_id"]) == (None, None)


class TestThePresentBudget:
    def test_is_shown_and_gets_the_limit_where_it_is_the_targets_own(self, history: Spender) -> None:
        everyone = history.budget(scope="agent", window="day", limit="7")
        found = of_bot(history)
        assert found["apply"]["method"] == "POST"
        assert found["apply"]["body"] == {
            "scope": "agent", "target": "bot", "window": "day", "limit": found["suggested_limit"],
            "currency": "USD", "mode": "observe",
        }  # fmt: skip
        own = history.budget(scope="agent", target="bot", window="day", limit="9")
        monthly = history.budget(scope="agent", target="bot", window="month", limit="30")
        history.budget(scope="agent", target="crawler", limit="1")
        found = of_bot(history)
        assert found["budgets"] == [
            {"id": everyone["id"], "target": None, "window": "day", "limit": "7", "mode": "enforce"},
            {"id": own["id"], "target": "bot", "window": "day", "limit": "9", "mode": "enforce"},
            {"id": monthly["id"], "target": "bot", "window": "month", "limit": "30", "mode": "enforce"},
        ]
        assert found["apply"] == {
            "method": "PATCH",
            "path": f"/v1/budgets/{own['id']}",
            "body": {"limit": found["suggested_limit"]},
        }
        changed = history.client.patch(found["apply"]["path"], found["apply"]["body"])
        assert (changed.status_code, changed.json()["limit"]) == (200, found["suggested_limit"])


class TestBadQueries:
    @pytest.mark.parametrize(
        "query",
        [
            {},
            {"scope": "user", "window": "day"},
            {"scope": "agent"},
            {"scope": "agent", "window": "hour"},
            {"scope": "agent", "window": "run"},
            {"scope": "run", "window": "day"},
            {"scope": "run", "target": "r-1"},
            {"scope": "organization", "window": "day", "target": "acme"},
            *(
                {"scope": "agent", "window": "day", "percentile": text}
                for text in ("0", "101", "95.5", "-5", "+5", "０")
            ),
            *(
                {"scope": "agent", "window": "day", "headroom": text}
                for text in ("0.9", "10.01", "1e1", "1.234", "-2", "1,2", "NaN", "")
            ),
        ],
    )
    def test_are_refused(self, query: dict[str, str]) -> None:
        answer = caller(make_organization()).get("/v1/suggestions/limits", **query)
        assert problem(answer) == (400, "invalid_parameter")

    def test_with_an_unknown_parameter_too(self) -> None:
        query = {"scope": "agent", "window": "day", "colour": "red"}
        answer = caller(make_organization()).get("/v1/suggestions/limits", **query)
        assert problem(answer) == (400, "unknown_parameter")


class TestWhoSeesThem:
    def test_nobody_of_another_organization(self, history: Spender) -> None:
        stranger = caller(make_organization())
        bot = history.client.get("/v1/agents/bot").json()["id"]
        query = {"scope": "agent", "window": "day"}
        assert stranger.get("/v1/suggestions/limits", **query).json()["data"] == []
        for name in (bot, "ghost"):
            answer = stranger.get("/v1/suggestions/limits", **query, target=name)
            assert problem(answer) == (404, "not_found")

    def test_a_limited_key_of_its_own_alone(self, history: Spender) -> None:
        query = {"scope": "agent", "window": "day"}
        who = caller(history.organization, "spend:read", agents=["crawler"])
        (mine,) = who.get("/v1/suggestions/limits", **query).json()["data"]
        assert mine["target"] == "crawler"
        foreign = who.get("/v1/suggestions/limits", **query, target="bot")
        unknown = who.get("/v1/suggestions/limits", **query, target="ghost")
        assert problem(foreign) == problem(unknown) == (404, "not_found")
        for scope in ("organization", "connection", "run"):
            wide = {"scope": scope} if scope == "run" else {"scope": scope, "window": "day"}
            assert problem(who.get("/v1/suggestions/limits", **wide)) == (403, "not_permitted")
        make_connection(history.organization, "main", "Main")
        both = caller(history.organization, "spend:read", agents=["bot"], connections=["main"])
        assert problem(both.get("/v1/suggestions/limits", **query)) == (403, "not_permitted")

    def test_only_with_the_scope(self, history: Spender) -> None:
        who = caller(history.organization, "audit:read")
        assert problem(who.get("/v1/suggestions/limits", scope="run")) == (403, "forbidden")


@pytest.fixture(scope="module")
def history() -> Spender:
    """Two hundred days of two agents, with calls just before and after midnight in Berlin; a third agent is idle."""
    acme = spender("10000", time_zone=BERLIN)
    make_agent(acme.organization, "crawler", "Crawler")
    make_agent(acme.organization, "idle", "Idle")
    chance = random.Random(11)
    midnight = datetime.now(ZoneInfo(BERLIN)).replace(hour=0, minute=0, second=0, microsecond=0)
    for days in range(1, 200, 3):
        start = (midnight - timedelta(days=days)).astimezone(UTC)
        for minutes in (0, 5, 700, 1435):
            agent = chance.choice(("bot", "bot", "crawler"))
            at = start + timedelta(minutes=minutes - chance.choice((0, 10)))
            fact(acme, text_of(chance.randrange(1, 10**9)), at, agent=agent)
    return acme


def records_say(organization: UUID, window: str, percent: int) -> tuple[int, int]:
    """The same from the records: windows by PostgreSQL's calendar, empty ones between, its own percentile_disc."""
    most = {"day": 90, "week": 52, "month": 24}[window]

    def read(cur: Cursor) -> tuple[int, int]:
        cur.execute(
            f"""
            WITH spent AS (
                SELECT date_trunc('{window}', u.occurred_at AT TIME ZONE '{BERLIN}') AS w, sum(u.charge) AS s
                FROM usage_records u JOIN agents a ON a.id = u.agent_id
                WHERE u.organization = %(o)s AND a.key = 'bot' GROUP BY 1
            ), present AS (SELECT date_trunc('{window}', now() AT TIME ZONE '{BERLIN}') AS w),
            looked_at AS (
                SELECT * FROM spent WHERE w < (SELECT w FROM present)
                    AND w >= (SELECT w FROM present) - interval '{most} {window}s'
            ), windows AS (
                SELECT generate_series((SELECT min(w) FROM looked_at), (SELECT w FROM present) - interval '1 {window}',
                    interval '1 {window}') AS w
            )
            SELECT percentile_disc({percent / 100}) WITHIN GROUP (ORDER BY COALESCE(s, 0)), count(*)
            FROM windows LEFT JOIN looked_at USING (w)
            """,
            {"o": organization},
        )
        row = cur.fetchone()
        assert row is not None
        return int(row[0]), row[1]

    return write(read)
