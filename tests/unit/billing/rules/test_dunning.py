"""Dunning's rules: the table, policies, days, and what the machine does next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django_fsm import can_proceed

from billing.models import DunningCase
from billing.operations.dunning.recording import guard
from billing.rules.dunning import machine
from billing.rules.dunning.campaigns import read_campaigns, write_campaigns
from billing.rules.dunning.case import Case, consequence_of
from billing.rules.dunning.declines import is_hard
from billing.rules.dunning.policy import DEFAULT, Policy, Step, moment_of, parse_policy, write_policy
from billing.rules.dunning.states import CLOSED, GRACE, PAST_DUE, STATES, SUSPENDED, TARGETS, TRANSITIONS
from billing.rules.dunning.timeline import timeline
from billing.rules.payments.views import Failure
from common.errors import InvalidField, InvalidTransition, ProblemError
from common.money import UNITS_PER_MAJOR

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
START = datetime(2026, 3, 20, 8, 30, tzinfo=UTC)
ONE, TWO = UUID(int=1), UUID(int=2)
SOFT, HARD = Failure("card_declined", "insufficient_funds"), Failure("card_declined", "stolen_card")
METHODS = {
    "grace": DunningCase.throttle,
    "suspended": DunningCase.suspend,
    "canceled": DunningCase.cancel,
    "written_off": DunningCase.write_off,
    "closed": DunningCase.close,
}
EVERY_PAIR = [(state, target) for state in STATES for target in TARGETS]


def case(policy: Policy = DEFAULT, *, zone: str = "UTC", **given: Any) -> Case:
    made, _ = machine.opened(
        identifier=ONE, organization=TWO, policy=(None, 0, policy), zone=zone, anchor_at=START, invoices=[ONE],
        now=START, trigger="timer",
    )  # fmt: skip
    return machine.after(made, **given)


def refused(steps: Any, **more: Any) -> str:
    with pytest.raises(ProblemError) as found:
        parse_policy({"steps": steps, **more})
    return str(found.value.detail)


class TestTheTable:
    @pytest.mark.parametrize(("state", "target"), EVERY_PAIR)
    def test_is_the_same_in_the_model_as_in_the_rules(self, state: str, target: str) -> None:
        row = DunningCase(state=state)
        is_allowed = target in TRANSITIONS[state]
        assert can_proceed(getattr(row, METHODS[target].__name__)) is is_allowed
        if is_allowed:
            guard(state, target)
            METHODS[target](row)
            assert row.state == target
        else:
            with pytest.raises(InvalidTransition):
                guard(state, target)

    @pytest.mark.parametrize(("state", "target"), EVERY_PAIR)
    def test_lets_a_case_move_only_along_it(self, state: str, target: str) -> None:
        ends = {"closed_at": START, "closing": "settled"} if state == CLOSED else {}
        found = case(state=state, **ends)
        if target in TRANSITIONS[state]:
            assert machine.moved(found, target, now=START, trigger="finance")[0].state == target
        else:
            with pytest.raises(InvalidTransition):
                machine.moved(found, target, now=START, trigger="finance")

    def test_closes_from_every_state_and_goes_on_from_none(self) -> None:
        assert all(CLOSED in TRANSITIONS[state] for state in STATES if state != CLOSED)
        assert not TRANSITIONS[CLOSED]

    def test_lets_nothing_get_better_but_by_closing(self) -> None:
        for state, targets in TRANSITIONS.items():
            assert all(STATES.index(target) > STATES.index(state) for target in targets)


class TestAPolicy:
    def test_reads_what_it_wrote(self) -> None:
        assert parse_policy(write_policy(DEFAULT)) == DEFAULT

    def test_of_the_house_retries_before_the_escalation_of_its_day(self) -> None:
        assert [(step.day, step.action) for step in DEFAULT.steps] == [
            (2, "retry"), (7, "retry"), (7, "throttle"), (14, "retry"), (14, "suspend"), (21, "retry"),
            (21, "cancel"),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("steps", "said"),
        [
            ([{"day": 7, "action": "throttle"}, {"day": 7, "action": "retry"}], "retry comes first"),
            ([{"day": 7, "action": "retry"}, {"day": 2, "action": "retry"}], "order of their days"),
            ([{"day": 7, "action": "retry"}, {"day": 7, "action": "retry"}], "one retry on a day"),
            ([{"day": 7, "action": "suspend"}, {"day": 9, "action": "throttle"}], "milder"),
            ([{"day": 7, "action": "suspend"}, {"day": 9, "action": "suspend"}], "once"),
            ([{"day": 7, "action": "write_off"}, {"day": 9, "action": "retry"}], "after a write-off"),
            ([{"day": day, "action": "retry"} for day in range(41)], "at most 40"),
            ("none", "list"),
            (["retry"], "object"),
        ],
        ids=[
            "late retry", "days back", "twice a day", "milder later", "twice", "after the end", "too many",
            "no list", "no object",
        ],
    )  # fmt: skip
    def test_has_its_steps_in_order(self, steps: Any, said: str) -> None:
        assert said in refused(steps)

    @pytest.mark.parametrize(
        "step",
        [
            {"day": -1, "action": "retry"},
            {"day": 731, "action": "retry"},
            {"day": True, "action": "retry"},
            {"day": "2", "action": "retry"},
            {"day": None, "action": "retry"},
            {"day": 2, "action": "close"},
            {"day": 2, "action": None},
            {"day": 2},
            {"action": "retry"},
            {"day": 2, "action": "retry", "hour": 3},
        ],
        ids=[
            "negative", "too late", "bool", "text", "null day", "unknown", "null action", "no action", "no day",
            "more",
        ],
    )  # fmt: skip
    def test_takes_no_step_that_makes_no_sense(self, step: Any) -> None:
        assert refused([step])

    @pytest.mark.parametrize(
        "more",
        [
            {"throttle_per_minute": 0},
            {"prepaid_credit": "lost"},
            {"retry_wait_hours": 0},
            {"longest_exemption_days": 367},
            {"other": 1},
        ],
        ids=["no calls", "credit", "no wait", "for ever", "unknown"],
    )
    def test_takes_no_setting_that_makes_no_sense(self, more: dict[str, Any]) -> None:
        assert refused([], **more)

    def test_says_all_that_is_wrong_at_once(self) -> None:
        with pytest.raises(ProblemError) as found:
            parse_policy({"steps": [{"day": -1, "action": "x"}], "retry_wait_hours": 0})
        assert len(found.value.errors) == 3

    def test_may_be_any_list_of_days(self) -> None:
        assert parse_policy({"steps": []}) == Policy(())
        every = [{"day": 0, "action": name} for name in ("retry", "notify", "throttle", "suspend", "cancel")]
        assert len(parse_policy({"steps": every}).steps) == 5


class TestDays:
    @pytest.mark.parametrize(
        ("anchor", "zone", "day", "expected"),
        [
            ("2026-03-28T02:30:00+01:00", "Europe/Berlin", 1, "2026-03-29T03:00:00+02:00"),
            ("2026-03-28T08:00:00+01:00", "Europe/Berlin", 7, "2026-04-04T08:00:00+02:00"),
            ("2026-10-18T02:30:00+02:00", "Europe/Berlin", 7, "2026-10-25T02:30:00+02:00"),
            ("2027-01-31T23:59:00+00:00", "UTC", 28, "2027-02-28T23:59:00+00:00"),
            ("2028-02-22T12:00:00+00:00", "UTC", 7, "2028-02-29T12:00:00+00:00"),
            ("2026-12-31T23:00:00-08:00", "America/Los_Angeles", 2, "2027-01-02T23:00:00-08:00"),
        ],
        ids=["gap", "spring", "twice", "month end", "leap day", "new year"],
    )
    def test_are_those_of_the_customers_calendar(
        self, anchor: str, zone: str, day: int, expected: str
    ) -> None:
        found = moment_of(day, anchor=datetime.fromisoformat(anchor), zone=zone)
        assert found == datetime.fromisoformat(expected)


class TestWhatIsNext:
    def test_is_nothing_before_the_first_step(self) -> None:
        assert machine.next_action(case(), START + DAY) is None
        assert case().next_at == START + 2 * DAY

    def test_waits_for_the_outcome_of_a_retry_and_not_for_ever(self) -> None:
        now = START + 7 * DAY
        waiting, _ = machine.asked(case(step=1), {ONE: now}, now=now, trigger="timer", due_at=now)
        assert machine.next_action(waiting, now) is None
        later = now + timedelta(hours=24)
        assert waiting.next_at == later
        action = machine.next_action(waiting, later)
        assert action is not None and action.kind == "stop_waiting"
        on, _ = machine.waited(waiting, action, now=later, trigger="timer")
        following = machine.next_action(on, later)
        assert following is not None and (following.kind, following.target) == ("move", GRACE)

    def test_begins_no_new_wait_for_what_was_under_way_before(self) -> None:
        now = START + 7 * DAY
        young, _ = machine.asked(case(step=1), {ONE: now - 9 * HOUR}, now=now, trigger="timer", due_at=now)
        assert (young.pending, young.waits_until) == ((ONE,), now + 15 * HOUR)
        old, made = machine.asked(case(step=1), {ONE: now - DAY}, now=now, trigger="timer", due_at=now)
        assert (old.pending, old.waits_until, old.step) == ((), None, 2)
        assert (made.verb, made.data["why"]) == ("retry_skipped", "is_under_way")
        following = machine.next_action(old, now)
        assert following is not None and (following.kind, following.target) == ("move", GRACE)

    def test_is_held_up_by_what_is_asked_for_besides_no_longer_than_from_its_own_date(self) -> None:
        due = START + 7 * DAY
        stepped, _ = machine.asked(case(step=1), {ONE: due}, now=due, trigger="timer", due_at=due)
        for hours in (6, 12, 23):  # each bounces, and another method is asked at once
            now = due + hours * HOUR
            stepped, _ = machine.failed(stepped, ONE, SOFT, now=now, trigger="payment")
            stepped, _ = machine.asked(stepped, {ONE: now}, now=now, trigger="payment", is_step=False)
            assert stepped.waits_until == due + DAY
        late, _ = machine.asked(stepped, {ONE: due + DAY}, now=due + DAY, trigger="payment", is_step=False)
        assert (late.pending, late.step) == ((), 2)

    def test_leaves_a_new_method_its_turn_until_what_was_under_way_before_has_failed(self) -> None:
        now = START + 3 * DAY
        noted, _ = machine.asked(case(), {ONE: START}, now=now, trigger="payment_method", is_step=False)
        assert (noted.pending, noted.wants_retry) == ((), True)
        asked, _ = machine.asked(noted, {ONE: now}, now=now, trigger="payment", is_step=False)
        assert (asked.pending, asked.wants_retry) == ((ONE,), False)

    def test_waits_for_all_invoices_that_are_under_way(self) -> None:
        now = START + 7 * DAY
        waiting, _ = machine.asked(case(step=1), {ONE: now, TWO: now}, now=now, trigger="timer", due_at=now)
        half, _ = machine.failed(waiting, ONE, SOFT, now=now, trigger="payment")
        assert machine.next_action(half, now) is None
        done, _ = machine.failed(half, TWO, SOFT, now=now, trigger="payment")
        assert machine.next_action(done, now) is not None

    def test_skips_retries_after_a_hard_decline_until_there_is_a_new_method(self) -> None:
        now = START + 7 * DAY
        hard, _ = machine.failed(case(step=1), ONE, HARD, now=START, trigger="payment")
        action = machine.next_action(hard, now)
        assert action is not None and (action.kind, action.why) == ("skip", "hard_decline")
        asked, _ = machine.asked(hard, {ONE: START}, now=START, trigger="payment_method", is_step=False)
        assert (asked.is_hard, asked.step) == (False, 1)

    def test_takes_a_retry_right_after_another_to_have_its_outcome(self) -> None:
        now = START + 30 * DAY
        asked, _ = machine.asked(case(), {ONE: now}, now=now, trigger="timer", due_at=START)
        done, _ = machine.failed(asked, ONE, SOFT, now=now, trigger="payment")
        action = machine.next_action(done, now)
        assert action is not None and (action.kind, action.why) == ("skip", "asked_just_now")

    def test_passes_a_step_that_is_milder_than_the_state(self) -> None:
        action = machine.next_action(case(state=SUSPENDED, step=2), START + 7 * DAY)
        assert action is not None and (action.kind, action.why) == ("skip", "is_suspended")

    def test_is_nothing_for_a_case_that_is_closed(self) -> None:
        closed, _ = machine.moved(case(), CLOSED, now=START, trigger="payment", is_settled=True)
        assert machine.next_action(closed, START + 90 * DAY) is None
        assert closed.next_at is None


class TestPuttingOff:
    def test_moves_every_further_step(self) -> None:
        put_off, _ = machine.extended(case(), 10, "holidays", now=START)
        assert put_off.next_at == START + 12 * DAY
        assert put_off.extended_until == START + 10 * DAY

    def test_is_no_longer_than_the_policy_allows_also_in_parts(self) -> None:
        first, _ = machine.extended(case(), 20, "holidays", now=START)
        with pytest.raises(InvalidField):
            machine.extended(first, 11, "more", now=START)
        assert machine.extended(first, 10, "more", now=START)[0].extended_until == START + 30 * DAY
        with pytest.raises(InvalidField):
            machine.exempted(case(), 31, "a friend", now=START)

    def test_of_an_exemption_opens_the_gate_until_it_ends(self) -> None:
        exempt, _ = machine.exempted(case(state=SUSPENDED, step=5), 5, "they called", now=START + 15 * DAY)
        assert consequence_of(exempt).standing == "clear"
        assert exempt.next_at == START + 20 * DAY
        action = machine.next_action(exempt, START + 20 * DAY)
        assert action is not None and action.kind == "end_exemption"
        over, _ = machine.exemption_ended(exempt, now=START + 20 * DAY, trigger="timer")
        assert consequence_of(over).standing == "suspended"
        assert over.next_at == START + 26 * DAY

    @pytest.mark.parametrize("state", ["canceled", "written_off", "closed"])
    def test_is_for_what_can_get_worse(self, state: str) -> None:
        ends = {"closed_at": START, "closing": "settled"} if state == CLOSED else {}
        with pytest.raises(InvalidTransition):
            machine.extended(case(state=state, **ends), 1, "late", now=START)


class TestWhatTheGateObeys:
    @pytest.mark.parametrize(
        ("state", "standing"),
        [
            ("past_due", "clear"), ("grace", "throttled"), ("suspended", "suspended"), ("canceled", "suspended"),
            ("written_off", "suspended"), ("closed", "clear"),
        ],
    )  # fmt: skip
    def test_follows_from_the_state(self, state: str, standing: str) -> None:
        ends = {"closed_at": START, "closing": "settled"} if state == CLOSED else {}
        assert consequence_of(case(state=state, **ends)).standing == standing

    def test_leaves_bought_credit_where_the_policy_says_so(self) -> None:
        found = case(Policy((), prepaid_credit="spendable"), state=SUSPENDED)
        assert consequence_of(found).spends_credit


class TestATimeline:
    def test_is_that_of_the_requirement(self) -> None:
        told = timeline(DEFAULT, due_at=START, zone="UTC")
        assert [(one.day, one.state) for one in told if one.notice] == [
            (0, PAST_DUE), (7, GRACE), (14, SUSPENDED), (21, "canceled"),
        ]  # fmt: skip
        assert [one.day for one in told if one.event == "retried"] == [2, 7, 14, 21]

    def test_ends_with_a_payment_before_its_days_steps(self) -> None:
        told = timeline(DEFAULT, due_at=START, zone="Europe/Berlin", paid_on_day=14)
        assert (told[-1].day, told[-1].state, told[-1].notice) == (14, CLOSED, "recovered")
        assert "suspended" not in {one.state for one in told}

    def test_asks_once_where_the_first_decline_is_hard(self) -> None:
        told = timeline(DEFAULT, due_at=START, zone="UTC", is_hard=True)
        assert [one.day for one in told if one.event == "retried"] == [2]
        assert [one.why for one in told if one.why] == ["hard_decline"] * 3

    def test_has_reminders(self) -> None:
        told = timeline(Policy((Step(3, "notify"), Step(5, "notify"))), due_at=START, zone="UTC")
        assert [one.notice for one in told] == ["past_due", "reminder_1", "reminder_2"]


class TestADecline:
    @pytest.mark.parametrize(
        ("failure", "expected"),
        [
            (SOFT, False),
            (HARD, True),
            (Failure("authentication_required"), True),
            (Failure("card_declined"), False),
            (Failure("processing_error"), False),
        ],
        ids=["soft", "hard", "authentication", "plain", "processing"],
    )
    def test_is_hard_where_only_another_method_helps(self, failure: Failure, expected: bool) -> None:
        assert is_hard(failure) is expected


BY_BALANCE = Policy(
    (Step(5, "suspend"),),
    trigger="overdue_balance",
    thresholds=(("EUR", 150 * UNITS_PER_MAJOR), ("USD", 100 * UNITS_PER_MAJOR)),
    max_attempts=3,
    days_between_attempts=4,
)
WITHOUT_DECIMALS = replace(BY_BALANCE, thresholds=(("EUR", UNITS_PER_MAJOR // 100), ("JPY", UNITS_PER_MAJOR)))


def campaigning(*reached: str, policy: Policy = BY_BALANCE, trigger: str = "timer") -> Case:
    made, _ = machine.opened(
        identifier=ONE, organization=TWO, policy=(None, 0, policy), zone="UTC", anchor_at=START, invoices=[ONE],
        now=START, trigger=trigger, reached=reached,
    )  # fmt: skip
    return made


def attempted(found: Case, now: datetime, *under_way: UUID) -> tuple[Case, Any]:
    action = machine.next_action(found, now)
    assert action is not None and action.kind == "attempt"
    return machine.attempted(found, action, dict.fromkeys(under_way, now), now=now, trigger="timer")


class TestACampaign:
    def test_is_begun_at_the_threshold_and_not_below(self) -> None:
        euro = UNITS_PER_MAJOR
        assert BY_BALANCE.reached({"EUR": 150 * euro - 1, "USD": 120 * euro, "CHF": 9_999 * euro}) == ("USD",)
        assert BY_BALANCE.reached({"EUR": 150 * euro, "USD": 100 * euro}) == ("EUR", "USD")

    def test_reads_what_it_wrote(self) -> None:
        for policy in (BY_BALANCE, WITHOUT_DECIMALS):
            assert parse_policy(write_policy(policy)) == policy
        found = campaigning("EUR", "USD")
        assert read_campaigns(write_campaigns(found.campaigns)) == found.campaigns

    def test_is_attempted_at_once_so_often_and_so_many_days_apart(self) -> None:
        found, now = campaigning("USD"), START
        for number in (1, 2, 3):
            assert machine.next_action(found, now - timedelta(seconds=1)) is None or number == 1
            found, made = attempted(found, now, ONE)
            assert (made.verb, made.data["currency"], made.data["attempt"]) == ("retried", "USD", number)
            found, _ = machine.failed(found, ONE, SOFT, now=now, trigger="payment")
            if number > 1:  # and the step of day 5 is done by the next one
                found = machine.after(found, step=1)
            now += 4 * DAY
        assert (machine.next_action(found, now + 90 * DAY), found.next_at) == (None, None)

    def test_is_attempted_a_day_later_where_a_failure_began_it(self) -> None:
        assert campaigning("USD", trigger="payment").next_at == START + DAY

    def test_holds_up_what_escalates_and_once_that_is_due_no_longer(self) -> None:
        found, _ = attempted(campaigning("EUR", "USD"), START, ONE)
        assert found.waits_until == START + DAY
        due = START + 5 * DAY
        late = machine.after(found, pending=(), waits_until=None)
        first, _ = attempted(late, due, TWO)
        assert (first.pending, first.waits_until) == ((TWO,), due + DAY)
        second, _ = attempted(first, due + 6 * HOUR, ONE)
        assert (second.pending, second.waits_until) == ((TWO, ONE), due + DAY)
        assert machine.next_action(second, due + 7 * HOUR) is None
        waited = machine.next_action(second, due + DAY)
        assert waited is not None and waited.kind == "stop_waiting"

    def test_passes_over_an_attempt_right_after_a_new_method_was_asked(self) -> None:
        found, _ = attempted(campaigning("USD"), START, ONE)
        found, _ = machine.failed(found, ONE, SOFT, now=START, trigger="payment")
        now = START + 4 * DAY
        early = now - HOUR
        found, _ = machine.asked(found, {ONE: early}, now=early, trigger="payment_method", is_step=False)
        action = machine.next_action(found, now)
        assert action is not None and (action.kind, action.why) == ("attempt", "asked_just_now")
        found, made = machine.attempted(found, action, {}, now=now, trigger="timer")
        assert (made.verb, found.campaigns[0].attempts, found.pending) == ("retry_skipped", 2, (ONE,))

    def test_goes_on_where_another_begins_and_begins_anew_where_it_ended(self) -> None:
        found, _ = attempted(campaigning("USD"), START, ONE)
        both = machine.recounted(found, ("EUR", "USD"), now=START + DAY, trigger="timer")
        assert both is not None and both[1].data["began"] == ["EUR"]
        assert [(one.currency, one.attempts) for one in both[0].campaigns] == [("EUR", 0), ("USD", 1)]
        assert machine.recounted(both[0], ("USD", "EUR"), now=START + DAY, trigger="timer") is None
        less = machine.recounted(both[0], ("EUR",), now=START + DAY, trigger="payment")
        assert less is not None and less[1].data["ended"] == ["USD"]
        again = machine.recounted(less[0], ("EUR", "USD"), now=START + 2 * DAY, trigger="timer")
        assert again is not None and again[0].campaigns[1].attempts == 0
