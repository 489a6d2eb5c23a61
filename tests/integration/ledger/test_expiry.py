"""The job that ends grants: once, in every organization, by each one's own clock."""

from datetime import timedelta
from uuid import UUID

from events.jobs import job
from ledger.operations.expiry import expire_due_grants
from orgs.operations.clock import advance_clock
from tests.builders.books import balances, give, one, open_books
from tests.builders.gate import UNIT
from tests.builders.orgs import AUTHOR, events_of, write
from tests.invariants import assert_sound


def pass_time(organization: UUID, **span: float) -> None:
    write(lambda cur: advance_clock(cur, organization=organization, by=timedelta(**span), author=AUTHOR))


def test_the_job_ends_every_grant_that_is_over_once() -> None:
    organization, other = open_books(), open_books()
    for amount, days in (("1", 1), ("2", 2), ("4", 9)):
        give(organization, amount, kind="promotional", lifetime=timedelta(days=days))
    give(other, "8", kind="promotional", lifetime=timedelta(days=1))
    pass_time(organization, days=3)
    expire_due_grants()
    assert balances(organization) == {
        "customer_credit": 4 * UNIT, "breakage": 3 * UNIT, "promotional_expense": -7 * UNIT,
    }  # fmt: skip
    assert balances(other) == {"customer_credit": 8 * UNIT, "promotional_expense": -8 * UNIT}
    before = events_of(organization)
    expire_due_grants()
    assert events_of(organization) == before
    assert [(event[0], event[3]) for event in before[-2:]] == [("grant.expired", "system:expire_grants")] * 2
    assert_sound(organization, other)


def test_the_job_is_due_every_minute() -> None:
    assert job("ledger.expire_grants").run is expire_due_grants
    assert job("ledger.expire_grants").every_seconds == 60
    assert job("ledger.snapshot_accounts").every_seconds == 30


def test_a_grant_ends_at_its_end_not_before() -> None:
    organization = open_books()
    grant = give(organization, "1", kind="promotional", lifetime=timedelta(hours=1))
    pass_time(organization, minutes=59)
    expire_due_grants()
    assert one("SELECT expired_at FROM credit_grants WHERE id = %s", grant) is None
    pass_time(organization, minutes=1)
    expire_due_grants()
    assert one("SELECT expired_at >= expires_at FROM credit_grants WHERE id = %s", grant) is True
    assert balances(organization) == {"breakage": UNIT, "promotional_expense": -UNIT}


def test_breakage_of_paid_credit_stays_earned_money() -> None:
    organization = open_books()
    give(organization, "5", lifetime=timedelta(hours=1))
    pass_time(organization, hours=2)
    expire_due_grants()
    assert balances(organization) == {"cash": -5 * UNIT, "breakage": 5 * UNIT}
