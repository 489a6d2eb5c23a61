"""What the platform earned, with whom and by which agents; who may read it, and in which form (S107)."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from common.money import format_amount, parse_amount
from ledger.operations.organizations import NewOrganization, create_organization
from orgs.operations.clock import advance_clock_to
from payouts.operations.metrics.rebuilding import catch_up
from tests.builders.billing import billed
from tests.builders.books import balances
from tests.builders.gate import Customer, make_customer, make_model
from tests.builders.metrics import PATH, broken, metric, only, read_all
from tests.builders.orgs import (
    AUTHOR,
    Caller,
    caller,
    make_agent,
    make_connection,
    make_key,
    platform,
    unique,
    write,
)
from tests.builders.subscribed import fee
from tests.builders.subscriptions import owner, sell, subscribe

REPORTS = (
    "mrr", "movements", "retention", "cohorts", "revenue", "margins", "top-customers", "top-agents", "concentration",
    "run-rate",
)  # fmt: skip
FIRST = datetime(2027, 1, 10, 8, tzinfo=UTC)
TOKENS = {"input_tokens": 1_000_000, "output_tokens": 100_000}


def called(customer: Customer, model: str, **subject: str) -> None:
    """A call of 2.00 by its price, which is what it cost."""
    action = {"kind": "llm.chat", "provider": "acme", "model": model}
    reserved = customer.reserved("2", subject=subject, action=action)
    answer = customer.commit(reserved["id"], usage=TOKENS)
    assert answer.status_code == 200, answer.content


class TestRevenue:
    def test_of_a_month_is_what_the_journal_posted_in_it(self) -> None:
        made = billed(credit="50")
        made.use("10", "2.5")
        shown = only("revenue", made.id)
        said = balances(made.id)
        earned = said["revenue"] + said.get("breakage", 0)
        assert shown["gross_revenue"] == format_amount(earned)
        net = earned + said.get("promotional_expense", 0)
        assert shown["net_revenue"] == format_amount(net)
        assert parse_amount(shown["provider_cost"], allow_zero=True) == -said.get("provider_cost", 0)
        assert shown["margin"] == format_amount(net + said.get("provider_cost", 0))
        assert shown["take_rate"] is None
        assert broken(made.id) == []

    def test_as_of_a_day_leaves_out_the_later_days_of_its_month(self) -> None:
        made = make_customer("50")
        write(lambda cur: advance_clock_to(cur, organization=made.id, to=FIRST, author=AUTHOR))
        made.commit(made.reserved("3")["id"], "3")
        made.pass_time(days=4)
        made.commit(made.reserved("5")["id"], "5")
        day = FIRST.date()
        for as_of, expected in ((day, "3"), (day + timedelta(days=3), "3"), (day + timedelta(days=4), "8")):
            at = {"as_of": as_of.isoformat(), "to": f"{day:%Y-%m}", "from": f"{day:%Y-%m}"}
            assert only("revenue", made.id, **at)["gross_revenue"] == expected
            assert only("top-customers", made.id, **at)["gross_revenue"] == expected
            assert only("concentration", made.id, basis="revenue", **at)["total"] == expected
        assert broken(made.id) == []

    def test_of_months_that_are_read_again_is_counted_once(self) -> None:
        made = make_customer("20")
        made.commit(made.reserved("3")["id"], "3")
        first = metric("revenue", made.id)
        catch_up()
        assert metric("revenue", made.id) == first


class TestMargins:
    def test_come_by_pages_of_one_moment_and_whole_as_a_file(self) -> None:
        made = make_customer("100", agents=("a", "b", "c", "d"))
        model = make_model()
        for count, agent in enumerate(("a", "b", "c", "d"), 1):
            for _ in range(count):
                called(made, model, agent=agent)
        given = {"organization": str(made.id), "group_by": "agent", "limit": "3"}
        read_all()
        first = platform().get(f"{PATH}/margins", **given).json()
        made.pass_time(hours=1)
        called(made, model, agent="a")
        rest = platform().get(f"{PATH}/margins", **given, cursor=first["next_cursor"]).json()
        assert [row["key"] for row in (*first["data"], *rest["data"])] == ["d", "c", "b", "a"]
        assert (rest["next_cursor"], rest["as_of"]) == (None, first["as_of"])
        file = platform().get(f"{PATH}/margins.csv", organization=str(made.id), group_by="agent")
        assert len(list(csv.reader(io.StringIO(file.content.decode())))) == 5
        for query in ({"limit": "0"}, {"limit": "101"}, {"cursor": "x"}):
            assert platform().get(f"{PATH}/margins", **query).status_code == 400

    def test_by_agent_are_of_each_agent_alone_whatever_connections_it_used(self) -> None:
        made = make_customer("100", agents=("bot",))
        model = make_model()
        for connection in ("one", "two"):
            make_connection(made.id, connection)
            called(made, model, agent="bot", connection=connection)
        (row,) = metric("margins", made.id, group_by="agent")
        (whole,) = metric("margins", made.id, group_by="customer")
        assert (row["calls"], row["charge"], row["cost"]) == (2, whole["charge"], whole["cost"])

    def test_are_charge_less_cost_by_model_agent_and_customer(self) -> None:
        made = make_customer("100", agents=("bot", "scout"))
        model = make_model()
        for agent in ("bot", "bot", "scout"):
            called(made, model, agent=agent)
        rows = metric("margins", made.id, group_by="model")
        assert [(row["key"], row["provider"], row["calls"]) for row in rows] == [(model, "acme", 3)]
        (row,) = rows
        assert parse_amount(row["charge"]) - parse_amount(row["cost"], allow_zero=True) == _units(
            row["margin"]
        )
        by_agent = metric("margins", made.id, group_by="agent")
        assert [(row["key"], row["calls"]) for row in by_agent] == [("bot", 2), ("scout", 1)]
        (whole,) = metric("margins", made.id, group_by="customer")
        assert whole["charge"] == row["charge"]
        assert whole["organization"] == str(made.id)

    def test_leave_out_what_the_customers_own_key_paid_for(self) -> None:
        made = make_customer("100")
        model = make_model()
        own = make_connection(made.id, unique("own"), billing="own_key")
        called(made, model, connection=own.key)
        (row,) = metric("margins", made.id)
        assert (row["calls"], row["cost"]) == (1, "0")


class TestTheLargest:
    def test_customers_and_agents_come_first(self) -> None:
        made = make_customer("100", agents=("bot", "scout"))
        for agent, amount in (("bot", "2"), ("scout", "6")):
            reserved = made.reserved(amount, subject={"agent": agent})
            assert made.commit(reserved["id"], amount).status_code == 200
        rows = metric("top-agents", made.id)
        assert [(row["rank"], row["key"], row["charge"], row["share"]) for row in rows] == [
            (1, "scout", "6", "0.750000"), (2, "bot", "2", "0.250000"),
        ]  # fmt: skip
        assert [row["key"] for row in metric("top-agents", made.id, limit="1")] == ["scout"]
        customer = only("top-customers", made.id)
        assert (customer["rank"], customer["gross_revenue"], customer["share"]) == (1, "8", "1.000000")

    def test_say_how_much_stands_on_them(self) -> None:
        made = make_customer("0", funding="postpaid", credit_limit=None)
        subscribe(owner(made.id), sell(fee("30")))
        shown = only("concentration", made.id)
        assert (shown["customers"], shown["top_share"], shown["hhi"]) == (1, "1.000000", 10_000)
        assert metric("concentration", made.id, basis="revenue") == []


class TestUse:
    def test_of_28_whole_days_is_brought_to_a_month(self) -> None:
        made = make_customer("100")
        made.commit(made.reserved("28")["id"], "28")
        assert [row["charged"] for row in metric("run-rate", made.id)] in ([], ["0"])
        made.pass_time(days=1)
        shown = only("run-rate", made.id)
        assert (shown["charged"], shown["annual"]) == ("28", "365")
        assert shown["monthly"] == "30.41666667"
        assert only("mrr", made.id)["usage_run_rate"] == "30.41666667"
        made.pass_time(days=28)
        assert metric("run-rate", made.id) == []


class TestReports:
    @pytest.mark.parametrize("name", REPORTS)
    def test_are_the_platforms_alone(self, name: str) -> None:
        made = make_customer("1")
        for scopes in (("admin",), ("billing:read",), ("payouts:read", "audit:read")):
            for path in (f"{PATH}/{name}", f"{PATH}/{name}.csv"):
                assert caller(made.id, *scopes).get(path).status_code == 403
        assert Client().get(f"{PATH}/{name}").status_code == 401
        unknown = platform().get(f"{PATH}/{name}", organization="01900000-0000-7000-8000-00000000dead")
        assert unknown.status_code == 404

    @pytest.mark.parametrize("name", REPORTS)
    def test_are_the_same_as_files(self, name: str) -> None:
        made = named("=SUM(A1)")
        rows = metric(name, made)
        answer = platform().get(f"{PATH}/{name}.csv", organization=str(made))
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}.csv"'
        read = list(csv.DictReader(io.StringIO(answer.content.decode())))
        assert len(read) == len(rows)
        for row, shown in zip(read, rows, strict=True):
            assert row.keys() == shown.keys()
            assert {key: "" if value is None else _cell(value) for key, value in shown.items()} == row

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            pytest.param({"from": "2026-13"}, "invalid_parameter", id="no-month"),
            pytest.param({"from": "2026-05", "to": "2026-04"}, "invalid_period", id="upside-down"),
            pytest.param({"from": "1990-01"}, "invalid_period", id="too-long"),
            pytest.param({"from": "9000-01"}, "invalid_period", id="in-the-future"),
            pytest.param({"as_of": "yesterday"}, "invalid_parameter", id="no-day"),
            pytest.param({"as_of": "2026-03-01T00:00:00"}, "invalid_parameter", id="no-offset"),
            pytest.param({"currency": "dollars"}, "invalid_parameter", id="no-currency"),
            pytest.param({"colour": "red"}, "unknown_parameter", id="unknown"),
            pytest.param({"sandbox": "perhaps"}, "invalid_parameter", id="no-flag"),
        ],
    )
    def test_refuse_what_cannot_be_asked(self, given: dict[str, str], code: str) -> None:
        answer = platform().get(f"{PATH}/movements", **given)
        assert (answer.status_code, answer.json()["code"]) == (400, code)

    def test_refuse_more_ranks_than_there_are(self) -> None:
        for wrong in ("0", "101", "-1", "ten", "1e9"):
            assert platform().get(f"{PATH}/top-customers", limit=wrong).json()["code"] == "invalid_parameter"

    def test_never_mix_currencies_nor_sandboxes_with_customers(self) -> None:
        euros = make_customer("0", funding="postpaid", credit_limit=None, currency="EUR")
        price = {"prices": {"EUR": {"model": "flat", "amount": "7"}}}
        subscribe(owner(euros.id), sell({**fee("7"), **price}, currencies=["EUR"]))
        assert only("mrr", euros.id)["currency"] == "EUR"
        assert metric("mrr", euros.id, currency="USD") == []
        real = {row["currency"] for row in metric("mrr")}
        assert "EUR" not in real
        assert "EUR" in {row["currency"] for row in metric("mrr", sandbox="true")}


def named(name: str) -> UUID:
    """A customer of this name with a subscription and a call."""
    new = NewOrganization(name=name, sandbox=True)
    made = write(lambda cur: create_organization(cur, new, author=AUTHOR))
    make_agent(made, "bot", "Bot")
    customer = Customer(made, Caller(make_key(made, "spend:write", "spend:read").secret))
    customer.grant("50")
    customer.commit(customer.reserved("3")["id"], "3")
    customer.pass_time(days=1)
    subscribe(owner(made), sell(fee("30")))
    return made


def _units(text: str) -> int:
    return -parse_amount(text[1:]) if text.startswith("-") else parse_amount(text, allow_zero=True)


def _cell(value: Any) -> str:
    """As it stands in a file: what a spreadsheet would work out is a text there."""
    return f"'{value}" if str(value).startswith("=") else str(value)
