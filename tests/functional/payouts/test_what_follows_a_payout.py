"""What happens to a partner's money after it was paid out, from the card to the bank and back: each ends right in the
books and at the processor, and the partner reads on its statements what became of it."""

from __future__ import annotations

from typing import Any

import pytest

from payouts.operations.paying.batches import run_batches
from tests.builders.orgs import platform, unique
from tests.builders.partner_money import Buyer, Story, stated
from tests.builders.payouts import Earner
from tests.builders.stripe import Simulator


@pytest.fixture
def story(stripe_simulator: Simulator) -> Story:
    """A processor with some money of the platform."""
    return Story(stripe_simulator)


def paid_out(story: Story, cents: int = 5_000) -> tuple[Earner, Buyer, str]:
    """A partner that was paid what a customer's call brought, its customer, and the charge."""
    earner = story.earner()
    buyer = story.buyer(earner)
    charge = buyer.buy(cents)
    buyer.use(cents)
    earner.asked()
    earner.send()
    story.simulator.decide(payout=earner.payout().payout, on=earner.account, to="paid")
    story.hear()
    assert (earner.state(), earner.money()) == ("paid", {"processor_clearing": cents})
    return earner, buyer, charge


def figures(statement: dict[str, Any]) -> tuple[int, ...]:
    """(opening, earned, clawed back, paid out, closing), then (before, received, taken back, payable, in transit)."""
    names = ("opening", "earned", "clawed_back", "paid_out", "closing",
             "payable_opening", "received", "taken_back", "payable", "in_transit")  # fmt: skip
    return tuple(statement[name] for name in names)


def kinds(statement: dict[str, Any]) -> list[tuple[str, int]]:
    return [(one["kind"], one["amount"]) for one in statement["payouts"]]


class TestARefundAfterThePayout:
    def test_is_carried_forward_and_made_up_for_by_what_comes_next(self, story: Story) -> None:
        earner, buyer, charge = paid_out(story)
        first = stated(earner)
        assert figures(first) == (0, 5_000, 0, 5_000, 0, 0, 5_000, 0, 0, 0)
        assert [(one["customer"], one["share"]) for one in first["lines"]] == [
            (buyer.known_to(earner), 5_000)
        ]
        assert kinds(first) == [("payout_requested", 5_000)]

        story.simulator.refund(charge, 2_000)
        story.hear()
        story.settle()

        assert earner.money() == {"partner_payable": -2_000, "processor_clearing": 5_000}
        answer = earner.ask()
        assert (answer.status_code, answer.json()["code"]) == (422, "below_minimum_payout")
        story.assert_right()
        second = stated(earner)
        assert figures(second) == (0, 0, 0, 0, 0, 0, 0, 2_000, -2_000, 0)
        assert second["collections"] == [
            {"customer": buyer.known_to(earner), "received": 0, "taken_back": 2_000}
        ]

        buyer.buy(5_500)
        buyer.use(3_500)
        assert earner.money()["partner_payable"] == 3_500
        assert earner.ask().json()["amount"] == "35.00"
        story.assert_right()
        third = stated(earner)
        assert figures(third) == (0, 3_500, 0, 3_500, 0, -2_000, 5_500, 0, 0, 3_500)


class TestADisputeThatCostsMoreThanThePayment:
    @pytest.mark.parametrize("refunded", [0, 2_000], ids=["alone", "after-a-refund"])
    def test_takes_back_the_share_and_not_more(self, story: Story, refunded: int) -> None:
        earner, buyer, charge = paid_out(story)
        stated(earner)
        if refunded:
            story.simulator.refund(charge, refunded)
            story.hear()
            story.settle()

        dispute = story.simulator.dispute(charge)
        story.hear()
        story.settle()
        story.assert_right()
        story.simulator.close_dispute(dispute["id"], "lost")
        story.hear()
        story.settle()

        assert earner.money() == {"partner_payable": -5_000, "processor_clearing": 5_000}
        story.assert_right()
        second = stated(earner)
        assert figures(second) == (0, 0, 0, 0, 0, 0, 0, 5_000, -5_000, 0)
        assert second["collections"] == [
            {"customer": buyer.known_to(earner), "received": 0, "taken_back": 5_000}
        ]
        assert figures(stated(earner)) == (0, 0, 0, 0, 0, -5_000, 0, 0, -5_000, 0)

    def test_gives_the_share_back_when_it_is_won(self, story: Story) -> None:
        earner, _, charge = paid_out(story)
        dispute = story.simulator.dispute(charge)
        story.hear()
        story.settle()
        assert earner.money()["partner_payable"] == -5_000
        first = stated(earner)
        assert figures(first) == (0, 5_000, 0, 5_000, 0, 0, 5_000, 5_000, -5_000, 0)

        story.simulator.close_dispute(dispute["id"], "won")
        story.hear()
        story.settle()

        assert earner.money() == {"processor_clearing": 5_000}
        story.assert_right()
        assert figures(stated(earner)) == (0, 0, 0, 0, 0, -5_000, 5_000, 0, 0, 0)


class TestAPayoutThatFailsAfterItWasPaid:
    @pytest.mark.parametrize("months", [0, 1], ids=["same-month", "next-month"])
    def test_is_the_partners_again_and_on_its_statement(self, story: Story, months: int) -> None:
        earner, _, _ = paid_out(story)
        if months:
            assert figures(stated(earner)) == (0, 5_000, 0, 5_000, 0, 0, 5_000, 0, 0, 0)

        story.simulator.decide(
            payout=earner.payout().payout, on=earner.account, to="failed", code="account_closed"
        )
        story.hear()
        earner.send()
        story.hear()

        assert (earner.state(), earner.money()) == ("failed", {"partner_payable": 5_000})
        story.assert_right()
        found = stated(earner)
        if months:
            assert figures(found) == (0, 0, 0, -5_000, 5_000, 0, 0, 0, 5_000, 0)
            assert kinds(found) == [("payout_returned", -5_000)]
        else:
            assert figures(found) == (0, 5_000, 0, 0, 5_000, 0, 5_000, 0, 5_000, 0)
            assert kinds(found) == [("payout_requested", 5_000), ("payout_returned", -5_000)]
        assert earner.ask().json()["amount"] == "50.00"
        assert figures(stated(earner))[3:5] == (5_000, 0)


class TestAnAccountThatIsDisabledInTheMiddleOfABatch:
    def test_has_its_payout_held_while_the_others_are_paid(self, story: Story) -> None:
        earners = [story.earner() for _ in range(3)]
        for earner in earners:
            buyer = story.buyer(earner)
            buyer.buy(2_000)
            buyer.use(2_000)
        platform().post("/v1/payouts/batch", key=unique())
        run_batches()
        closed = earners[1]

        story.simulator.decide(account=closed.account, to="restricted")
        story.hear()
        for earner in earners:
            earner.send()
        for earner in earners[::2]:
            story.simulator.decide(payout=earner.payout().payout, on=earner.account, to="paid")
        story.hear()

        assert [earner.state() for earner in earners] == ["paid", "held", "paid"]
        assert (closed.payout().hold, closed.transfers()) == ("account_not_ready", [])
        assert closed.money() == {"payout_in_transit": 2_000}
        story.assert_right()
        for earner in earners:
            on_its_way = 2_000 if earner is closed else 0
            assert figures(stated(earner)) == (0, 2_000, 0, 2_000, 0, 0, 2_000, 0, 0, on_its_way)

        path = f"/v1/payouts/{closed.payout().id}/reject"
        answer = platform().post(path, {"reason": "The account is closed"}, key=unique())
        assert (answer.status_code, closed.state()) == (200, "canceled"), answer.content
        assert closed.money() == {"partner_payable": 2_000}
        story.assert_right()
        second = stated(closed)
        assert figures(second) == (0, 0, 0, -2_000, 2_000, 0, 0, 0, 2_000, 0)
        assert kinds(second) == [("payout_returned", -2_000)]
