"""Contracts beside other writers: many at once, holds over the end of a window, and the staff's pages."""

import secrets
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client

from billing.models import Contract
from tests.builders.books import balances, open_books
from tests.builders.contracts import (
    act,
    agreed,
    commitment,
    drafted,
    figures,
    make_postpaid,
    owed,
    pass_days,
    receipts,
    run_contracts,
    use,
)
from tests.builders.gate import units
from tests.builders.orgs import events_of
from tests.builders.subscriptions import move_clock
from tests.invariants import assert_sound

CALLERS = 8


def at_once(call: Callable[[int], Any]) -> list[Any]:
    """What each of the calls gave, all started together."""
    start, answers = threading.Barrier(CALLERS), [None] * CALLERS

    def run(place: int) -> None:
        try:
            start.wait()
            answers[place] = call(place)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


class TestManyAtOnce:
    def test_activate_a_draft_once(self) -> None:
        organization = open_books()
        made = drafted(organization, "1200", commitment=commitment("prepaid", "year"))
        answers = at_once(lambda place: act(made, "activate", key=f"k{place}"))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: CALLERS - 1}
        assert owed(organization) == [("commitment", "1200.00")]
        assert balances(organization)["customer_credit"] == units("1200")

    def test_runs_and_use_settle_a_window_once(self) -> None:
        customer = make_postpaid()
        made = agreed(customer.id, "100", days=365, commitment=commitment("postpaid", "week"))
        use(customer, "40")
        move_clock(customer.id, timedelta(days=11))

        def call(place: int) -> Any:
            return run_contracts(customer.id) if place % 2 else use(customer, "5")

        at_once(call)
        assert owed(customer.id) == [("true_up", "60.00")]
        drawn = sum(units(row[0]) for row in figures(customer.id, made, "drawn"))
        assert drawn == sum(receipts(customer.id).values()) == units("60")
        settled = [event for event in events_of(customer.id) if event[0] == "contract.window_settled"]
        assert len(settled) == 1
        assert_sound(customer.id)


class TestAHoldOverTheEndOfAWindow:
    def test_is_committed_against_the_window_it_was_made_in(self) -> None:
        customer = make_postpaid()
        made = agreed(customer.id, "10", days=365, commitment=commitment("postpaid", "week"))
        pass_days(customer.id, 6.9)
        # the clock is within an hour of midnight or not: the hold lives for a day
        hold = customer.reserved("8", ttl_seconds=86_000)
        pass_days(customer.id, 0.2)
        assert customer.commit(hold["id"], "8").status_code == 200
        pass_days(customer.id, 5)
        assert receipts(customer.id) == {"commitment": units("8")}
        assert figures(customer.id, made, "drawn", "true_up")[0] in (("8", "2"), ("0", "10"))
        assert_sound(customer.id)

    def test_that_was_never_ended_is_unused_and_breaks_later(self) -> None:
        customer = make_postpaid()
        agreed(customer.id, "10", days=7, commitment=commitment("postpaid", "segment"))
        customer.reserved("8", ttl_seconds=86_000)
        move_clock(customer.id, timedelta(days=11))
        run_contracts(customer.id)  # nobody has written down that the hold expired
        assert owed(customer.id) == [("true_up", "10.00")]
        assert balances(customer.id)["breakage"] == units("2")
        customer.sweep()
        found = balances(customer.id)
        assert found == {"breakage": units("10"), "deferred_revenue": -units("10")}
        assert_sound(customer.id)


class TestTheStaffsPages:
    def test_show_contracts_and_windows_and_put_a_draft_into_force(self) -> None:
        customer = make_postpaid()
        made = drafted(customer.id, "100", commitment=commitment("prepaid", "year"))
        user = User.objects.create_user(f"staff-{secrets.token_hex(4)}", is_staff=True, password=None)
        names = ("view_contract", "change_contract", "view_contractwindow")
        user.user_permissions.set(Permission.objects.filter(codename__in=names))
        client = Client()
        client.force_login(user)
        chosen = {"action": "activate", "_selected_action": [made["id"]]}
        assert client.post("/admin/billing/contract/", chosen).status_code == 302
        assert Contract.objects.get(pk=made["id"]).status == "active"
        assert client.get(f"/admin/billing/contract/{made['id']}/change/").status_code == 200
        page = client.get("/admin/billing/contractwindow/", {"q": made["id"]}).content.decode()
        assert "1 contract window" in page
