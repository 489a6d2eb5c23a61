"""Which grants a call burns, in which order, and how a receipt is settled."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.ids import new_id
from ledger.rules.grants import (
    SOURCES,
    Grant,
    GrantSubject,
    allocate,
    applies,
    available,
    broken_parts,
    burn_order,
    free_without_holds,
    in_burn_order,
    is_live,
    settle,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
TEAM, AGENT, WORKFLOW = new_id(), new_id(), new_id()
SUBJECT = GrantSubject(team=TEAM, agent=AGENT, workflow=WORKFLOW)


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


def order(*grants: Grant) -> list[Grant]:
    """The burn order, whichever way the grants come."""
    forward, backward = burn_order(grants, NOW, SUBJECT), burn_order(grants[::-1], NOW, SUBJECT)
    assert forward == backward == in_burn_order(grants)
    return forward


def credit(*parts: tuple[Grant, int]) -> list[list[Any]]:
    """A receipt over grants of credit."""
    return [["credit", grant.id, amount] for grant, amount in parts]


class TestTheBurnOrder:
    def test_is_allowance_then_commitment_then_credit_before_everything_else(self) -> None:
        bought = make(
            priority=-9, kind="promotional", scope="agent", scope_target=AGENT, expires_at=NOW + TICK
        )
        committed = make(priority=5, source="commitment", kind="committed")
        allowed = make(priority=9, source="allowance", kind="included")
        assert order(bought, committed, allowed) == [allowed, committed, bought]

    def test_within_a_source_is_that_of_credit(self) -> None:
        wide, narrow = (
            make(source="allowance", scope=scope, scope_target=target)
            for scope, target in (("organization", None), ("team", TEAM))
        )
        assert order(wide, narrow) == [narrow, wide]

    def test_takes_what_is_owed_like_what_is_paid(self) -> None:
        paid, owed = make(created_at=NOW - 2 * HOUR), make(kind="committed")
        assert order(owed, paid) == [paid, owed]

    def test_is_by_scope_before_everything_else(self) -> None:
        wide = make(priority=-5, kind="included", expires_at=NOW + HOUR)
        team = make(priority=5, scope="team", scope_target=TEAM)
        agent = make(priority=9, scope="agent", scope_target=AGENT)
        assert order(wide, team, agent) == [agent, team, wide]

    def test_takes_agent_and_workflow_for_equally_narrow(self) -> None:
        workflow = make(priority=1, scope="workflow", scope_target=WORKFLOW)
        agent = make(priority=2, scope="agent", scope_target=AGENT)
        assert order(agent, workflow) == [workflow, agent]

    def test_is_by_priority_before_kind(self) -> None:
        promotional, paid = make(kind="promotional", priority=1), make(priority=0)
        assert order(promotional, paid) == [paid, promotional]

    def test_takes_included_before_promotional_before_paid(self) -> None:
        paid, promotional, included = (make(kind=kind) for kind in ("paid", "promotional", "included"))
        assert order(paid, promotional, included) == [included, promotional, paid]

    def test_is_by_kind_before_expiry(self) -> None:
        promotional, paid = make(kind="promotional"), make(expires_at=NOW + HOUR)
        assert order(promotional, paid) == [promotional, paid]

    def test_takes_what_expires_first_and_what_never_does_last(self) -> None:
        never, late, soon = make(), make(expires_at=NOW + 2 * HOUR), make(expires_at=NOW + HOUR)
        assert order(never, late, soon) == [soon, late, never]

    def test_takes_the_oldest_of_equals(self) -> None:
        young, old = make(), make(created_at=NOW - 2 * HOUR)
        assert order(young, old) == [old, young]

    def test_is_the_same_for_grants_that_differ_in_nothing_but_their_id(self) -> None:
        first, second = sorted((make(), make()), key=lambda grant: grant.id)
        assert order(second, first) == [first, second]


class TestAGrant:
    def test_begins_with_its_first_moment_and_ends_before_its_last(self) -> None:
        grant = make(effective_at=NOW, expires_at=NOW + HOUR)
        assert not is_live(grant, NOW - TICK)
        assert is_live(grant, NOW)
        assert is_live(grant, NOW + HOUR - TICK)
        assert not is_live(grant, NOW + HOUR)

    def test_without_an_end_lives_for_ever(self) -> None:
        assert is_live(make(), NOW + timedelta(days=36_500))

    @pytest.mark.parametrize(("scope", "target"), [("team", TEAM), ("agent", AGENT), ("workflow", WORKFLOW)])
    def test_covers_its_own_target_only(self, scope: str, target: UUID) -> None:
        assert applies(make(scope=scope, scope_target=target), SUBJECT)
        assert not applies(make(scope=scope, scope_target=new_id()), SUBJECT)
        assert not applies(make(scope=scope, scope_target=target), GrantSubject())

    def test_without_a_target_covers_nobody(self) -> None:
        assert not applies(make(scope="team"), GrantSubject())

    def test_of_the_organization_covers_everybody(self) -> None:
        assert applies(make(), GrantSubject())


class TestAvailable:
    def test_counts_live_grants_of_every_scope_less_holds_and_debt(self) -> None:
        grants = [make(100, held=30), make(50, scope="team", scope_target=new_id())]
        assert available(grants, 20, NOW) == 100

    def test_does_not_count_what_has_not_begun_or_has_ended_unswept(self) -> None:
        grants = [make(100, effective_at=NOW + TICK), make(100, expires_at=NOW)]
        assert available(grants, 0, NOW) == 0

    def test_is_negative_in_debt(self) -> None:
        assert available([], 7, NOW) == -7

    def test_without_holds_is_what_the_subject_could_take_at_most(self) -> None:
        grants = [make(100, held=100), make(50, scope="team", scope_target=new_id())]
        assert free_without_holds(grants, NOW, SUBJECT, debt=10) == 90
        assert free_without_holds(grants, NOW, SUBJECT, debt=200) == 0


class TestAllocating:
    def test_takes_grants_in_burn_order_and_leaves_them_alone(self) -> None:
        first, second = make(60, kind="promotional"), make(100)
        assert allocate([second, first], 100, NOW, SUBJECT) == (credit((first, 60), (second, 40)), 0)
        assert (first.held, second.held) == (0, 0)

    def test_takes_only_what_is_not_held(self) -> None:
        first, second = make(60, kind="promotional", held=50), make(100)
        assert allocate([first, second], 30, NOW, SUBJECT) == (credit((first, 10), (second, 20)), 0)

    def test_says_what_is_missing(self) -> None:
        grant = make(60)
        assert allocate([grant], 61, NOW, SUBJECT) == (credit((grant, 60)), 1)
        assert allocate([], 61, NOW, SUBJECT) == ([], 61)

    def test_does_not_take_a_grant_of_others_or_of_another_time(self) -> None:
        grants = [
            make(100, scope="agent", scope_target=new_id()),
            make(100, expires_at=NOW),
            make(100, effective_at=NOW + TICK),
        ]
        assert allocate(grants, 5, NOW, SUBJECT) == ([], 5)

    def test_leaves_alone_what_a_debt_will_take(self) -> None:
        first, second = make(60, kind="promotional"), make(100)
        assert allocate([first, second], 100, NOW, SUBJECT, debt=70) == (credit((second, 90)), 10)

    def test_skips_an_empty_grant(self) -> None:
        empty, full = make(10, held=10, kind="promotional"), make(10)
        assert allocate([empty, full], 10, NOW, SUBJECT) == (credit((full, 10)), 0)


class TestBreaking:
    @pytest.mark.parametrize(
        ("remaining", "amount", "parts"),
        [(100, 100, (70, 30)), (100, 60, (60, 0)), (40, 40, (10, 30)), (40, 15, (10, 5)), (20, 20, (0, 20))],
    )
    def test_what_was_paid_for_is_used_first_and_the_gift_is_left_at_last(
        self, remaining: int, amount: int, parts: tuple[int, int]
    ) -> None:
        assert broken_parts(make(remaining, gift=30), amount) == parts

    def test_of_a_grant_without_a_gift_is_breakage(self) -> None:
        assert broken_parts(make(100), 40) == (40, 0)


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.lists(st.integers(0, 10**12), max_size=5))
def test_a_grant_that_breaks_in_parts_gives_its_gift_back_exactly_once(
    paid: int, gift: int, cuts: list[int]
) -> None:
    grant, broken, back = make(paid + gift, gift=gift), 0, 0
    for amount in (*cuts, paid + gift):
        part = min(amount, grant.remaining)
        breakage, returned = broken_parts(grant, part)
        assert breakage >= 0 <= returned
        assert breakage + returned == part
        broken, back, grant.remaining = broken + breakage, back + returned, grant.remaining - part
    assert (broken, back) == (paid, gift)


class TestSettling:
    RECEIPT = [(new_id(), 60), (new_id(), 40)]

    def test_burns_in_the_order_taken_so_that_the_last_returns_first(self) -> None:
        (first, _), (second, _) = self.RECEIPT
        assert settle(self.RECEIPT, 59) == [(first, 59)]
        assert settle(self.RECEIPT, 60) == [(first, 60)]
        assert settle(self.RECEIPT, 61) == [(first, 60), (second, 1)]

    def test_burns_no_more_than_was_taken(self) -> None:
        assert settle(self.RECEIPT, 1_000) == self.RECEIPT

    def test_of_nothing_burns_nothing(self) -> None:
        assert settle(self.RECEIPT, 0) == []


grants = st.builds(
    make,
    remaining=st.integers(0, 10**12),
    kind=st.sampled_from(("paid", "promotional", "included")),
    priority=st.integers(-2, 2),
    scope=st.sampled_from(("organization", "team", "agent")),
    scope_target=st.sampled_from((TEAM, AGENT)),
    source=st.sampled_from(SOURCES),
    effective_at=st.sampled_from((NOW - HOUR, NOW, NOW + TICK)),
    expires_at=st.sampled_from((None, NOW, NOW + TICK, NOW + HOUR)),
)


@given(st.lists(grants, max_size=6), st.integers(1, 10**12), st.integers(0, 10**9), st.data())
def test_every_allocation_is_exact_and_within_what_each_grant_has(
    given_grants: list[Grant], amount: int, debt: int, data: st.DataObject
) -> None:
    for grant in given_grants:
        grant.held = data.draw(st.integers(0, grant.remaining))
    taken, missing = allocate(given_grants, amount, NOW, SUBJECT, debt=debt)
    by_id = {grant.id: grant for grant in given_grants}
    assert sum(part for _, _, part in taken) + missing == amount
    assert missing >= 0
    assert all(0 < part <= by_id[name].remaining - by_id[name].held for _, name, part in taken)
    assert all(is_live(by_id[name], NOW) and applies(by_id[name], SUBJECT) for _, name, _ in taken)
    usable = [grant for grant in given_grants if is_live(grant, NOW) and applies(grant, SUBJECT)]
    free = sum(grant.remaining - grant.held for grant in usable)
    assert missing == max(0, amount - max(0, free - debt))
    order = [grant.id for grant in burn_order(given_grants, NOW, SUBJECT)]
    places = [order.index(name) for _, name, _ in taken]
    assert places == sorted(places)
    assert all(by_id[name].source == source for source, name, _ in taken)


@given(st.lists(grants, max_size=8), st.integers(1, 10**12))
def test_no_source_is_passed_over_while_it_has_room(given_grants: list[Grant], amount: int) -> None:
    """S75: whatever is taken of a source, the ones before it have nothing left for this subject."""
    taken, missing = allocate(given_grants, amount, NOW, SUBJECT)
    parts = {name: part for _, name, part in taken}
    usable = [grant for grant in given_grants if is_live(grant, NOW) and applies(grant, SUBJECT)]
    last = max([SOURCES.index(source) for source, _, _ in taken], default=-1) if not missing else len(SOURCES)
    for grant in usable:
        if SOURCES.index(grant.source) < last:
            assert parts.get(grant.id, 0) == grant.remaining
    assert sum(parts.values()) + missing == amount


@given(st.lists(st.integers(1, 10**12), max_size=6), st.integers(0, 10**13))
def test_every_settlement_burns_a_prefix_of_the_receipt(amounts: list[int], actual: int) -> None:
    receipt = [(new_id(), amount) for amount in amounts]
    burned = settle(receipt, actual)
    assert sum(part for _, part in burned) == min(actual, sum(amounts))
    assert [name for name, _ in burned] == [name for name, _ in receipt][: len(burned)]
    assert burned[:-1] == receipt[: max(0, len(burned) - 1)]
