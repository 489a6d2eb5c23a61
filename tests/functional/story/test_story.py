"""The story that make run plays: its figures, and that it fails when they are not true."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox.places import CHECKOUT
from sandbox.story import accounting, bill, billing, runaway, working
from sandbox.story.amounts import money, units
from sandbox.story.api import Answer, Sent
from sandbox.story.calls import Done, Refused, Work
from sandbox.story.cast import ANALYST, LOOPING_CALL, REPORT, RESEARCH, SUPPORT
from sandbox.story.checks import InvariantBroken
from sandbox.story.customer import Customer
from sandbox.story.play import Play
from sandbox.story.script import play_story
from sandbox.story.stage import seconds_to_wait
from tests.functional.story.conftest import Theatre

CHECKS = int(re.findall(r"checks (\d+) claims", (CHECKOUT / "README.md").read_text(encoding="utf-8"))[0])


class TestTheStory:
    def test_holds_from_the_first_call_to_the_proof(self, theatre: Theatre) -> None:
        """Calls of the runaway are held at 0.033 and charged 0.015945 each, so 124 fit under 2.00. Of equal ones the
        thirtieth is refused, and of a hundred steps the root run has made one itself."""
        play_story(urls=theatre.urls, demo=theatre.demo, home=theatre.home, transcript=theatre.transcript)
        printed = theatre.printed()
        for figure in (
            "300 of 300 calls   allowed 124   refused 176   run spent 1.97718000 of 2.00000000",
            "spent 1.97718000   held 0.00000000   limit 2.00000000   remaining 0.02282000",
            '"code": "run_ceiling_reached"',
            "100 of 100 calls   allowed  29   refused  71   run spent 0.46240500 of 2.00000000",
            '"trigger": "loop"',
            "200 of 200 calls   allowed  99   refused 101   run spent 1.57855500 of 2.00000000",
            "403 approval_required: agent research-bot",
            "spent 4.97804600   held 0.00000000   limit 5.00000000   remaining 0.02195400",
            "it would have blocked 2 calls worth 0.064875 USD",
            "429 rate_limited: 10 requests an hour, 5 at once; Retry-After 360 s",
            "403 blocked: connection openai-prod",
            "the line: on the invoice  12.50",
            "Unused: Advanced plan      -9.50",
            "allowance 60, credit 10",
            "tax 19 %   31.45",
            "total  196.95",
            "2 deliveries, 50.00 USD",
            "403 suspended: Zephyr Desk",
            "its receiver heard of all of it",
            f"All {CHECKS} checks hold",
        ):
            assert figure in printed

    def test_begins_with_the_same_figures_whatever_was_played_before(self, play: Play) -> None:
        working.morning(play)
        accounting.balance(play)
        assert money(play.account.charged) == "0.16002910"


class TestCharges:
    """Worked by hand from the providers' price lists, in USD for a million tokens."""

    @pytest.mark.parametrize(
        ("agent", "number", "expected"),
        [
            (RESEARCH, 0, "0.01563"),  # 1,150 x 3 + 4,050 x 0.30 + 731 x 15
            (SUPPORT, 0, "0.0012042"),  # (3,212 - 2,048) x 0.25 + 2,048 x 0.025 + 431 x 2
            (REPORT, 1, "0.03021875"),  # 9,871 x 1.25 + (811 + 977) x 10
        ],
    )
    def test_are_those_of_the_list_prices(
        self, play: Play, agent: object, number: int, expected: str
    ) -> None:
        assert isinstance(agent, type(RESEARCH))
        done = play.make(Work(agent, "by-hand", call=agent.call(number)), step=1)
        assert money(done.charged) == money(units(expected))

    def test_of_the_looping_call_are_too(self, play: Play) -> None:
        done = play.make(Work(RESEARCH, "by-hand", call=LOOPING_CALL), step=1)
        assert (money(done.held), money(done.charged)) == ("0.03300000", "0.01594500")

    def test_beyond_the_hold_are_booked_in_full(self, play: Play) -> None:
        done = play.make(Work(REPORT, "by-hand", call=REPORT.call(1)), step=1)
        assert isinstance(done, Done)
        assert (done.charged, done.overage) == (done.held + done.overage, units("0.00584375"))


class TestAPlay:
    def test_fails_when_money_went_that_no_agent_committed(self, play: Play) -> None:
        working.morning(play)
        play.stage.api.make(
            "/v1/usage",
            {
                "source": "elsewhere", "id": "1", "subject": {"agent": SUPPORT.key}, "amount": "0.00000001",
                "action": {"kind": "custom"}, "occurred_at": datetime.now(UTC).isoformat(), "outcome": "completed",
            },
        )  # fmt: skip
        with pytest.raises(InvariantBroken, match="Invariant L3 does not hold"):
            accounting.balance(play)
        with pytest.raises(InvariantBroken, match="Invariant S5 does not hold"):
            accounting.budgets(play)

    def test_fails_when_no_rule_stops_what_should_be_stopped(self, play: Play) -> None:
        with pytest.raises(InvariantBroken, match="Invariant S33 does not hold"):
            runaway.swarm(play, "no policy was made")

    def test_fails_when_somebody_else_used_the_customers_credit(self, play: Play, customer: Customer) -> None:
        billing.subscribe(play, customer)
        customer.api.make(
            "/v1/usage",
            {
                "source": "elsewhere", "id": "1", "subject": {"agent": ANALYST.key}, "amount": "0.01",
                "action": {"kind": "custom"}, "occurred_at": customer.now().isoformat(), "outcome": "completed",
            },
        )  # fmt: skip
        with pytest.raises(InvariantBroken, match="Invariant S75 does not hold"):
            billing.burn(play, customer)

    def test_fails_when_an_invoice_has_a_line_that_nobody_ordered(
        self, play: Play, customer: Customer
    ) -> None:
        subscription = billing.subscribe(play, customer)
        billing.burn(play, customer)
        billing.meter(play, customer)
        billing.upgrade(play, customer, subscription)
        more = {"description": "Handling", "amount": "0.01", "currency": "USD"}
        customer.platform.make("/v1/invoice-items", more | {"organization": customer.organization})
        with pytest.raises(InvariantBroken, match="Invariant S75 does not hold"):
            bill.invoice(play, customer)

    def test_finds_the_refusal_that_stopped_a_run_behind_those_that_it_caused(self) -> None:
        """Of eight calls at once, one that the stop refuses may be answered before the one that was too many."""
        bindings = [{"scope": "run", "reason": "the run repeats itself"}, {"scope": "run", "repeats": 30}]
        work, sent = Work(RESEARCH, "run", call=LOOPING_CALL), Sent("POST", "/v1/reservations", None, None)
        refused = [
            Refused(
                work, Answer(sent, 403, b"", {"code": "loop_detected", "binding": binding}, is_replay=False)
            )
            for binding in bindings
        ]
        assert runaway.that_stopped(refused).binding["repeats"] == 30

    def test_ends_with_a_message_and_status_1_when_nothing_runs(self, tmp_path: Path) -> None:
        answer = subprocess.run(
            [sys.executable, "-m", "sandbox.story"],
            cwd=CHECKOUT, env={"COUNTERFOIL_HOME": str(tmp_path)}, capture_output=True, text=True,
        )  # fmt: skip
        assert answer.returncode == 1
        assert "The story does not hold" in answer.stdout
        assert "make run" in answer.stdout

    def test_waits_when_its_day_is_about_to_end(self) -> None:
        assert seconds_to_wait(datetime(2026, 3, 1, 12, 0, tzinfo=UTC)) == 0
        assert seconds_to_wait(datetime(2026, 3, 1, 23, 59, 0, tzinfo=UTC)) == 61
