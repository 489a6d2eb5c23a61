"""What usage would have cost on other prices: the difference by customer and model, and nothing moves."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from spend.operations.prices.publish import publish_own_price, publish_tool_price
from spend.operations.prices.rates import enter_fx_rate, set_markup
from spend.queries.rerating import CustomerOfPeriod, differences, other_prices
from spend.rules.otherprices import OtherPrice
from tests.builders.gate import Customer, make_customer, make_model, usage_body
from tests.builders.orgs import caller, platform, unique, write
from tests.invariants import Still

START = datetime.now(UTC) - timedelta(days=20)
END = START + timedelta(days=19)
PATH = "/v1/what-if/re-rate"


def sold(**given: Any) -> str:
    """A model that has had its price since before the period."""
    return make_model(valid_from=START - timedelta(days=1), **given)


def used(customer: Customer, model: str, *, days: int = 1, **usage: Any) -> dict[str, Any]:
    """A call that was made so many days after the start."""
    body = usage_body(
        None,
        action={"kind": "llm.chat", "provider": "acme", "model": model},
        occurred_at=(START + timedelta(days=days)).isoformat(),
        usage=usage,
    )
    answer = customer.api.post("/v1/usage", body)
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def price(model: str, organization: Any = None, **components: Any) -> dict[str, Any]:
    """A price to try."""
    return {
        "provider": "acme",
        "model": model,
        "components": components,
        **({"organization": str(organization)} if organization else {}),
    }


def asked(customer: Customer, *prices: dict[str, Any], **given: Any) -> Any:
    """The answer to the question about one customer."""
    body = {
        "from": START.isoformat(), "to": END.isoformat(), "organizations": [str(customer.id)],
        "prices": list(prices), **given,
    }  # fmt: skip
    return platform().post(PATH, body)


def rows(answer: Any) -> list[dict[str, Any]]:
    """The rows of a good answer."""
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


class TestOtherPrices:
    def test_are_told_as_a_difference_by_model_and_nothing_moves(self) -> None:
        customer, model, other = make_customer("100"), sold(), sold()
        used(customer, model, input_tokens=1_000_000, output_tokens=100_000)
        used(customer, model, days=18, input_tokens=500_001, output_tokens=3)
        used(customer, other, input_tokens=1_000_000, output_tokens=0)
        used(customer, model, days=19, input_tokens=7_000_000, output_tokens=0)
        customer.use("3", occurred_at=(START + timedelta(days=2)).isoformat())
        who = platform()
        body = {
            "from": START.isoformat(), "to": END.isoformat(), "organizations": [str(customer.id)],
            "prices": [price(model, input="2", output="5")],
        }  # fmt: skip
        with Still(customer.id):
            answer = who.post(PATH, body)
        found = {row["model"]: row for row in rows(answer)}
        assert set(found) == {model, other, None}
        told = found[model]
        assert (told["records"], told["rerated"], told["unpriced"], told["unexplained"]) == (2, 2, 0, 0)
        assert (told["charge"], told["other_charge"]) == ("2.500031", "3.500017")
        assert (told["difference"], told["cost"], told["other_cost"]) == ("0.999986", "2.500031", "3.500017")
        for name in (other, None):
            assert (found[name]["rerated"], found[name]["difference"]) == (0, "0")
        (total,) = answer.json()["totals"]
        assert (total["currency"], total["difference"]) == ("USD", "0.999986")

    def test_that_are_those_of_today_make_no_difference(self) -> None:
        """Cached, long, spoken and seen tokens, tools, fees, markup and another currency: all of it comes out again."""
        customer = make_customer("100", currency="EUR")
        components: dict[str, Any] = {
            "input": {"amount": "3", "tiers": [[200_000, "6"]]}, "output": "15", "cache_read": "0.3",
            "cache_creation": "3.75", "cache_creation_1h": "6", "reasoning": "17", "audio_input": "40",
            "request": "0.0005", "image_output": "30",
        }  # fmt: skip
        model = sold(components=components)
        begin = START - timedelta(days=1)
        write(
            lambda cur: enter_fx_rate(
                cur, actor="t", base="USD", quote="EUR", rate="0.9137", valid_from=begin, markup_ppm=12_345
            )
        )
        write(
            lambda cur: set_markup(
                cur, actor="t", organization=customer.id, ppm=73_210, valid_from=begin, reason="test"
            )
        )
        tool = unique("tool")
        write(lambda cur: publish_tool_price(cur, actor="t", pattern=tool, amount="0.01", valid_from=begin))
        cached = {"cache_read_input_tokens": 77, "reasoning_output_tokens": 7}
        used(customer, model, input_tokens=300_001, output_tokens=913, **cached)
        stored = {"cache_creation_input_tokens": 9, "cache_creation_1h_input_tokens": 4}
        used(customer, model, input_tokens=1_301, output_tokens=1, tool_calls={tool: 3}, **stored)
        image = [{"component": "image_output", "quantity": "3"}]
        used(customer, model, input_tokens=5, output_tokens=9, components=image)
        (row,) = rows(asked(customer, price(model, **components)))
        assert (row["records"], row["rerated"], row["unexplained"]) == (3, 3, 0)
        assert (row["difference"], row["charge"]) == ("0", row["other_charge"])
        assert row["cost"] == row["other_cost"] != row["charge"]

    def test_of_the_book_leave_alone_whoever_has_an_own_price(self) -> None:
        customer, model = make_customer("100"), sold()
        write(
            lambda cur: publish_own_price(
                cur, actor="t", organization=customer.id, provider="acme", model=model,
                components={"input": "9", "output": "9"}, valid_from=START,
            )
        )  # fmt: skip
        used(customer, model, input_tokens=1_000_000, output_tokens=0)
        (row,) = rows(asked(customer, price(model, input="2", output="5")))
        assert (row["charge"], row["other_charge"], row["other_cost"]) == ("9", "9", "2")
        (row,) = rows(asked(customer, price(model, customer.id, input="4", output="4")))
        assert (row["charge"], row["other_charge"], row["difference"]) == ("9", "4", "-5")
        assert row["cost"] == row["other_cost"] == "1"

    def test_that_lack_what_was_used_leave_the_record_and_count_it(self) -> None:
        customer, model = make_customer("100"), sold()
        used(customer, model, input_tokens=1_000, output_tokens=10)
        (row,) = rows(asked(customer, price(model, input="2")))
        assert (row["rerated"], row["unpriced"], row["difference"]) == (0, 1, "0")

    def test_hold_for_their_own_time_only(self) -> None:
        customer, model = make_customer("100"), sold()
        for day in (1, 10):
            used(customer, model, days=day, input_tokens=1_000_000, output_tokens=0)
        late = {**price(model, input="2", output="5"), "valid_from": (START + timedelta(days=5)).isoformat()}
        (row,) = rows(asked(customer, late))
        assert (row["records"], row["rerated"], row["other_charge"]) == (2, 1, "3")

    def test_are_the_same_in_pieces_of_any_size(self) -> None:
        customer, model = make_customer("100"), sold()
        for _ in range(7):
            used(customer, model, input_tokens=101, output_tokens=3)
        tried = OtherPrice("acme", model, {"input": "2", "output": "5"})
        prices = write(lambda cur: other_prices(cur, [tried]))
        one = CustomerOfPeriod(customer.id, "Acme", "USD", timedelta(0))
        found = [differences(one, prices, start=START, end=END, at_once=size) for size in (1, 2, 3, 7, 8)]
        assert all(rows == found[0] for rows in found)
        assert (found[0][0].records, found[0][0].other_charge) == (7, 7 * (101 * 200 + 3 * 500))


def tool_used(customer: Customer, tool: str, *, calls: int = 3, **more: Any) -> None:
    """Calls of a tool alone, two days after the start."""
    body = usage_body(
        None,
        action={"kind": "tool.call", "tool": tool},
        occurred_at=(START + timedelta(days=2)).isoformat(),
        usage={"tool_calls": {tool: calls}, **more},
    )
    answer = customer.api.post("/v1/usage", body)
    assert answer.status_code == 201, answer.content


def priced_tool(pattern: str, amount: str, **given: Any) -> None:
    """A tool price that holds in the whole period."""
    begin = START - timedelta(days=1)
    write(
        lambda cur: publish_tool_price(
            cur, actor="t", pattern=pattern, amount=amount, valid_from=begin, **given
        )
    )


class TestOtherToolPrices:
    def test_are_told_by_tool_and_nothing_moves(self) -> None:
        customer, model, tool, other = make_customer("100"), sold(), unique("tool"), unique("tool")
        for name in (tool, other):
            priced_tool(name, "0.5")
            tool_used(customer, name)
        used(customer, model, input_tokens=1_000_000, output_tokens=0, tool_calls={tool: 2})
        with Still(customer.id):
            answer = asked(customer, tools=[{"pattern": tool, "amount": "0.7"}])
        found = {(row["model"], row["tool"]): row for row in rows(answer)}
        assert {name: row["difference"] for name, row in found.items()} == {
            (None, tool): "0.6", (None, other): "0", (model, None): "0.4",
        }  # fmt: skip
        assert [found[None, tool][name] for name in ("charge", "other_charge", "rerated")] == [
            "1.5",
            "2.1",
            1,
        ]
        assert answer.json()["totals"][0]["difference"] == "1"

    def test_change_together_with_those_of_the_model(self) -> None:
        customer, model, tool = make_customer("100"), sold(), unique("tool")
        priced_tool(tool, "0.5")
        used(customer, model, input_tokens=1_000_000, output_tokens=0, tool_calls={tool: 2})
        tools = [{"pattern": tool, "amount": "0.25"}]
        (row,) = rows(asked(customer, price(model, input="3", output="5"), tools=tools))
        assert (row["charge"], row["other_charge"]) == ("2", "3.5")

    def test_leave_alone_what_a_longer_pattern_prices(self) -> None:
        customer, stem = make_customer("100"), unique("tool")
        priced_tool(f"{stem}-a", "0.5")
        priced_tool(f"{stem}*", "0.1")
        for name in (f"{stem}-a", f"{stem}-b"):
            tool_used(customer, name)
        found = {
            row["tool"]: row["difference"]
            for row in rows(asked(customer, tools=[{"pattern": f"{stem}*", "amount": "0.2"}]))
        }
        assert found == {f"{stem}-a": "0", f"{stem}-b": "0.3"}

    def test_of_one_organization_change_its_charge_and_no_cost(self) -> None:
        customer, tool = make_customer("100"), unique("tool")
        priced_tool(tool, "0.5")
        tool_used(customer, tool)
        own = {"pattern": tool, "amount": "1", "organization": str(customer.id)}
        (row,) = rows(asked(customer, tools=[own]))
        assert (row["charge"], row["other_charge"]) == ("1.5", "3")
        assert row["cost"] == row["other_cost"] == "1.5"

    def test_by_what_was_not_measured_leave_the_record_and_count_it(self) -> None:
        customer, tool = make_customer("100"), unique("tool")
        priced_tool(tool, "0.5")
        tool_used(customer, tool)
        (row,) = rows(asked(customer, tools=[{"pattern": tool, "amount": "1", "unit": "second"}]))
        assert (row["unpriced"], row["rerated"], row["difference"]) == (1, 0, "0")

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"pattern": "a*b"}, (400, "invalid_field")),
            ({"pattern": ""}, (400, "invalid_field")),
            ({"amount": "-1"}, (400, "invalid_amount")),
            ({"amount": 1}, (400, "invalid_amount")),
            ({"unit": "day"}, (400, "invalid_field")),
            ({"per": 0}, (400, "invalid_field")),
            ({"organization": "01900000-0000-7000-8000-0000000000ff"}, (404, "not_found")),
            ({"model": "x"}, (400, "unknown_field")),
        ],
    )
    def test_that_are_none_are_refused(self, changes: dict[str, Any], expected: tuple[int, str]) -> None:
        customer, tool = make_customer("1"), {"pattern": "search", "amount": "1"}
        answer = asked(customer, tools=[{**tool, **changes}])
        assert (answer.status_code, answer.json()["code"]) == expected
        twice = asked(customer, tools=[tool, tool])
        assert (twice.status_code, twice.json()["code"]) == (400, "invalid_field")


class TestTheQuestion:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"prices": []}, (400, "invalid_field")),
            ({"prices": [{}]}, (400, "invalid_field")),
            ({"prices": "all"}, (400, "invalid_field")),
            ({"from": "2026-01-01T00:00:00"}, (400, "naive_datetime")),
            ({"to": START.isoformat()}, (400, "invalid_period")),
            ({"to": (START + timedelta(days=367)).isoformat()}, (400, "invalid_period")),
            ({"organizations": []}, (400, "invalid_field")),
            ({"organizations": ["x"]}, (400, "invalid_id")),
            ({"organizations": ["01900000-0000-7000-8000-0000000000ff"]}, (404, "not_found")),
            ({"months": 1}, (400, "unknown_field")),
        ],
    )
    def test_is_refused_where_it_is_wrong(self, changes: dict[str, Any], expected: tuple[int, str]) -> None:
        customer, model = make_customer("1"), sold()
        answer = asked(customer, price(model, input="1", output="1"), **changes)
        assert (answer.status_code, answer.json()["code"]) == expected

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"model": "nobody-knows-it"}, (422, "price_unknown")),
            ({"components": {}}, (400, "invalid_field")),
            ({"components": {"input": 1}}, (400, "invalid_amount")),
            ({"components": {"input": "-1"}}, (400, "invalid_amount")),
            ({"currency": "usd"}, (400, "invalid_currency")),
            ({"organization": "01900000-0000-7000-8000-0000000000ff"}, (404, "not_found")),
            ({"percent": "1"}, (400, "unknown_field")),
            ({"valid_from": END.isoformat(), "valid_to": START.isoformat()}, (400, "invalid_period")),
        ],
    )
    def test_is_refused_for_a_price_that_is_none(self, changes: Any, expected: tuple[int, str]) -> None:
        customer, model = make_customer("1"), sold()
        answer = asked(customer, {**price(model, input="1", output="1"), **changes})
        assert (answer.status_code, answer.json()["code"]) == expected
        twice = asked(customer, *[price(model, input="1", output="1")] * 2)
        assert (twice.status_code, twice.json()["code"]) == (400, "invalid_field")

    def test_is_the_platforms_alone(self) -> None:
        customer, model = make_customer("1"), sold()
        body = {
            "from": START.isoformat(),
            "to": END.isoformat(),
            "prices": [price(model, input="1", output="1")],
        }
        answer = caller(customer.id, "admin").post(PATH, body)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


class TestTheCommand:
    def test_prints_the_same_figures(self, tmp_path: Path) -> None:
        customer, model = make_customer("100"), sold()
        used(customer, model, input_tokens=1_000_000, output_tokens=0)
        file = tmp_path / "prices.json"
        file.write_text(json.dumps([price(model, input="2", output="5")]))
        given: dict[str, Any] = {
            "start": START.isoformat(), "end": END.isoformat(), "prices": file, "organization": [str(customer.id)],
        }  # fmt: skip
        lines, text = StringIO(), StringIO()
        with Still(customer.id):
            call_command("rerate", **given, json=True, stdout=lines)
            call_command("rerate", **given, stdout=text)
        assert [json.loads(line) for line in lines.getvalue().splitlines()] == rows(
            asked(customer, price(model, input="2", output="5"))
        )
        assert "1 of 1 records, 1 -> 2 USD" in text.getvalue()
        tools = tmp_path / "tools.json"
        tools.write_text(json.dumps([{"pattern": "never-used", "amount": "1"}]))
        call_command("rerate", **{**given, "prices": None, "tools": tools}, stdout=(other := StringIO()))
        assert "0 of 1 records, 1 -> 1 USD" in other.getvalue()
        file.write_text("[")
        with pytest.raises(CommandError, match="--prices"):
            call_command("rerate", **given)
