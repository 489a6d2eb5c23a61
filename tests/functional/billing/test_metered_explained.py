"""A metered line explains itself: its records counted again by other code, and as CSV."""

import csv
import io
from typing import Any

import pytest

from tests.builders.billing import Billed, billed
from tests.builders.counted import charge, counts, plan
from tests.builders.metering import make_meter
from tests.builders.orgs import caller, make_organization, unique
from tests.builders.subscribed import fee
from tests.builders.subscriptions import acted, owner, subscribe


def metered_addresses(made: Billed) -> list[str]:
    """Of all metered lines, oldest first."""
    return [
        f"/v1/invoices/{each['id']}/lines/{line['number']}"
        for each in made.invoices()
        for line in made.lines(each["id"])
        if line["kind"] == "metered"
    ]


def explained(made: Billed, address: str) -> dict[str, Any]:
    answer = made.reader.get(f"{address}/explain")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def rows_of(made: Billed, address: str) -> list[dict[str, str]]:
    answer = made.reader.get(f"{address}/records.csv")
    assert answer.status_code == 200
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


class TestTheSecondCount:
    @pytest.mark.parametrize(
        ("aggregation", "given", "quantities"),
        [
            ("count", {}, ["1", "3"]),
            ("sum", {}, ["5", "13"]),
            ("max", {}, ["5", "3"]),
            ("latest", {}, ["5", "-3"]),
            ("unique", {"unique_property": "who"}, ["1", "1"]),
            ("weighted_sum", {}, [None, None]),
        ],
    )
    def test_agrees_in_both_parts_of_a_split_period(
        self, aggregation: str, given: dict[str, Any], quantities: list[str | None]
    ) -> None:
        made, meter = billed(), make_meter(aggregation, **given)
        who, (first, other) = owner(made.id), (plan(fee("1"), charge(meter)) for _ in range(2))
        sub = subscribe(who, first)
        counts(made, meter, "5", who="a")
        acted(who, sub, "change", {"plan": other.plan_key})
        made.run()
        for units, name in (("3", "a"), ("8", "b"), ("2", "b")):
            counts(made, meter, units, who=name)
        made.pass_months()
        made.run()
        shown = [explained(made, address) for address in metered_addresses(made)[:2]]
        assert [one["agrees"] for one in shown] == [True, True]
        assert [[group["quantity"] for group in one["counted"]] for one in shown] == [
            [each] for each in quantities
        ]
        assert [len(rows_of(made, address)) for address in metered_addresses(made)[:2]] == [1, 3]

    def test_is_by_group_and_knows_what_was_taken_back(self) -> None:
        made, meter = billed(), make_meter("sum", group_by=("region",))
        who = owner(made.id)
        subscribe(who, plan(charge(meter, group_by=["region"])))
        event = counts(made, meter, "5", region="eu")
        counts(made, meter, "7", region="=us")
        answer = who.post(
            f"/v1/events/{event}/amend", {"reason": "r", "data": {"units": "4", "region": "eu"}}, key=unique()
        )
        assert answer.status_code == 200
        made.pass_months()
        made.run()
        (address,) = metered_addresses(made)
        shown = explained(made, address)
        assert shown["agrees"] is True
        told = [(one["group"]["region"], one["quantity"], one["records"]) for one in shown["counted"]]
        assert told == [("=us", "7", 1), ("eu", "4", 3)]
        rows = rows_of(made, address)
        assert sorted((row["sign"], row["value"]) for row in rows) == [
            ("-1", "5"),
            ("1", "4"),
            ("1", "5"),
            ("1", "7"),
        ]
        assert {row["event"] for row in rows} >= {event}

    def test_is_nobody_elses(self) -> None:
        made, meter = billed(), make_meter("sum")
        subscribe(owner(made.id), plan(charge(meter)))
        counts(made, meter, "5")
        made.pass_months()
        made.run()
        (address,) = metered_addresses(made)
        other = caller(make_organization(), "billing:read")
        for what in ("explain", "records.csv"):
            assert other.get(f"{address}/{what}").status_code == 404
