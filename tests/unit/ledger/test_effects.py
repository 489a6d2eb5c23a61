"""The ledger's part of an event, as its builders write it, and the chart of accounts."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from common.ids import new_id
from ledger.rules.chart import KINDS, LIVE, credit_limit
from ledger.rules.effects import entry, expanded, granted, placed, settled

CREDIT, REVENUE = str(new_id()), str(new_id())


def make(lines: list[list[object]], **given: object) -> dict[str, object]:
    return entry(kind="usage", key="k", source="s", lines=lines, currency="USD", **given)  # type: ignore[arg-type]


class TestAnEntry:
    def test_has_the_least_that_says_it(self) -> None:
        made = entry(kind="grant", key="k", source="s", lines=[[CREDIT, -5], [REVENUE, 5]], currency="USD")
        assert set(made) == {"id", "kind", "key", "source", "currency", "lines"}

    def test_of_usage_leaves_out_what_its_event_says(self) -> None:
        made = entry(lines=[[CREDIT, -5], [REVENUE, 5]], currency="USD")
        assert set(made) == {"id", "currency", "lines"}
        usage, stream = str(new_id()), new_id()
        for named, record in ((usage, usage), (None, str(stream))):
            (full,) = expanded(
                event_type="reservation.committed", stream_id=stream, part={"entries": [made]}, usage=named
            )["entries"]
            assert (full["kind"], full["key"]) == ("usage", f"committed:{stream}")
            assert full["source"] == f"usage_record:{record}"

    def test_says_why_what_it_reverses_and_when_it_is_in_effect(self) -> None:
        moment = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
        other = str(new_id())
        made = make([[CREDIT, -5], [REVENUE, 5]], reason="late", reverses=other, effective_at=moment)
        assert (made["reason"], made["reverses"]) == ("late", other)
        assert made["effective_at"] == "2026-01-02T01:00:00Z"

    @pytest.mark.parametrize(
        "lines", [[[CREDIT, -5], [REVENUE, 4]], [[CREDIT, 1]], [[CREDIT, 0], [REVENUE, 0]]]
    )
    def test_is_refused_unless_its_lines_sum_to_zero_and_none_is_zero(
        self, lines: list[list[object]]
    ) -> None:
        with pytest.raises(ValueError, match="L1"):
            make(lines)


class TestAHold:
    def test_is_placed_with_its_receipt(self) -> None:
        assert placed(hold="h", account=CREDIT, amount=5, source="reservation:1", grants=[["g", 5]]) == {
            "hold": "h", "account": CREDIT, "source": "reservation:1", "grants": [["g", 5]],
        }  # fmt: skip

    def test_has_an_amount_of_its_own_only_without_grants(self) -> None:
        line = placed(hold="h", account=CREDIT, amount=7, source="reservation:1", grants=[])
        assert line == {"hold": "h", "account": CREDIT, "amount": 7, "source": "reservation:1"}
        credit = placed(
            hold="h", account=CREDIT, amount=5, source="reservation:1", grants=[["g", 2], ["f", 3]]
        )
        full = expanded(
            event_type="reservation.reserved", stream_id=new_id(), part={"placed": [line, credit]}
        )
        assert [hold["amount"] for hold in full["placed"]] == [7, 5]

    def test_ends_with_what_it_frees(self) -> None:
        assert settled(hold="h", status="voided", account=CREDIT, amount=5, grants=[["g", 5]]) == {
            "hold": "h", "status": "voided", "account": CREDIT, "grants": [["g", 5]],
        }  # fmt: skip


def test_a_grant_says_everything_that_its_row_needs() -> None:
    grant, account, moment = new_id(), new_id(), datetime(2026, 1, 1, tzinfo=UTC)
    made = granted(
        grant=grant, account=account, kind="paid", currency="USD", amount=9, cost_basis=9, effective_at=moment,
        reason="r", source="s", repaid=4,
    )  # fmt: skip
    assert made == {
        "id": str(grant), "account": str(account), "kind": "paid", "currency": "USD", "priority": 0,
        "scope": "organization", "scope_target": None, "amount": 9, "repaid": 4, "cost_basis": 9,
        "effective_at": "2026-01-01T00:00:00Z", "expires_at": None, "reason": "r", "source": "s",
    }  # fmt: skip


class TestTheChart:
    def test_has_every_kind_once(self) -> None:
        assert len(set(KINDS)) == len(KINDS) == 22
        assert set(KINDS) >= LIVE

    def test_gives_room_below_zero_to_the_postpaid_line_only(self) -> None:
        assert credit_limit("unbilled_receivable", funding="postpaid", limit=500) == 500
        assert credit_limit("unbilled_receivable", funding="postpaid", limit=None) is None
        assert credit_limit("unbilled_receivable", funding="prepaid", limit=None) == 0
        assert credit_limit("customer_credit", funding="postpaid", limit=500) == 0
        assert credit_limit("revenue", funding="postpaid", limit=500) is None
