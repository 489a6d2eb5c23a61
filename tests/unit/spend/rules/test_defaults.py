"""How a stated list of default policies is compared with the one that there is."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.errors import InvalidAmount, InvalidField, ProblemError
from spend.rules.budgetfacts import Budget, Terms, created, read_terms
from spend.rules.defaults import Settled, budget_counts, settle, stated_budgets, stated_limits

AT = datetime(2026, 3, 1, tzinfo=UTC)
DAY = {"window": "day", "limit": "5"}


def live(**values: Any) -> Budget:
    terms = read_terms({"scope": "agent", "currency": "USD", **DAY, **values})
    made, _ = created(
        terms, identifier=uuid4(), organization=UUID(int=1), target_id=None, target_label=None,
        time_zone=terms.time_zone or "UTC", at=AT,
    )  # fmt: skip
    return made


def settled(stated: list[dict[str, Any]], *budgets: Budget) -> Settled[Budget, Terms]:
    return settle(stated_budgets("agent", stated, currency="USD", time_zone="UTC"), budgets, budget_counts)


def test_one_that_counts_the_same_is_changed_and_stated_in_full() -> None:
    old = live(limit="9", overdraft="1", mode="off")
    ((stated, budget),) = settled([DAY], old).changes
    assert (stated.place, budget) == ("/agent/budgets/0", old)
    assert {name: stated.whole[name] for name in ("limit", "overdraft", "mode")} == {
        "limit": "5",
        "overdraft": "0",
        "mode": "enforce",
    }
    assert [level["percent"] for level in stated.whole["thresholds"]] == [50, 80, 100]


@pytest.mark.parametrize(
    "other",
    [
        {"window": "week"},
        {"measure": "cost"},
        {"time_zone": "Europe/Berlin"},
        {"window": "rolling", "rolling_seconds": 60},
    ],
)
def test_one_that_counts_something_else_is_made_and_the_old_one_ends(other: dict[str, Any]) -> None:
    old = live()
    found = settled([{**DAY, **other}], old)
    assert (found.changes, found.ended) == ([], [old])
    assert [(one.terms.scope, one.terms.unit, one.terms.limit) for one in found.made] == [
        ("agent", "USD", 500_000_000)
    ]


def test_two_that_count_the_same_are_two() -> None:
    first, second = live(), live(limit="9")
    found = settled([{**DAY, "limit": "1"}, {**DAY, "limit": "2"}, {**DAY, "limit": "3"}], first, second)
    assert [(budget, stated.whole["limit"]) for stated, budget in found.changes] == [
        (first, "1"),
        (second, "2"),
    ]
    assert [one.terms.limit for one in found.made] == [300_000_000]
    assert found.ended == []


def test_the_zone_that_is_named_and_the_organizations_are_one() -> None:
    assert settled([{**DAY, "time_zone": "UTC"}], live()).made == []


@pytest.mark.parametrize(
    ("wrong", "error", "pointer"),
    [
        ({"limit": "x"}, InvalidAmount, "/limit"),
        ({"unit": "TOKENS", "currency": "USD"}, InvalidField, "/unit"),
    ],
)
def test_what_is_wrong_is_named_by_its_place_in_the_body(
    wrong: dict[str, Any], error: type[ProblemError], pointer: str
) -> None:
    with pytest.raises(error) as refused:
        settled([DAY, {**DAY, **wrong}])
    assert [each.pointer for each in refused.value.errors] == [f"/agent/budgets/1{pointer}"]


def test_a_rate_limit_is_stated_in_full_and_known_by_what_it_counts() -> None:
    (one,) = stated_limits(
        "workflow", [{"unit": "requests", "limit": 60, "window": "minute", "behaviour": "reject"}]
    )
    assert (one.place, one.counts) == ("/workflow/rate_limits/0", ("requests", None, "minute", None))
    assert one.whole == {
        "limit": 60,
        "behaviour": "reject",
        "mode": "enforce",
        "burst": None,
        "escalate": None,
        "active_hours": None,
    }
