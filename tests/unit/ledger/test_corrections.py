"""Credit that is taken back or given back: grants, debt and breakage always add up to it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.ids import new_id
from ledger.rules.corrections import Movement, as_effects, corrected_by, give_back, regrant, take
from ledger.rules.grants import Grant

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def make(remaining: int = 100, **given: Any) -> Grant:
    values: dict[str, Any] = {
        "id": new_id(),
        "kind": "paid",
        "priority": 0,
        "scope": "organization",
        "scope_target": None,
        "remaining": remaining,
        "held": 0,
        "effective_at": NOW - HOUR,
        "expires_at": None,
        "created_at": NOW - HOUR,
        **given,
    }
    return Grant(**values)


class TestTaking:
    def test_burns_what_is_free_in_the_given_order(self) -> None:
        first, second = make(50, held=20), make(50)
        assert take([first, second], 40) == Movement(burned=[(first.id, 30), (second.id, 10)])

    def test_makes_debt_of_the_rest(self) -> None:
        grant = make(50, held=20)
        assert take([grant], 100) == Movement(burned=[(grant.id, 30)], debt=70)

    def test_of_nothing_free_is_all_debt(self) -> None:
        assert take([make(50, held=50)], 5) == Movement(debt=5)


class TestANewGrant:
    def test_repays_debt_first(self) -> None:
        assert regrant(100, debt=30) == Movement(debt=-30, regranted=100, repaid=30)

    def test_may_be_used_up_by_debt(self) -> None:
        assert regrant(100, debt=130) == Movement(debt=-100, regranted=100, repaid=100)


class TestGivingBack:
    def back(self, amount: int, *grants: Grant, burned: list[int], owed: int = 0, debt: int = 0) -> Movement:
        receipt = [(grant.id, part) for grant, part in zip(grants, burned, strict=True)]
        known = {grant.id: grant for grant in grants}
        return give_back(amount, burned=receipt, owed=owed, debt=debt, grants=known, now=NOW)

    def test_goes_to_the_grants_that_it_was_burnt_from(self) -> None:
        first, second = make(0), make(60)
        moved = self.back(140, first, second, burned=[100, 40])
        assert moved == Movement(burned=[(first.id, -100), (second.id, -40)])

    def test_goes_to_a_grant_that_has_not_begun(self) -> None:
        grant = make(0, effective_at=NOW + HOUR)
        assert self.back(10, grant, burned=[10]) == Movement(burned=[(grant.id, -10)])

    def test_lifts_its_own_debt_first(self) -> None:
        grant = make(0)
        moved = self.back(130, grant, burned=[100], owed=30, debt=30)
        assert moved == Movement(burned=[(grant.id, -100)], debt=-30)

    def test_makes_a_new_grant_of_debt_that_was_repaid_meanwhile(self) -> None:
        grant = make(0)
        moved = self.back(130, grant, burned=[100], owed=30, debt=0)
        assert moved == Movement(burned=[(grant.id, -100)], regranted=30)

    def test_leaves_the_debt_of_others_alone(self) -> None:
        grant = make(0)
        assert self.back(100, grant, burned=[100], debt=55) == Movement(burned=[(grant.id, -100)])

    def test_is_lost_where_the_grant_has_expired(self) -> None:
        swept, unswept = make(0, expired_at=NOW), make(0, expires_at=NOW)
        assert self.back(30, swept, unswept, burned=[10, 20]) == Movement(lost=30)

    def test_takes_live_grants_first_when_the_receipt_holds_more_than_this_entry(self) -> None:
        expired, live = make(0, expired_at=NOW), make(0)
        moved = self.back(50, expired, live, burned=[30, 40])
        assert moved == Movement(burned=[(live.id, -40)], lost=10)


class TestWhatCorrectsAnEntry:
    @pytest.mark.parametrize(
        ("kind", "key", "account", "source", "is_reversed"),
        [
            ("usage", "committed:1", "revenue", "credit", True),
            ("usage", "committed:1", "revenue", "allowance", True),
            ("usage", "committed:1", "revenue", "commitment", False),
            ("usage", "committed:1", "unbilled_receivable", "credit", False),
            ("usage", "charged:1", "revenue", "credit", False),
            ("grant", "grant:1", "deferred_revenue", "credit", True),
            ("grant", "grant:1", "deferred_revenue", "commitment", False),
            ("correction", "1", "unbilled_receivable", "credit", True),
            ("give_back", "1", "revenue", "credit", False),
            ("commitment", "1", "breakage", "credit", False),
            ("allowance_return", "1", "promotional_expense", "credit", False),
            ("adjustment", "1", "promotional_expense", "credit", True),
        ],
    )
    def test_is_its_reversal_unless_records_or_documents_state_it(
        self, kind: str, key: str, account: str, source: str, *, is_reversed: bool
    ) -> None:
        found = corrected_by(kind=kind, key=key, accounts={account}, sources={source})
        assert (found is None) == is_reversed


class TestTheEffects:
    def test_are_as_events_hold_them(self) -> None:
        name, account = new_id(), new_id()
        moved = Movement(burned=[(name, -5)], debt=3)
        assert as_effects(moved, account=account) == {
            "burned": [[str(name), -5]],
            "debt": [[str(account), 3]],
        }

    def test_are_left_out_where_nothing_moves(self) -> None:
        assert as_effects(Movement(lost=5), account=new_id()) == {}


@given(
    st.lists(st.tuples(st.integers(1, 10**9), st.booleans()), max_size=5),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
)
def test_what_comes_back_is_fully_accounted_for(parts: list[tuple[int, bool]], owed: int, debt: int) -> None:
    receipt = [(make(0, expired_at=NOW if gone else None), amount) for amount, gone in parts]
    amount = sum(part for _, part in receipt) + owed
    moved = give_back(
        amount,
        burned=[(grant.id, part) for grant, part in receipt],
        owed=owed,
        debt=debt,
        grants={grant.id: grant for grant, _ in receipt},
        now=NOW,
    )
    returned = -sum(part for _, part in moved.burned)
    # L7: what grants gain, less what debt loses, and what breakage takes at once, is the credit that came back.
    assert returned + (moved.regranted - moved.repaid) - moved.debt + moved.lost == amount
    assert 0 <= -moved.debt <= debt
    assert moved.lost == sum(part for grant, part in receipt if grant.expired_at is not None)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=5), st.integers(1, 10**10))
def test_what_is_taken_is_fully_accounted_for(parts: list[tuple[int, int]], amount: int) -> None:
    grants = [make(free + held, held=held) for free, held in parts]
    moved = take(grants, amount)
    assert sum(part for _, part in moved.burned) + moved.debt == amount
    assert moved.debt == max(0, amount - sum(free for free, _ in parts))
