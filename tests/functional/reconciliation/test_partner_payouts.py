"""What partners were paid is known to the nightly run: no transfer of ours, and no reversal of one, is money of
nobody (S108)."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.queries.integrity import violations
from orgs import PLATFORM_ID
from payouts.operations.paying.machine import REVERSAL
from payouts.queries.payingintegrity import violations as payout_violations
from tests.builders.books import rows
from tests.builders.orgs import platform, write
from tests.builders.payouts import CENT, Earner, partner
from tests.builders.reconciling import Day, suspense
from tests.invariants import assert_sound

ROWS = ("balance_rows", "items", "roll_forward")
HEARD = ("catch_up", *ROWS)
NIGHT = ("catch_up", "partner_payouts", *ROWS, "recheck")


def reverse(made: Earner, *cents: int) -> None:
    """What somebody does in the processor's dashboard."""
    for amount in cents:
        given: Any = {"amount": amount}
        made.stripe.sdk().v1.transfers.reversals.create(made.transfers()[0].id, given)


def paid(day: Day) -> Earner:
    """A partner whose payout of 50.00 is at the bank at once: what is dated ahead is not compared yet."""
    made = partner(day.simulator, cents=5_000)
    made.asked()
    made.send()
    made.stripe.decide(payout=made.payout().payout, on=made.account, to="paid")
    made.hear()
    assert made.state() == "paid"
    return made


def entries() -> int:
    """How many entries there are in all books."""
    return int(rows("SELECT count(*) FROM v_entries")[0][0])


def told(day: Day) -> list[tuple[str, str]]:
    """What is open."""
    return [(one.kind, one.name) for one in day.differences("open")]


def balanced(day: Day, made: Earner) -> None:
    """Fail unless the books say what the processor holds, and each reversal is in them once."""
    books, there = day.moved()
    assert books == there
    assert [one for one in write(payout_violations) if one.organization == made.id] == []
    assert [one for one in write(violations) if one.organization in (made.id, PLATFORM_ID)] == []
    assert_sound(made.id)


def test_a_transfer_of_ours_stands_behind_its_row_of_the_balance(day: Day) -> None:
    before = suspense()
    made = partner(day.simulator, cents=5_000)
    made.paid()
    (transfer,) = made.transfers()

    run = day.run("partner_payouts", "balance_rows", "items")

    assert run.error is None
    assert run.done["partner_payouts"]["compared"] >= 2  # the transfer and the payout
    assert [one for one in day.differences("open") if transfer.id in one.subject] == []
    assert made.money() == {"processor_clearing": 5_000}
    assert suspense() == before


class TestTheReversalOfATransfer:
    def test_whose_row_comes_first_leaves_suspense_once_it_is_told(self, day: Day) -> None:
        before = suspense()
        made = paid(day)
        reverse(made, 2_000)

        day.run(*ROWS)
        assert (suspense() - before, told(day)) == (2_000 * CENT, [("suspense", "category")])
        balanced(day, made)

        made.hear()
        assert made.money() == {"cash": 2_000, "processor_clearing": 3_000}
        assert day.moved()[0] == day.moved()[1] + 2_000
        run = day.run(*ROWS)

        assert (run.done["items"]["repaired"], suspense() - before, told(day)) == (1, 0, [])
        balanced(day, made)
        moved = entries()
        day.run(*NIGHT)
        assert (entries(), told(day)) == (moved, [])

    def test_that_is_told_first_is_never_in_suspense(self, day: Day) -> None:
        before = suspense()
        made = paid(day)
        reverse(made, 500, 1_500)

        run = day.run(*HEARD)

        assert made.payout().taken_back == 2_000 * CENT
        assert sorted(made.payout().reversals.values()) == [500 * CENT, 1_500 * CENT]
        assert (run.done["items"]["compared"], suspense() - before, told(day)) == (1, 0, [])  # the funds
        balanced(day, made)
        reverse(made, 3_000)
        day.run(*HEARD)
        assert (made.state(), made.money()) == ("reversed", {"partner_payable": 5_000})
        assert (suspense() - before, told(day)) == (0, [])
        balanced(day, made)
        moved = entries()
        day.run(*NIGHT)
        assert entries() == moved

    def test_that_we_asked_for_is_known_by_the_answer_alone(self, day: Day) -> None:
        before = suspense()
        made = paid(day)
        reverse(made, 700)
        made.hear()
        made.stripe.decide(payout=made.payout().payout, on=made.account, to="failed")
        made.hear()
        made.send()
        (command,) = made.commands(REVERSAL)

        assert made.payout().reversals[command.object_id or ""] == 4_300 * CENT
        day.run(*ROWS)
        assert (made.state(), made.money(), suspense() - before) == ("failed", {"partner_payable": 5_000}, 0)
        balanced(day, made)
        version = made.payout().version
        made.hear()
        assert made.payout().version == version

    def test_in_more_parts_than_the_processor_shows_is_known_in_all_of_them(self, day: Day) -> None:
        before = suspense()
        made = paid(day)
        reverse(made, *range(101, 114))

        day.run(*HEARD)

        assert len(made.payout().reversals) == 13
        assert (made.payout().taken_back, suspense() - before) == (sum(range(101, 114)) * CENT, 0)
        balanced(day, made)

    def test_that_nobody_told_is_found_at_night(self, day: Day) -> None:
        before = suspense()
        made = paid(day)
        day.run("catch_up")
        reverse(made, 1_000)

        run = day.run("partner_payouts", *ROWS)

        assert (run.done["partner_payouts"]["repaired"], made.payout().taken_back) == (1, 1_000 * CENT)
        assert (suspense() - before, told(day)) == (0, [])
        balanced(day, made)

    def test_that_was_called_foreign_meanwhile_is_released_all_the_same(self, day: Day) -> None:
        before = suspense()
        made = paid(day)
        reverse(made, 2_001)
        day.run(*ROWS)
        (item,) = (
            each
            for each in platform().get("/v1/suspense", status="suspense", limit="100").json()["data"]
            if each["amount"] == "20.01"
        )
        answer = platform().post(f"/v1/suspense/{item['id']}/mark-foreign", {"reason": "not ours"})
        assert (answer.status_code, suspense() - before) == (200, 2_001 * CENT)

        made.hear()
        day.run(*ROWS)

        assert (suspense() - before, told(day)) == (0, [])
        balanced(day, made)

    @pytest.mark.parametrize("steps", [ROWS, NIGHT], ids=["rows", "night"])
    def test_that_is_not_ours_stays_in_suspense_with_a_finding(
        self, day: Day, steps: tuple[str, ...]
    ) -> None:
        before = suspense()
        made = partner(day.simulator, cents=5_000)
        given: Any = {"amount": 900, "currency": "usd", "destination": made.account}
        made.stripe.sdk().v1.transfers.create(given)
        reverse(made, 400)

        day.run(*steps)
        day.run(*steps)

        assert suspense() - before == -500 * CENT
        assert told(day) == [("suspense", "category")] * 2
        assert made.money() == {"partner_payable": 5_000}
        balanced(day, made)
