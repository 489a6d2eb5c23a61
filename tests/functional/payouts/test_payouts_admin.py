"""Payouts in the admin: four eyes, holds, and what the pages show."""

from __future__ import annotations

from typing import Any

from django.test import Client

from payouts.operations.paying.batches import run_batch
from payouts.operations.statements import make_statement
from payouts.queries.batches import open_batches
from tests.builders.books import open_books
from tests.builders.orgs import events_of, write
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


BATCHES = "/admin/payouts/payoutbatch/"


class TestAPayout:
    def test_is_requested_in_the_staffs_name_and_approved_by_another_person(
        self, stripe_simulator: Simulator
    ) -> None:
        made = partner(stripe_simulator, cents=250_000)
        user, client = staff("view_payout", "add_payout", "change_payout")
        body = {"organization": str(made.id), "amount": "1500.00", "currency": "USD"}

        assert client.get(f"{PAGE}add/").status_code == 200
        assert client.post(f"{PAGE}add/", body).status_code == 302

        payout = made.payout()
        assert (payout.state, payout.cause) == ("pending_approval", "platform")
        assert payout.requested_by == f"staff:{user.pk}"
        assert made.money() == {"partner_payable": 100_000, "payout_in_transit": 150_000}
        acts(client, "approve", payout.id)
        assert made.state() == "pending_approval"
        assert client.get(f"{PAGE}{payout.id}/change/").status_code == 200
        assert client.post(f"{PAGE}{payout.id}/change/", body).status_code == 403
        again = client.post(f"{PAGE}add/", body, follow=True).content.decode()
        assert "is under way" in again
        assert len(made.payouts()) == 1

    def test_is_of_all_there_is_without_an_amount(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        _, client = staff("view_payout", "add_payout")
        body = {"organization": str(made.id), "amount": "", "currency": ""}
        assert client.post(f"{PAGE}add/", body).status_code == 302
        assert made.money() == {"payout_in_transit": 5_000}

    def test_that_is_refused_moves_nothing(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        _, client = staff("view_payout", "add_payout")
        before = events_of(made.id)
        for given, words in (
            ({"amount": "20"}, "An amount has its currency beside it."),
            ({"amount": "20", "currency": "EUR"}, "currency is USD"),
            ({"amount": "x", "currency": "USD"}, "amount"),
            ({"amount": "60", "currency": "USD"}, "That much cannot be withdrawn now."),
            ({"amount": "1", "currency": "USD"}, "less than the least payout"),
            ({"organization": str(open_books())}, "is no partner"),
        ):
            body = {"organization": str(made.id), "amount": "", "currency": "", **given}
            assert words in client.post(f"{PAGE}add/", body, follow=True).content.decode(), given
        _, looker = staff("view_payout", "change_payout")
        assert looker.post(f"{PAGE}add/", {"organization": str(made.id)}).status_code == 403
        assert events_of(made.id) == before


def test_a_batch_is_requested_by_who_may_add_one(stripe_simulator: Simulator) -> None:
    made = partner(stripe_simulator, cents=5_000)
    _, looker = staff("view_payoutbatch")
    assert looker.post(f"{BATCHES}add/", {}).status_code == 403
    user, client = staff("view_payoutbatch", "add_payoutbatch")
    assert client.get(f"{BATCHES}add/").status_code == 200
    assert client.post(f"{BATCHES}add/", {}).status_code == 302
    batch = next(one for one in write(open_batches) if one.requested_by == f"staff:{user.pk}")
    run_batch(batch)
    assert (made.payout().batch, made.payout().requested_by) == (batch.id, f"staff:{user.pk}")
    assert client.get(f"{BATCHES}{batch.id}/change/").status_code == 200
