"""A customer does not pay: what follows on which day, who drives it, and how it ends."""

from datetime import datetime, timedelta
from functools import partial

import pytest
from django.core import mail

from billing.operations.dunning.due import advance_due, close_settled
from billing.operations.dunning.telling import KIND as NOTICES
from billing.operations.invoices import paying
from billing.operations.letters import send_due
from billing.rules.dunning.policy import LEADS_TO
from billing.rules.dunning.states import CLOSED, PAST_DUE, TRANSITIONS
from tests.builders.billing import with_invoice
from tests.builders.dunning import (
    DAY,
    HARD,
    PROCESSOR,
    Dunned,
    in_arrears,
    owing_again,
    usual_policy,
)
from tests.builders.orgs import caller, write
from tests.builders.subscriptions import now_of

ACTION_OF = {target: action for action, target in LEADS_TO.items()}
EDGES = [(state, target) for state in TRANSITIONS for target in sorted(TRANSITIONS[state])]
WORSE = [edge for edge in EDGES if edge[1] != CLOSED]
STATES = [state for state in TRANSITIONS if state != CLOSED]


def in_state(state: str, *more: tuple[int, str], has_method: bool = False) -> Dunned:
    """A customer whose case the timer has brought into a state, with further steps to come."""
    first = [] if state == PAST_DUE else [(1, ACTION_OF[state])]
    with usual_policy(*first, *more):
        dunned = in_arrears(has_method=has_method)
    if first:
        dunned.on_day(1, fails=False)
    assert dunned.state() == state
    return dunned


class TestTheUsualPolicy:
    def test_goes_from_past_due_to_canceled_and_each_retry_before_its_days_escalation(self) -> None:
        dunned = in_arrears()
        assert (dunned.state(), dunned.call()) == ("past_due", (201, None))
        dunned.on_day(2)
        dunned.on_day(7, fails=False)
        assert dunned.state() == "past_due"  # it waits for the outcome
        dunned.fail()
        assert dunned.state() == "grace"
        dunned.on_day(14)
        assert (dunned.state(), dunned.call()) == ("suspended", (403, "suspended"))
        dunned.on_day(21)
        assert (dunned.state(), dunned.call()) == ("canceled", (403, "suspended"))
        assert PROCESSOR.of(dunned.id) == 4
        assert dunned.notices() == ["past_due", "grace", "suspended", "canceled"]
        dunned.pay()
        assert (dunned.state(), dunned.call()) == ("closed", (201, None))
        assert dunned.notices() == ["past_due", "grace", "suspended", "canceled", "recovered"]
        dunned.made.assert_sound()

    def test_does_nothing_before_an_invoice_is_due_and_nothing_twice(self) -> None:
        made, invoice = with_invoice("12.50")
        dunned = Dunned(made, [invoice["id"]])
        if dunned.due_at() > now_of(made.id):
            assert not dunned.look()
        dunned.on(dunned.due_at())
        assert dunned.history() == ["opened"]
        assert not dunned.look()
        assert dunned.history() == ["opened"]

    def test_asks_on_where_no_outcome_comes(self) -> None:
        dunned = in_arrears()
        dunned.on_day(2)
        dunned.on_day(7, fails=False)
        dunned.on(dunned.case().anchor_at + 8 * DAY + timedelta(minutes=2))
        assert dunned.state() == "grace"
        assert "outcome_missing" in dunned.history()

    def test_goes_on_without_a_payment_method(self) -> None:
        dunned = in_arrears(has_method=False)
        for day in (2, 7, 14, 21):
            dunned.on_day(day, fails=False)
        assert dunned.state() == "canceled"
        assert PROCESSOR.of(dunned.id) == 0
        assert dunned.history().count("retry_skipped") == 4

    def test_catches_up_after_a_standstill_by_the_dates_that_were_meant(self) -> None:
        dunned = in_arrears()
        dunned.on_day(30)
        assert dunned.state() == "canceled"
        assert PROCESSOR.of(dunned.id) == 1  # the others would have come right after it
        assert dunned.notices() == ["past_due", "grace", "suspended", "canceled"]
        shown = dunned.made.finance.get(f"/v1/dunning-cases/{dunned.case().id}").json()
        at = {each["event"]: each["due_at"] for each in shown["timeline"]}
        first = dunned.case().anchor_at
        for event, day in (("grace", 7), ("suspended", 14), ("canceled", 21)):
            assert at[event] == (first + day * DAY).isoformat().replace("+00:00", "Z")

    def test_gives_a_debt_that_is_found_long_after_its_time_all_its_days(self) -> None:
        made, invoice = with_invoice("12.50")
        late = Dunned(made, [invoice["id"]])
        found_at = late.due_at() + 60 * DAY
        late.on(found_at)
        assert (late.state(), late.history()) == ("past_due", ["opened"])
        assert late.case().anchor_at - found_at < timedelta(hours=1)
        late.on_day(7)
        assert late.state() == "grace"

    def test_skips_retries_after_a_hard_decline_and_asks_at_once_with_a_new_method(self) -> None:
        dunned = in_arrears()
        dunned.on_day(2, fails=False)
        dunned.fail(HARD)
        dunned.on_day(7, fails=False)
        assert dunned.state() == "grace"
        assert PROCESSOR.of(dunned.id) == 1
        dunned.new_method()
        assert PROCESSOR.of(dunned.id) == 2
        assert dunned.case().pending
        dunned.pay()
        assert (dunned.state(), dunned.call()) == ("closed", (201, None))

    def test_asks_with_a_new_method_as_soon_as_what_is_under_way_has_failed(self) -> None:
        dunned = in_arrears()
        dunned.on_day(2, fails=False)
        dunned.new_method()
        assert PROCESSOR.of(dunned.id) == 1
        dunned.fail(HARD)
        assert PROCESSOR.of(dunned.id) == 2
        assert not dunned.case().is_hard

    def test_is_not_held_off_by_changing_the_method_again_and_again(self) -> None:
        """Bank debits run for four days and bounce; between them its default method changes every six hours."""
        dunned = in_arrears()
        PROCESSOR.debits.add(dunned.id)
        dunned.on_day(2, fails=False)
        start = dunned.case().anchor_at
        for quarter in range(9, 4 * 16):
            dunned.on(start + quarter * DAY / 4 + timedelta(minutes=1))
            if quarter % 16 == 8:
                dunned.fail_one(dunned.invoices[0])
            dunned.new_method()
        assert dunned.state() == "suspended"
        at = {each["event"]: each["at"] for each in dunned.timeline()}
        for event, day in (("grace", 7), ("suspended", 14)):
            assert datetime.fromisoformat(at[event]) - start <= (day + 1) * DAY + timedelta(hours=1)

    def test_is_opened_by_a_payment_that_fails_when_it_is_due(self) -> None:
        made, invoice = with_invoice("12.50")
        dunned = Dunned(made, [invoice["id"]])
        if dunned.due_at() > now_of(made.id):
            dunned.fail_one(invoice["id"])
            assert dunned.state() is None
            made.customer.pass_time(days=(dunned.due_at() - now_of(made.id)).days + 1)
        dunned.fail_one(invoice["id"])
        assert dunned.state() == "past_due"
        assert dunned.case().failures == 1


class TestEveryEdge:
    @pytest.mark.parametrize(("state", "target"), WORSE)
    def test_is_driven_by_the_timer(self, state: str, target: str) -> None:
        dunned = in_state(state, (2, "retry"), (2, ACTION_OF[target]))
        dunned.on_day(2, fails=False)
        assert dunned.state() == target
        assert dunned.history().count(target) == 1

    @pytest.mark.parametrize(("state", "target"), WORSE)
    def test_is_driven_by_a_payment_that_fails(self, state: str, target: str) -> None:
        dunned = in_state(state, (2, "retry"), (2, ACTION_OF[target]), has_method=True)
        dunned.on_day(2, fails=False)
        assert dunned.state() == state
        dunned.fail_one(dunned.invoices[0])
        assert dunned.state() == target
        assert dunned.history().count(target) == 1

    @pytest.mark.parametrize(("state", "target"), EDGES)
    def test_is_driven_by_finance(self, state: str, target: str) -> None:
        dunned = in_state(state)
        answer = dunned.finance("move", to=target)
        assert (answer.status_code, answer.json()["state"]) == (200, target)
        last = answer.json()["timeline"][-1]
        assert (last["event"], last["trigger"], last["reason"]) == (target, "finance", "a test")
        assert last["actor"].startswith("key:")

    @pytest.mark.parametrize("state", STATES)
    def test_to_closed_is_driven_by_a_payment_and_the_next_call_passes(self, state: str) -> None:
        dunned = in_state(state)
        dunned.pay()
        assert (dunned.state(), dunned.call()) == ("closed", (201, None))
        assert dunned.cases()[0].closing == "settled"
        dunned.made.assert_sound()

    @pytest.mark.parametrize("state", [state for state in STATES if state != "written_off"])
    def test_to_closed_is_driven_by_the_timer_where_nobody_said_so(
        self, state: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        dunned = in_state(state)
        with monkeypatch.context() as forgetful:
            forgetful.setattr(paying, "payment_settled", lambda cur, **given: None)
            dunned.pay()
        assert dunned.state() == state
        close_settled()
        assert (dunned.state(), dunned.call()) == ("closed", (201, None))

    @pytest.mark.parametrize(
        ("state", "target"),
        [(state, target) for state in STATES for target in ACTION_OF if target not in TRANSITIONS[state]],
    )
    def test_that_is_not_in_the_table_is_refused_and_moves_nothing(self, state: str, target: str) -> None:
        dunned = in_state(state)
        before = dunned.case(), dunned.notices()
        with dunned.made.still():
            answer = dunned.finance("move", to=target)
        assert (answer.status_code, answer.json()["code"]) == (409, "invalid_transition")
        assert (dunned.case(), dunned.notices()) == before

    def test_of_a_closed_case_is_none(self) -> None:
        dunned = in_arrears()
        dunned.pay()
        assert dunned.finance("move", to="grace").status_code == 409
        assert dunned.finance("move", to="closed").status_code == 409


class TestSeveralInvoices:
    def test_join_one_case_and_it_closes_with_the_last(self) -> None:
        dunned = in_arrears()
        owing_again(dunned)
        dunned.on(dunned.due_at(1))
        dunned.fail()
        assert len(dunned.cases()) == 1
        assert len(dunned.case().invoices) == 2
        assert dunned.state() == "canceled"
        dunned.pay(0)
        assert (dunned.state(), dunned.call()) == ("canceled", (403, "suspended"))
        dunned.pay(1)
        assert (dunned.state(), dunned.call()) == ("closed", (201, None))

    def test_wait_for_the_outcomes_of_all(self) -> None:
        dunned = in_arrears()
        dunned.finance("extend", days=30)
        owing_again(dunned)
        dunned.on(max(dunned.due_at(1), dunned.case().anchor_at + 37 * DAY + timedelta(minutes=1)))
        first, second = dunned.case().pending
        dunned.fail_one(first)
        assert dunned.state() == "past_due"
        dunned.fail_one(second)
        assert dunned.state() == "suspended"  # both steps were due by then

    @pytest.mark.parametrize("how", ["credit note", "void", "write-off"])
    def test_are_settled_by_whatever_leaves_nothing_due(self, how: str) -> None:
        dunned = in_arrears()
        dunned.finance("move", to="suspended")
        invoice, reason = dunned.invoices[0], {"reason": "a mistake"}
        settle = {
            "credit note": partial(dunned.made.act, invoice, "credit-notes", reason),
            "void": partial(dunned.made.act, invoice, "void", reason),
            "write-off": partial(dunned.made.act, invoice, "write-off", reason),
        }[how]
        answer = settle()
        assert answer.status_code in (200, 201), answer.content
        assert (dunned.state(), dunned.call()) == ("closed", (201, None))

    def test_of_a_new_debt_open_a_new_case(self) -> None:
        dunned = in_arrears()
        dunned.pay()
        owing_again(dunned)
        dunned.on(dunned.due_at(1))
        assert [case.state for case in dunned.cases()] == ["past_due", "closed"]

    def test_that_finance_let_be_open_none(self) -> None:
        dunned = in_arrears()
        dunned.finance("move", to="closed")
        assert not dunned.look()
        assert dunned.state() == "closed"
        owing_again(dunned)
        dunned.on(dunned.due_at(1))
        assert len(dunned.case().invoices) == 1


class TestAWriteOff:
    def test_is_a_loss_keeps_the_gate_shut_and_is_taken_back_by_a_payment(self) -> None:
        dunned = in_arrears()
        dunned.finance("move", to="written_off")
        shown = dunned.made.only()
        assert (shown["status"], dunned.state()) == ("uncollectible", "written_off")
        assert dunned.call() == (403, "suspended")
        dunned.made.assert_sound()
        dunned.pay()
        assert (dunned.made.only()["status"], dunned.state()) == ("paid", "closed")
        assert dunned.call() == (201, None)
        dunned.made.assert_sound()


class TestLetters:
    def test_go_out_once_for_each_stage(self) -> None:
        dunned = in_arrears()
        write(
            lambda cur: cur.execute(
                "UPDATE dunning_notices SET status = 'superseded' WHERE organization <> %s AND status = 'waiting'",
                (dunned.id,),
            )
        )
        self.addressed(dunned)
        send_due([NOTICES])
        send_due([NOTICES])
        assert [each.subject for each in mail.outbox] == ["Your payment is overdue"]
        assert dunned.made.only()["number"] in mail.outbox[0].body
        dunned.finance("move", to="suspended")
        send_due([NOTICES])
        assert mail.outbox[-1].subject.startswith("Your work is suspended")
        dunned.pay()
        send_due([NOTICES])
        assert mail.outbox[-1].subject == "Everything is paid"
        assert len(mail.outbox) == 3

    def test_of_a_suspension_are_not_sent_after_the_payment(self) -> None:
        dunned = in_arrears()
        self.addressed(dunned)
        dunned.finance("move", to="suspended")
        dunned.pay()
        mail.outbox.clear()
        send_due([NOTICES])
        assert [each.subject for each in mail.outbox if each.to == [self.address(dunned)]] == [
            "Everything is paid"
        ]
        statement = "SELECT notice, status FROM dunning_notices WHERE organization = %s ORDER BY notice"
        found = write(lambda cur: cur.execute(statement, (dunned.id,)).fetchall())
        assert found == [("past_due", "superseded"), ("recovered", "sent"), ("suspended", "superseded")]

    @pytest.mark.parametrize("ends", ["by itself", "by finance"])
    def test_of_a_stage_wait_for_the_end_of_an_exemption(self, ends: str) -> None:
        dunned = in_arrears()
        self.addressed(dunned)
        dunned.finance("move", to="grace")
        assert dunned.finance("exempt", days=10).status_code == 200
        dunned.finance("move", to="suspended")
        send_due([NOTICES])
        assert self.got(dunned) == []
        if ends == "by itself":
            dunned.on(now_of(dunned.id) + 11 * DAY)
        else:
            assert dunned.finance("end-exemption").status_code == 200
        assert (dunned.state(), dunned.call()) == ("suspended", (403, "suspended"))
        send_due([NOTICES])
        (told,) = self.got(dunned)
        assert told.startswith("Your work is suspended")
        dunned.pay()
        send_due([NOTICES])
        assert self.got(dunned)[1:] == ["Everything is paid"]

    def test_that_wait_for_the_end_of_an_exemption_are_not_sent_after_the_payment(self) -> None:
        dunned = in_arrears()
        self.addressed(dunned)
        dunned.finance("exempt", days=10)
        dunned.finance("move", to="suspended")
        send_due([NOTICES])
        dunned.pay()
        send_due([NOTICES])
        assert self.got(dunned) == ["Everything is paid"]

    def got(self, dunned: Dunned) -> list[str]:
        """The subjects of the letters that it got."""
        return [each.subject for each in mail.outbox if each.to == [self.address(dunned)]]

    def address(self, dunned: Dunned) -> str:
        return f"{dunned.id}@example.com"

    def addressed(self, dunned: Dunned) -> None:
        dunned.made.profile(contact={"email": self.address(dunned)})


class TestTheTimer:
    def test_finds_by_itself_whom_nobody_told_of(self) -> None:
        made, invoice = with_invoice("12.50")
        dunned = Dunned(made, [invoice["id"]])
        made.customer.pass_time(days=40)
        advance_due()
        assert dunned.case().invoices

    def test_of_another_organization_sees_none_of_it(self) -> None:
        dunned, other = in_arrears(), in_arrears()
        path = f"/v1/dunning-cases/{dunned.case().id}"
        stranger = caller(other.id, "billing:read")
        assert stranger.get(path).status_code == 404
        assert [each["id"] for each in stranger.get("/v1/dunning-cases").json()["data"]] == [
            str(other.case().id)
        ]
