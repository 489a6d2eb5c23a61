"""What metered use would have come to on other prices: the difference by customer and charge, and nothing moves."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.builders.billing import Billed, billed
from tests.builders.counted import charge, counts, plan
from tests.builders.metering import make_meter
from tests.builders.orgs import caller, platform
from tests.builders.subscribed import fee
from tests.builders.subscriptions import acted, now_of, owner, subscribe
from tests.invariants import Still

PATH = "/v1/what-if/re-rate-meters"
TWO = {"USD": {"model": "per_unit", "unit_price": "2"}}


def question(made: Billed, *charges: dict[str, Any], **given: Any) -> dict[str, Any]:
    """About all that a customer's clock has passed."""
    end = now_of(made.id)
    return {
        "from": (end - timedelta(days=300)).isoformat(), "to": end.isoformat(),
        "organizations": [str(made.id)], "charges": list(charges), **given,
    }  # fmt: skip


def tried(on: Any, prices: Any = TWO, **given: Any) -> dict[str, Any]:
    return {"plan": on.plan_key, "charge": "use", "prices": prices, **given}


@pytest.fixture(scope="module")
def used() -> tuple[Billed, Any]:
    """Fourteen units at a dollar, ten of them free, in a month that two plans share: 0, 1 and 3 dollars."""
    made, meter = billed(), make_meter("sum")
    who, (on, other) = owner(made.id), (plan(fee("1"), charge(meter)) for _ in range(2))
    sub = subscribe(who, on)
    counts(made, meter, "9")
    acted(who, sub, "change", {"plan": other.plan_key})
    counts(made, meter, "2")
    acted(who, sub, "change", {"plan": on.plan_key})
    counts(made, meter, "3")
    made.pass_months()
    made.run()
    return made, on


class TestOtherPricesOfMeters:
    def test_are_told_by_charge_and_nothing_moves(self, used: tuple[Billed, Any]) -> None:
        made, on = used
        body, who = question(made, tried(on)), platform()
        with Still(made.id):
            answer = who.post(PATH, body)
        assert answer.status_code == 200, answer.content
        found = {row["plan"]: row for row in answer.json()["data"]}
        told = found.pop(on.plan_key)
        assert (told["charge_key"], told["periods"], told["rerated"]) == ("use", 2, 2)
        assert (told["charge"], told["other_charge"], told["difference"]) == ("3", "6", "3")
        (left,) = found.values()
        assert (left["rerated"], left["charge"], left["difference"]) == (0, "1", "0")
        assert answer.json()["totals"] == [
            {"currency": "USD", "charge": "4", "other_charge": "7", "difference": "3"}
        ]

    def test_may_give_more_for_nothing(self, used: tuple[Billed, Any]) -> None:
        made, on = used
        answer = platform().post(PATH, question(made, tried(on, included="12")))
        told = next(row for row in answer.json()["data"] if row["plan"] == on.plan_key)
        assert (told["charge"], told["other_charge"]) == ("3", "4")

    def test_of_another_currency_are_not_this_customers(self, used: tuple[Billed, Any]) -> None:
        made, on = used
        answer = platform().post(PATH, question(made, tried(on, {"EUR": TWO["USD"]})))
        assert {row["rerated"] for row in answer.json()["data"]} == {0}
        assert answer.json()["totals"][0]["difference"] == "0"

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"charges": []}, (400, "invalid_field")),
            ({"charges": [{"plan": "x"}]}, (400, "invalid_field")),
            ({"organizations": ["01900000-0000-7000-8000-0000000000ff"]}, (404, "not_found")),
            ({"from": "2026-01-01T00:00:00"}, (400, "naive_datetime")),
            ({"to": "2020-01-01T00:00:00Z"}, (400, "invalid_period")),
            ({"prices": []}, (400, "unknown_field")),
        ],
    )
    def test_are_refused_where_the_question_is_wrong(
        self, used: tuple[Billed, Any], changes: dict[str, Any], expected: tuple[int, str]
    ) -> None:
        made, on = used
        answer = platform().post(PATH, question(made, tried(on), **changes))
        assert (answer.status_code, answer.json()["code"]) == expected

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"plan": "nobody-sells-it"}, (404, "not_found")),
            ({"prices": {"USD": {"model": "flat", "amount": "1"}}}, (400, "invalid_field")),
            ({"prices": {"usd": {"model": "per_unit", "unit_price": "1"}}}, (400, "invalid_currency")),
            ({"prices": {}}, (400, "invalid_field")),
            ({"included": "-1"}, (400, "invalid_quantity")),
        ],
    )
    def test_are_refused_for_a_charge_that_is_none(
        self, used: tuple[Billed, Any], given: dict[str, Any], expected: tuple[int, str]
    ) -> None:
        made, on = used
        answer = platform().post(PATH, question(made, {**tried(on), **given}))
        assert (answer.status_code, answer.json()["code"]) == expected
        twice = platform().post(PATH, question(made, tried(on), tried(on)))
        assert (twice.status_code, twice.json()["code"]) == (400, "invalid_field")

    def test_are_the_platforms_to_ask(self, used: tuple[Billed, Any]) -> None:
        made, on = used
        answer = caller(made.id, "admin").post(PATH, question(made, tried(on)))
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")

    def test_are_printed_by_the_command(self, used: tuple[Billed, Any], tmp_path: Path) -> None:
        made, on = used
        body = question(made, tried(on))
        file = tmp_path / "charges.json"
        file.write_text(json.dumps(body["charges"]))
        given: dict[str, Any] = {
            "start": body["from"], "end": body["to"], "charges": file, "organization": [str(made.id)],
        }  # fmt: skip
        lines, text = StringIO(), StringIO()
        call_command("rerate_meters", **given, json=True, stdout=lines)
        call_command("rerate_meters", **given, stdout=text)
        assert [json.loads(line) for line in lines.getvalue().splitlines()] == platform().post(
            PATH, body
        ).json()["data"]
        assert f"{on.plan_key}/use, 2 of 2 periods, 3 -> 6 USD" in text.getvalue()
        file.write_text("[")
        with pytest.raises(CommandError, match="--charges"):
            call_command("rerate_meters", **given)
