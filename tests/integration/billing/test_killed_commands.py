"""A command whose sender dies, whose connection is cut, or whose calls fail: one charge, one refund, whatever happens.

The clock of the later tries is handed in; the processor is the simulator, over HTTP.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from django.conf import settings

from billing.operations.commands import deliver
from billing.operations.payments.charging import request_cancellation, request_charge
from billing.operations.payments.methods import choose_method, detach_method, request_setup
from billing.operations.payments.refunding import refund_payment
from billing.queries.commands import find_command
from billing.queries.payments import find_payment
from billing.rules.payments.commands import OPEN_STATES
from common.clock import wall_now
from common.errors import ServiceUnavailable
from common.ids import new_id
from events.store import Cursor
from ledger.operations.books import lock_books
from tests.builders.billing import CENT
from tests.builders.books import balances
from tests.builders.cutting import dying_after
from tests.builders.orgs import AUTHOR, write
from tests.builders.paying import Payer, payer, paying
from tests.builders.sizes import IS_FULL
from tests.builders.stripe import Simulator
from tests.integration.billing.sending_command import killed_while_sending

STEP: Final = timedelta(minutes=61)
STEPS: Final = 1 if IS_FULL else 14
"""Of so many statements one is cut at, each at another place; FULL=1: every one."""
KILL_STEPS: Final = 1 if IS_FULL else 20


def later(by: timedelta) -> Callable[[Cursor], datetime]:
    """A wall clock that is ahead by so much."""
    return lambda cur: wall_now(cur) + by


def finish(made: Payer, *, tries: int = 6, start: timedelta = STEP) -> None:
    """Send what is left again and again, an hour later each time, until nothing is."""
    by = start
    for _ in range(tries):
        for command in made.commands(None, *OPEN_STATES):
            deliver(command.id, clock=later(by))
        by += STEP


def charge(made: Payer) -> UUID:
    """A charge of 10.00 for credit, asked for; its command."""
    write(
        lambda cur: request_charge(
            cur,
            lock_books(cur, made.id),
            purpose="top_up",
            invoice=None,
            amount=1_000 * CENT,
            cause="manual",
            author=AUTHOR,
        )
    )
    return made.commands("create_payment")[-1].id


def give_back(made: Payer) -> UUID:
    """A refund of 10.00, asked for; its command."""
    if not made.payments():
        charge(made)
        made.send()
    payment = made.payments()[-1][0]
    command = write(
        lambda cur: refund_payment(
            cur,
            organization=made.id,
            payment=payment,
            amount=5 * CENT,
            reason="duplicate",
            note="test",
            author=AUTHOR,
        )
    )
    return command.id


def leave(made: Payer) -> UUID:
    """A setup, asked for."""
    asked = write(lambda cur: request_setup(cur, organization=made.id, identifier=new_id(), author=AUTHOR))
    return asked.id


def choose(made: Payer) -> UUID:
    """Another method chosen."""
    while len(made.methods()) < 2:
        made.add_method()
    other = next(one["id"] for one in made.methods() if not one["is_default"])
    write(lambda cur: choose_method(cur, organization=made.id, method=other, author=AUTHOR))
    return made.commands("update_customer")[-1].id


def detach(made: Payer) -> UUID:
    """A method detached."""
    gone = made.add_method()
    write(lambda cur: detach_method(cur, organization=made.id, method=gone, author=AUTHOR))
    return made.commands("detach_method")[-1].id


def cancel(made: Payer) -> UUID:
    """A payment that waits for its customer cancelled; the command."""
    made.stripe.next_payment("*", "authenticate")
    charge(made)
    made.send()
    waiting = made.commands("create_payment")[-1]
    intent = write(lambda cur: find_payment(cur, organization=made.id, payment=made.payments()[-1][0])).intent
    assert intent is not None
    write(
        lambda cur: request_cancellation(
            cur, organization=made.id, intent=intent, customer=waiting.order_key, author=AUTHOR
        )
    )
    return made.commands("cancel_payment")[-1].id


ASKED: Final[dict[str, Callable[[Payer], UUID]]] = {
    "payment": charge,
    "refund": give_back,
    "setup": leave,
    "choosing": choose,
    "detaching": detach,
    "cancelling": cancel,
}
EVENTS: Final = {"detaching": "payment_method.detached", "cancelling": "payment_intent.canceled"}
LISTS: Final[dict[str, Callable[[Any], Any]]] = {
    "payment": lambda v1: v1.payment_intents,
    "refund": lambda v1: v1.refunds,
    "setup": lambda v1: v1.setup_intents,
}


def effects(made: Payer, kind: str, command: UUID) -> int:
    """How often this command, or a later generation of it, was done at the processor."""
    asked, v1 = next(one for one in made.commands() if one.id == command), made.stripe.sdk().v1
    if kind == "choosing":
        there: Any = v1.customers.retrieve(str(asked.target))
        chosen = there.invoice_settings.default_payment_method
        return int(chosen == asked.params["invoice_settings"]["default_payment_method"])
    if kind in EVENTS:
        told = v1.events.list({"type": EVENTS[kind], "limit": 100}).auto_paging_iter()
        return sum(1 for one in told if one.data.object["id"] == asked.target)
    ids = {str(one.id) for one in made.commands() if one.business_key == asked.business_key}
    found = LISTS[kind](v1).list({"limit": 100}).auto_paging_iter()
    return sum(1 for one in found if "command" in one.metadata and one.metadata["command"] in ids)


def assert_once(made: Payer, kind: str, command: UUID) -> None:
    """Done once at the processor and here."""
    newest = next(one for one in made.commands() if one.id == command)
    states = [one.state for one in made.commands() if one.business_key == newest.business_key]
    assert states[-1] == "succeeded", states
    assert effects(made, kind, command) == 1
    if kind == "detaching":
        assert newest.target not in [one["id"] for one in made.methods()]


class TestACutConnection:
    @pytest.mark.parametrize("kind", ASKED)
    def test_at_every_statement_leads_to_one_effect_of_a(
        self, kind: str, stripe_simulator: Simulator
    ) -> None:
        made = paying(stripe_simulator)
        cuts, is_cut = 0, True
        while is_cut:
            command = ASKED[kind](made)
            try:
                with dying_after(statements=STEPS * cuts + 1 + cuts % STEPS):
                    deliver(command)
                is_cut = False
            except ServiceUnavailable:
                cuts += 1
            finish(made)
            assert_once(made, kind, command)
        assert cuts * STEPS > 10
        made.made.assert_sound()

    @pytest.mark.parametrize("kind", ASKED)
    def test_at_every_commit_leads_to_one_effect_of_a(self, kind: str, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        for commit in (1, 2, 3, 4):
            command = ASKED[kind](made)
            try:
                with dying_after(commits=commit):
                    deliver(command)
            except ServiceUnavailable:
                pass
            finish(made)
            assert_once(made, kind, command)
        made.made.assert_sound()

    def test_at_every_statement_makes_one_customer(self, stripe_simulator: Simulator) -> None:
        for cut in range(1, 40, 3):
            made = payer(stripe_simulator)
            try:
                with dying_after(statements=cut):
                    made.setup()
            except ServiceUnavailable:
                pass
            finish(made)
            assert made.setup().status_code == 201
            ids = [
                one.id
                for one in stripe_simulator.sdk().v1.customers.list({"limit": 100})
                if one.metadata["organization"] == str(made.id)
            ]
            assert len(ids) == 1


class TestAKilledSender:
    @pytest.mark.parametrize("kind", ASKED)
    def test_leads_to_one(self, kind: str, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        killed = 0
        for statement in range(1, 400, KILL_STEPS):
            command = ASKED[kind](made)
            is_killed = killed_while_sending(command, statement=statement)
            finish(made)
            assert_once(made, kind, command)
            if not is_killed:
                break
            killed += 1
        print(f"{kind}: killed at {killed} places")
        assert killed * KILL_STEPS > 10
        made.made.assert_sound()


KINDS: Final = (
    "rate_limit", "lock_timeout", "conflict", "error_before", "error_after", "timeout_before", "timeout_after",
    "reset_before", "reset_after", "html_502", "truncated",
)  # fmt: skip


class TestAFailingCall:
    @pytest.mark.parametrize("kind", KINDS)
    def test_whichever_it_is_leads_to_one_charge_and_one_refund(
        self, kind: str, stripe_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(settings, "STRIPE_TIMEOUT_SECONDS", (1, 1))
        made = paying(stripe_simulator)
        for nth in (1, 2):
            stripe_simulator.fail({"kind": kind, "nth": nth, "count": 2, "seconds": 2, "method": "POST"})
            command = charge(made)
            deliver(command)
            finish(made)
            assert_once(made, "payment", command)
            stripe_simulator.fail({"kind": kind, "nth": nth, "count": 2, "seconds": 2, "method": "POST"})
            back = give_back(made)
            deliver(back)
            finish(made)
            assert_once(made, "refund", back)
        stripe_simulator.fail()
        assert made.charged() == [1_000, 1_000]
        assert made.refunded() == [5, 5]
        assert balances(made.id)["customer_credit"] == 1_990 * CENT
        made.made.assert_sound()


class TestAKeyThatIsForgotten:
    """After 23 hours nothing is sent under the same key: it is looked up (the processor forgets keys after 24)."""

    def test_of_a_charge_that_was_made_is_found_and_taken_over(
        self, stripe_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(settings, "STRIPE_TIMEOUT_SECONDS", (1, 1))
        made = paying(stripe_simulator)
        stripe_simulator.fail(
            {"kind": "timeout_after", "method": "POST", "path": "/v1/payment_intents", "seconds": 2}
        )
        command = charge(made)
        assert deliver(command).state == "unknown"
        stripe_simulator.fail()
        stripe_simulator.advance(25 * 3600)
        key = write(lambda cur: find_command(cur, command)).key
        sent = len(stripe_simulator.requests("POST", "/v1/payment_intents", key=key))

        done = deliver(command, clock=later(timedelta(hours=25)))

        assert (done.state, made.charged()) == ("succeeded", [1_000])
        assert len(stripe_simulator.requests("POST", "/v1/payment_intents", key=key)) == sent
        assert balances(made.id)["customer_credit"] == 1_000 * CENT

    def test_of_a_charge_that_was_never_made_is_asked_for_anew_after_two_looks_an_hour_apart(
        self, stripe_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = paying(stripe_simulator)
        stripe_simulator.fail({"kind": "reset_before", "method": "POST", "path": "/v1/payment_intents"})
        command = charge(made)
        assert deliver(command).state == "unknown"
        stripe_simulator.fail()

        hours = timedelta(hours=24)
        states = [
            deliver(command, clock=later(hours + after)).state
            for after in (timedelta(0), timedelta(minutes=59), timedelta(minutes=61))
        ]

        assert states == ["unknown", "unknown", "lapsed"]
        assert made.charged() == []
        first, second = made.commands("create_payment")
        assert (first.generation, second.generation, first.key != second.key) == (1, 2, True)
        finish(made, start=hours + 2 * STEP)
        assert made.charged() == [1_000]
        assert balances(made.id)["customer_credit"] == 1_000 * CENT
