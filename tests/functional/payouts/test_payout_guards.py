"""What keeps a payout's money from being paid twice, to the wrong account, or by the word of one person."""

from __future__ import annotations

from typing import Any

from tests.builders.orgs import platform, unique, write
from tests.builders.payouts import partner
from tests.builders.stripe import Simulator
from tests.invariants import Still, assert_sound


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


class TestTheBooksOfAPayout:
    def test_are_not_reversed_by_hand(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.paid()
        stripe_simulator.decide(payout=made.payout().payout, on=made.account, to="failed")
        made.hear()
        made.send()
        statement = (
            "SELECT kind, id FROM journal_entries WHERE organization = %s AND kind LIKE 'payout%%' ORDER BY 1"
        )
        entries = write(lambda cur: cur.execute(statement, (made.id,)).fetchall())
        assert [kind for kind, _ in entries] == [
            "payout_paid", "payout_requested", "payout_returned", "payout_transferred", "payout_transferred_back",
        ]  # fmt: skip

        with Still(made.id):
            for _, entry in entries:
                answer = platform().post(f"/v1/entries/{entry}/reverse", {"reason": "no"}, key=unique())
                assert problem(answer) == (409, "invalid_transition")

        assert made.money() == {"partner_payable": 5_000}
        assert_sound(made.id)

    def test_are_not_adjusted_by_hand(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.asked()
        body = {
            "organization": str(made.id), "direction": "credit", "amount": "50.00", "currency": "USD",
            "contra": "payout_in_transit", "reason": "no",
        }  # fmt: skip
        with Still(made.id):
            answer = platform().post("/v1/adjustments", body, key=unique())
        assert answer.status_code in (400, 422), answer.content
