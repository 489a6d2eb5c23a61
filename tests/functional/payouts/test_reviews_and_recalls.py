"""When finance holds a partner no more, and when a payout is asked back from the bank more than once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from payouts.models import Partner
from payouts.operations.paying.machine import RECALL
from payouts.operations.paying.reconciling import reconcile
from tests.builders.orgs import platform, unique
from tests.builders.payments import findings, kinds
from tests.builders.payouts import Earner, partner
from tests.builders.stripe import Simulator
from tests.functional.billing.test_admin import staff
from tests.functional.payouts.test_payout_guards import decided, moves, problem, terms
from tests.invariants import Still, assert_sound


def released(made: Earner, way: str) -> None:
    """Finance holds the partner no more."""
    if way == "api":
        terms(made, hold_reason=None)
        return
    _, client = staff("view_partner", "change_partner")
    row = Partner.objects.get(organization=made.id)
    body = {"action": "release", "_selected_action": [str(row.id)]}
    page = f"/admin/payouts/partner/?organization={made.id}"
    assert client.post(page, body, follow=True).status_code == 200


def reviewed(simulator: Simulator, cents: int = 5_000) -> Earner:
    """A partner that finance holds, with a payout that is held for it."""
    made = partner(simulator, cents=cents)
    terms(made, hold_reason="fraud")
    made.asked()
    assert (made.state(), made.payout().hold) == ("held", "review")
    return made


class TestAPartnerThatFinanceHoldsNoMore:
    @pytest.mark.parametrize("way", ["api", "admin"])
    def test_is_paid_what_was_held_for_that(self, stripe_simulator: Simulator, way: str) -> None:
        made = reviewed(stripe_simulator)

        released(made, way)

        assert (made.state(), made.payout().reviewed_by) == ("approved", None)
        made.send()
        made.arrive()
        assert (made.state(), len(made.transfers())) == ("paid", 1)
        assert_sound(made.id)

    def test_still_waits_for_a_second_person(self, stripe_simulator: Simulator) -> None:
        made = reviewed(stripe_simulator, cents=150_000)
        released(made, "api")
        assert (made.state(), made.commands()) == ("pending_approval", [])

    def test_still_waits_for_what_else_hinders_it(self, stripe_simulator: Simulator) -> None:
        made = reviewed(stripe_simulator)
        moves(made)
        released(made, "api")
        assert (made.state(), made.payout().hold) == ("held", "destination_changed")

    def test_has_nothing_sent_that_is_held_by_hand(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.asked()
        assert decided(made, "hold", reason="Looks odd") == "held manual"
        terms(made, hold_reason="fraud")
        released(made, "api")
        assert (made.state(), made.payout().hold) == ("held", "manual")

    def test_changes_nothing_where_finance_still_does(self, stripe_simulator: Simulator) -> None:
        made = reviewed(stripe_simulator)
        terms(made, schedule="monthly")
        assert (made.state(), made.payout().hold) == ("held", "review")


def reverse(made: Earner) -> Any:
    body = {"reason": "The bank says: try again"}
    return platform().post(f"/v1/payouts/{made.payout().id}/reverse", body, key=unique())


def failed(simulator: Simulator) -> Earner:
    """A paid payout that the bank was to give back, and did not."""
    made = partner(simulator, cents=5_000)
    made.paid()
    assert reverse(made).status_code == 200
    made.send()
    simulator.decide(payout=made.payout().recall, on=made.account, to="failed")
    made.hear()
    assert (made.state(), made.payout().recall, kinds(made.id)) == ("paid", None, ["payout_not_reversed"])
    return made


class TestAPayoutThatIsAskedBack:
    def test_is_asked_for_once_while_that_has_not_ended(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.paid()
        assert reverse(made).status_code == 200
        with Still(made.id):
            assert problem(reverse(made)) == (409, "invalid_transition")
        made.send()
        assert made.payout().recall is not None
        with Still(made.id):
            assert problem(reverse(made)) == (409, "invalid_transition")
        assert len(made.commands(RECALL)) == 1

    def test_is_asked_for_anew_after_it_failed(self, stripe_simulator: Simulator) -> None:
        made = failed(stripe_simulator)

        assert reverse(made).status_code == 200

        made.send()
        first, second = made.commands(RECALL)
        assert (first.state, second.state, first.key != second.key) == ("succeeded", "succeeded", True)
        assert made.payout().recall == second.object_id != first.object_id
        made.hear()  # of the first one, too
        assert (made.state(), made.payout().recall) == ("paid", second.object_id)
        made.arrive()
        made.send()
        made.hear()
        assert (made.state(), made.money(), kinds(made.id)) == ("reversed", {"partner_payable": 5_000}, [])
        assert_sound(made.id)

    def test_is_no_finding_again_after_a_person_settled_it(self, stripe_simulator: Simulator) -> None:
        made = failed(stripe_simulator)
        (finding,) = findings(made.id)
        path = f"/v1/findings/{finding.id}/resolve"
        assert platform().post(path, {"reason": "the partner pays"}, key=unique()).status_code == 200
        ends = datetime.now(UTC) + timedelta(days=9)

        with Still(made.id):
            made.hear()
            reconcile(ends - timedelta(days=11), ends)

        assert kinds(made.id) == []
