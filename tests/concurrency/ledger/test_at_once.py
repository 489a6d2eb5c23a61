"""Corrections by many at once: one of them counts, and the books stay whole."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import connection

from common.errors import ProblemError
from ledger.operations.adjusting import NewAdjustment, approve_adjustment, propose_adjustment
from ledger.operations.expiry import expire_due_grants
from ledger.operations.reversing import reverse_entry
from ledger.operations.taking_back import claw_back, refund_credit
from ledger.queries.replay import replayed_violations
from orgs.operations.clock import advance_clock
from orgs.operations.facts import Author
from tests.builders.books import balances, give, one, open_books
from tests.builders.gate import UNIT
from tests.builders.orgs import AUTHOR, unique, write
from tests.invariants import assert_sound

CALLERS = 16


def at_once(call: Callable[[int], Any], callers: int = CALLERS) -> Counter[str]:
    """How often each thing came of it, when all begin at one moment; refusals by their code."""
    results: list[str] = []
    start = threading.Barrier(callers)

    def run(number: int) -> None:
        start.wait()
        try:
            call(number)
            results.append("done")
        except ProblemError as error:
            results.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(results)


def sound(*organizations: UUID) -> None:
    assert_sound(*organizations)
    assert write(lambda cur: replayed_violations(cur, organizations)) == []


def test_of_refunds_exactly_what_is_there_is_given_back() -> None:
    organization = open_books()
    grant = give(organization, "5")

    def refund(_: int) -> None:
        write(
            lambda cur: refund_credit(
                cur, organization=organization, grant=grant, amount=UNIT, reason="unused", author=AUTHOR
            )
        )

    assert at_once(refund) == {"done": 5, "amount_exceeds_available": 11}
    assert balances(organization) == {}
    sound(organization)


def test_an_adjustment_is_posted_by_one_of_many_approvers() -> None:
    organization = open_books()
    people = [User.objects.create_user(unique("approver")) for _ in range(CALLERS + 1)]
    new = NewAdjustment(organization, 600 * UNIT, "USD", "cash", "Bank transfer")
    maker = Author(f"staff:{people[-1].pk}")
    proposed = write(lambda cur: propose_adjustment(cur, new, author=maker))

    def approve(number: int) -> None:
        author = Author(f"staff:{people[number].pk}")
        write(
            lambda cur: approve_adjustment(cur, organization=organization, adjustment=proposed, author=author)
        )

    assert at_once(approve) == {"done": 1, "invalid_transition": CALLERS - 1}
    assert balances(organization) == {"customer_credit": 600 * UNIT, "cash": -600 * UNIT}
    sound(organization)


def test_an_entry_is_reversed_by_one_of_many() -> None:
    organization = open_books()
    give(organization, "5")
    entry = one("SELECT id FROM journal_entries WHERE organization = %s", organization)

    def reverse(_: int) -> None:
        write(
            lambda cur: reverse_entry(
                cur, organization=organization, entry=entry, reason="twice", author=AUTHOR
            )
        )

    assert at_once(reverse) == {"done": 1, "invalid_transition": CALLERS - 1}
    assert balances(organization) == {}
    sound(organization)


def test_one_dispute_told_by_many_takes_once() -> None:
    organization, dispute = open_books(), unique("dispute")
    give(organization, "5")

    def take(_: int) -> None:
        write(
            lambda cur: claw_back(
                cur, organization=organization, amount=7 * UNIT, key=dispute, reason="dispute", author=AUTHOR
            )
        )

    assert at_once(take) == {"done": CALLERS}
    assert balances(organization) == {"customer_credit": -2 * UNIT, "cash": 2 * UNIT}
    sound(organization)


def test_many_sweepers_end_a_grant_once() -> None:
    organization = open_books()
    for _ in range(8):
        give(organization, "1", kind="promotional", lifetime=timedelta(days=365))
    write(lambda cur: advance_clock(cur, organization=organization, by=timedelta(days=400), author=AUTHOR))
    assert at_once(lambda _: expire_due_grants(), callers=4) == {"done": 4}
    assert balances(organization) == {"breakage": 8 * UNIT, "promotional_expense": -8 * UNIT}
    assert (
        one("SELECT count(*) FROM v_events WHERE organization = %s AND type = 'grant.expired'", organization)
        == 8
    )
    sound(organization)
