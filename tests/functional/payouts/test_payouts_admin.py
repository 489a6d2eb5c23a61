"""Payouts in the admin: four eyes, holds, and what the pages show."""

from __future__ import annotations

from typing import Any

from django.test import Client

from payouts.operations.statements import make_statement
from tests.builders.orgs import write
from tests.builders.payouts import partner
from tests.builders.stripe import Simulator
from tests.functional.billing.test_admin import staff

PAGE = "/admin/payouts/payout/"


def acts(client: Client, action: str, payout: Any, **given: str) -> str:
    body = {"action": action, "_selected_action": [str(payout)], **given}
    return client.post(PAGE, body, follow=True).content.decode()


def test_a_payout_above_the_limit_is_approved_by_a_person_and_sent(stripe_simulator: Simulator) -> None:
    made = partner(stripe_simulator, cents=150_000)
    payout = made.asked()
    user, client = staff("view_payout", "change_payout")
    assert made.state() == "pending_approval"

    acts(client, "approve", payout)

    assert (made.state(), made.payout().approved_by) == ("approved", f"staff:{user.pk}")
    made.send()
    made.arrive()
    assert made.state() == "paid"


def test_nobody_approves_what_he_asked_for(stripe_simulator: Simulator) -> None:
    from orgs.operations.facts import Author
    from payouts.operations.paying.requesting import request_payout

    made = partner(stripe_simulator, cents=150_000)
    user, client = staff("view_payout", "change_payout")
    author = Author(f"staff:{user.pk}")
    found = write(
        lambda cur: request_payout(cur, organization=made.id, amount=None, cause="platform", author=author)
    )

    acts(client, "approve", found.id)

    assert made.state() == "pending_approval"


def test_a_payout_is_held_released_and_rejected(stripe_simulator: Simulator) -> None:
    made = partner(stripe_simulator, cents=5_000)
    payout = made.asked()
    _, client = staff("view_payout", "change_payout")

    acts(client, "hold", payout)
    assert made.state() == "approved"  # a hold has a reason
    acts(client, "hold", payout, reason="Looks odd")
    assert (made.state(), made.payout().hold_note) == ("held", "Looks odd")
    acts(client, "release", payout)
    assert made.state() == "approved"
    acts(client, "reject", payout, reason="Wrong")
    assert (made.state(), made.money()) == ("canceled", {"partner_payable": 5_000})


def test_who_may_only_look_decides_nothing(stripe_simulator: Simulator) -> None:
    made = partner(stripe_simulator, cents=5_000)
    payout = made.asked()
    _, client = staff("view_payout")
    acts(client, "reject", payout, reason="Wrong")
    assert made.state() == "approved"
    assert client.get(PAGE).status_code == 200


def test_batches_and_statements_are_shown(stripe_simulator: Simulator) -> None:
    made = partner(stripe_simulator, cents=5_000)
    made.later(days=40)
    statement = write(lambda cur: make_statement(cur, organization=made.id))
    assert statement is not None
    _, client = staff("view_partnerstatement", "view_payoutbatch")
    assert (
        statement.number
        in client.get(f"/admin/payouts/partnerstatement/?q={statement.number}").content.decode()
    )
    assert client.get("/admin/payouts/payoutbatch/").status_code == 200
