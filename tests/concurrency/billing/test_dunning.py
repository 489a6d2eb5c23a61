"""Webhook, timer, finance and payment at once: one transition, and whoever paid is not blocked (S91, S95)."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import pytest

from billing.operations.dunning import notice
from billing.operations.dunning.advancing import advance_customer
from billing.operations.dunning.commanding import move_case
from common.errors import InvalidTransition
from tests.builders.campaigns import Owing, document, policy_by
from tests.builders.dunning import AUTHOR, DAY, SOFT, Dunned, in_arrears
from tests.builders.orgs import write
from tests.builders.simulated import move_to
from tests.builders.subscriptions import now_of
from tests.concurrency.billing.test_events_at_once import at_once
from tests.functional.billing.test_dunning import ACTION_OF, STATES, WORSE, in_state


def fails(dunned: Dunned) -> None:
    """The webhook."""
    invoice = UUID(dunned.invoices[0])
    write(
        lambda cur: notice.payment_failed(
            cur, organization=dunned.id, invoice=invoice, failure=SOFT, author=AUTHOR
        )
    )


def looks(dunned: Dunned) -> None:
    """The timer."""
    write(lambda cur: advance_customer(cur, organization=dunned.id))


def moves(dunned: Dunned) -> None:
    """Finance."""
    case = dunned.cases()[0].id
    with suppress(InvalidTransition):  # somebody was faster
        write(
            lambda cur: move_case(
                cur, organization=dunned.id, case=case, to="grace", reason="a race", author=AUTHOR
            )
        )


def pays(dunned: Dunned) -> None:
    """The payment."""
    dunned.pay()


def before_grace(*, is_asked: bool = True) -> Dunned:
    """A customer whose escalation of day 7 is due, and waits for the retry's outcome if that was asked for."""
    dunned = in_arrears()
    dunned.on_day(2)
    if is_asked:
        dunned.on_day(7, fails=False)
    else:
        move_to(dunned.id, dunned.case().anchor_at + 9 * DAY)
    return dunned


class TestOneTransition:
    @pytest.mark.parametrize(
        "acts",
        [(fails, looks), (fails, fails), (looks, looks), (fails, moves), (looks, moves), (moves, moves)],
        ids=[
            "webhook and timer", "webhook twice", "timer twice", "webhook and finance", "timer and finance",
            "finance twice",
        ],
    )  # fmt: skip
    def test_is_made_whoever_comes_first(self, acts: tuple[Callable[[Dunned], None], ...]) -> None:
        for _ in range(3):
            dunned = before_grace()
            at_once(lambda place, dunned=dunned: acts[place % len(acts)](dunned), callers=8)
            if acts == (looks, looks):
                fails(dunned)
            assert dunned.state() == "grace"
            assert Counter(dunned.history())["grace"] == 1
            assert dunned.notices().count("grace") == 1
            assert len(dunned.cases()) == 1

    def test_opens_one_case(self) -> None:
        dunned = in_arrears()
        dunned.pay()
        dunned.made.use("4")
        dunned.made.pass_months()
        dunned.made.run()
        (new,) = [one["id"] for one in dunned.made.invoices() if one["id"] not in dunned.invoices]
        dunned.invoices[:] = [new]
        move_to(dunned.id, dunned.due_at() + timedelta(hours=1))
        at_once(lambda place: (fails if place % 2 else looks)(dunned), callers=8)
        assert [case.state for case in dunned.cases()] == ["past_due", "closed"]
        assert dunned.history().count("opened") == 1


def closes(dunned: Dunned) -> None:
    """Finance lets it be."""
    case = dunned.cases()[0].id
    with suppress(InvalidTransition):
        write(
            lambda cur: move_case(
                cur, organization=dunned.id, case=case, to="closed", reason="a race", author=AUTHOR
            )
        )


def escalates(dunned: Dunned, target: str) -> None:
    """Finance moves it where the step would."""
    case = dunned.cases()[0].id
    with suppress(InvalidTransition):
        write(
            lambda cur: move_case(
                cur, organization=dunned.id, case=case, to=target, reason="a race", author=AUTHOR
            )
        )


class TestEveryEdge:
    """The whole table: whoever is first makes the transition, and there is one."""

    @pytest.mark.parametrize(("state", "target"), WORSE, ids=[f"{one} to {other}" for one, other in WORSE])
    def test_is_made_once_by_timer_webhook_and_finance_at_once(self, state: str, target: str) -> None:
        dunned = in_state(state, (2, "retry"), (2, ACTION_OF[target]), has_method=True)
        dunned.on_day(2, fails=False)
        assert (dunned.state(), len(dunned.case().pending)) == (state, 1)
        move_to(dunned.id, dunned.case().anchor_at + 4 * DAY)  # its outcome did not come in time either
        acts = (looks, fails, lambda one: escalates(one, target))
        at_once(lambda place: acts[place](dunned), callers=3)
        assert dunned.state() == target
        assert Counter(dunned.history())[target] == 1
        assert max(Counter(dunned.notices()).values()) == 1
        assert len(dunned.cases()) == 1
        dunned.made.assert_sound()

    @pytest.mark.parametrize("state", STATES)
    def test_to_closed_is_made_once_by_payment_finance_and_timer_at_once(self, state: str) -> None:
        dunned = in_state(state)
        acts = (pays, closes, looks)
        at_once(lambda place: acts[place](dunned), callers=3)
        assert dunned.state() == "closed"
        assert Counter(dunned.history())["closed"] == 1
        assert dunned.call() == (201, None)
        dunned.made.assert_sound()


class TestWhoPaid:
    @pytest.mark.parametrize("other", [fails, looks, moves], ids=["webhook", "timer", "finance"])
    def test_is_not_blocked_whatever_comes_beside_it(self, other: Callable[[Dunned], None]) -> None:
        for _ in range(3):
            dunned = before_grace()
            at_once(lambda place, dunned=dunned: (other if place else pays)(dunned), callers=5)
            assert dunned.state() == "closed"
            assert dunned.history()[-1] == "closed"
            assert {dunned.call() for _ in range(12)} == {(201, None)}
            dunned.made.assert_sound()


class TestACampaign:
    def test_begins_once_and_ends_below_the_threshold_whoever_comes_beside_it(self) -> None:
        with policy_by(document()):
            dunned = Owing()
            dunned.owes("110")
            at_once(lambda place: (fails if place == 1 else looks)(dunned), callers=6)
            assert (len(dunned.cases()), dunned.history().count("opened")) == (1, 1)
            assert len(dunned.attempts()) <= 1
            dunned.day(2)
            dunned.fail()
            move_to(dunned.id, now_of(dunned.id) + 2 * DAY)

            def pays_down(place: int) -> None:
                if place:
                    looks(dunned)
                else:
                    dunned.pays(dunned.invoices[0], "20.00")

            at_once(pays_down, callers=4)
            assert (dunned.state(), dunned.cases()[0].closing) == ("closed", "below_threshold")
            assert [number for _, number, _ in dunned.attempts()] in ([1], [1, 2])
            assert dunned.notices() == ["past_due"]
        dunned.made.assert_sound()
