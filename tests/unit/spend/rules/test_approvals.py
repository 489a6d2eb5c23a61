"""Approvals: decided once, and only while it can have an effect."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.errors import InvalidTransition
from spend.rules.approvals import Approval, decided
from spend.rules.budgetfacts import Budget, read_terms
from spend.rules.budgetfacts import created as new_budget

ONE = UUID("01900000-0000-7000-8000-000000000001")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
END = datetime(2026, 11, 25, tzinfo=UTC)


def budget(**given: Any) -> Budget:
    terms = read_terms({"scope": "agent", "window": "day", "limit": "100", "currency": "USD", **given})
    made, _ = new_budget(
        terms, identifier=ONE, organization=ONE, target_id=None, target_label=None, time_zone="UTC", at=NOW
    )
    return made


def approval(**given: Any) -> Approval:
    values: dict[str, Any] = {
        "id": ONE, "organization": ONE, "budget_id": ONE, "counter": 7, "target": "a", "label": None,
        "window_start": NOW, "window_end": END, "armed": 1, "rank": 2, "percent": 80, "amount": None, "used": 80,
        "amount_limit": 100, "unit": "USD", "agent_id": ONE, "run_id": None, "status": "pending", "asked_at": NOW,
    }  # fmt: skip
    return Approval(**{**values, **given})


class TestADecision:
    @pytest.mark.parametrize(("decision", "status"), [("approve", "approved"), ("reject", "rejected")])
    def test_is_kept_with_the_whole_row_and_what_changed(self, decision: str, status: str) -> None:
        new, fact = decided(approval(), budget(), decision, by="key:1", reason="fine", at=NOW)
        assert (new.status, new.version, fact.verb, fact.stream_type) == (status, 2, status, "approval")
        assert fact.data["changed"] == {
            "status": ["pending", status],
            "decided_by": [None, "key:1"],
            "decided_at": [None, "2026-11-24T12:00:00Z"],
            "reason": [None, "fine"],
        }
        assert (fact.data["counter"], fact.data["armed"], fact.data["rank"]) == (7, 1, 2)

    @pytest.mark.parametrize(
        ("asked", "of", "at", "said"),
        [
            (approval(status="approved"), budget(), NOW, "approved already"),
            (approval(status="rejected"), budget(), NOW, "rejected already"),
            (approval(), budget(), END, "window is over"),
            (approval(), replace(budget(), arming=2), NOW, "changed since"),
            (approval(), replace(budget(), archived_at=NOW), NOW, "archived"),
        ],
    )
    @pytest.mark.parametrize("decision", ["approve", "reject"])
    def test_is_made_once_and_in_time_and_says_why_not(
        self, asked: Approval, of: Budget, at: datetime, said: str, decision: str
    ) -> None:
        with pytest.raises(InvalidTransition) as refused:
            decided(asked, of, decision, by="key:1", reason="fine", at=at)
        assert said in refused.value.detail

    def test_of_a_lifetime_has_no_end(self) -> None:
        new, _ = decided(
            approval(window_end=None), budget(window="lifetime"), "approve", by="k", reason="x", at=END
        )
        assert new.status == "approved"

    def test_of_a_rolling_budget_can_be_made_while_its_bucket_counts(self) -> None:
        rolling = budget(window="rolling", rolling_seconds=3600)
        asked = approval(window_end=NOW + timedelta(minutes=1))
        last = NOW + timedelta(minutes=61)
        decided(asked, rolling, "approve", by="k", reason="x", at=last - timedelta(microseconds=1))
        with pytest.raises(InvalidTransition):
            decided(asked, rolling, "approve", by="k", reason="x", at=last)
