"""Usage records whose month left: what they added up to still holds, and a change of it is still found (S5, S7, E1)."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from msgspec.structs import replace

from events.rebuilding.run import rebuild
from events.verifying.run import verify
from spend.operations.gate.submit import submit
from spend.rules.commands import Action, Actual, RecordUsage, Subject
from tests.bench.lifecycle import Call
from tests.bench.population import Customer, make_customers, make_prices
from tests.integration.events.conftest import body_of
from tests.integration.events.test_retiring import retire, seal_all

Connection = psycopg.Connection[Any]
Connect = Callable[..., Connection]
FOR_EVER = date(2200, 1, 1)


class Shop:
    """Customers of this database, who spend."""

    def __init__(self) -> None:
        make_prices()
        self.customers: list[Customer] = make_customers(2)

    def spend(self) -> None:
        """Calls of every customer that are committed, and one that stays open."""
        calls = [Call.next(customer, "test") for customer in self.customers for _ in range(3)]
        ids = [UUID(body_of(each)["id"]) for each in submit([c.reserve() for c in calls])]
        done = list(zip(calls, ids, strict=True))[:-1]
        for answer in submit([call.commit(name) for call, name in done]):
            body_of(answer)


@pytest.fixture
def shop(connect: Connect) -> Shop:
    """Two customers that spent in this month, which then was retired; and spent on afterwards."""
    made = Shop()
    made.spend()
    seal_all()
    retired = dict(retire(FOR_EVER))
    assert retired[f"usage_records_{datetime.now(UTC):%Y_%m}"] == 5
    connect().execute("SELECT make_month(date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date)")
    made.spend()
    seal_all()
    return made


def findings() -> set[tuple[str, str]]:
    """Which checks complain, and what the violated invariants are."""
    return {(finding.table, finding.detail.split(":")[0]) for finding in verify().findings}


def test_everything_still_adds_up(shop: Shop, home: Path) -> None:
    assert verify().findings == []


def test_a_rebuild_makes_the_rollups_again(shop: Shop, home: Path) -> None:
    outcome = rebuild()
    assert outcome.differences == []
    assert outcome.tables["usage_hourly"] > 0


def test_a_checkpoint_from_before_is_not_built_upon(connect: Connect, home: Path) -> None:
    made = Shop()
    made.spend()
    assert rebuild(take_checkpoint=True).checkpoint is not None
    made.spend()  # what the checkpoint does not have leaves with the month
    seal_all()
    retire(FOR_EVER)
    outcome = rebuild(from_checkpoint=True)
    assert (outcome.from_checkpoint, outcome.differences) == (None, [])


@pytest.mark.parametrize(
    ("tampering", "expected"),
    [
        ("UPDATE usage_hourly SET charge = charge + 1", ("spend.rollups_equal_records", "S7")),
        ("UPDATE runs SET tokens = tokens + 1", ("spend.runs_used_their_records", "S7")),
        (
            "UPDATE reservations SET charged = charged + 1 WHERE status = 'committed'",
            ("spend.commits_and_records_sum_alike", "S5"),
        ),
        (
            "UPDATE reservations SET status = 'released' WHERE status = 'committed'",
            ("spend.commits_and_records_sum_alike", "S5"),
        ),
        (
            "UPDATE retired_usage_hourly SET charge = charge + 1",
            ("spend.retired_sums_equal_their_files", "S7"),
        ),
        ("UPDATE retired_usage_runs SET cost = cost + 1", ("spend.retired_sums_equal_their_files", "S7")),
        ("DELETE FROM retired_usage_commits", ("spend.retired_sums_equal_their_files", "S7")),
    ],
)
def test_what_is_changed_of_it_is_found(
    shop: Shop, superuser: Connection, home: Path, tampering: str, expected: tuple[str, str]
) -> None:
    superuser.execute(tampering.encode())
    assert expected in findings()


def test_a_rollup_that_was_changed_together_with_its_sum_is_found_by_the_file(
    shop: Shop, superuser: Connection, home: Path
) -> None:
    one = "WHERE organization = %s"
    for table in ("usage_hourly", "retired_usage_hourly"):
        superuser.execute(f"UPDATE {table} SET charge = charge + 1 {one}".encode(), (shop.customers[0].id,))
    assert {table for table, _ in findings()} >= {"spend.retired_sums_equal_their_files"}
    assert rebuild().differences == []


def test_a_fact_that_is_sent_again_is_neither_booked_twice_nor_refused_for_ever(
    connect: Connect, home: Path
) -> None:
    customer = Shop().customers[0]
    fact = RecordUsage(
        customer.id, customer.caller, None, "billing-export", "fact-1", b"p" * 16, Subject("bot"),
        Action("custom"), "completed", Actual(amount=7), datetime.now(UTC),
    )  # fmt: skip
    first = body_of(submit([fact])[0])
    seal_all()
    retire(FOR_EVER)
    connect().execute("SELECT make_month(date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date)")
    (again,) = submit([fact])
    assert (again.status, again.replayed, again.error) == (201, True, None)
    assert body_of(again)["id"] == first["id"]
    (other,) = submit([replace(fact, payload=b"q" * 16)])
    assert other.error is not None
    assert other.error.code == "usage_id_reused"
    seal_all()
    assert verify().findings == []
