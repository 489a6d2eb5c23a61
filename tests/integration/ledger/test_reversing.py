"""The only correction there is: the negative of an entry, with the credit going back to where it came from."""

from datetime import timedelta
from uuid import UUID

import pytest

from common.errors import InvalidField, InvalidTransition, NotFound
from common.ids import new_id
from ledger.operations.adjusting import NewAdjustment, propose_adjustment
from ledger.operations.expiry import expire_due_grants
from ledger.operations.posting import NewEntry, post_entry
from ledger.operations.reversing import reverse_entry
from ledger.operations.snapshots import snapshot_accounts
from ledger.operations.taking_back import claw_back
from orgs.operations.clock import advance_clock
from tests.builders.books import balances, give, one, open_books, rows
from tests.builders.gate import UNIT, make_customer
from tests.builders.orgs import AUTHOR, unique, write
from tests.invariants import Still, assert_sound


def reverse(organization: UUID, entry: UUID, reason: str = "A mistake") -> UUID:
    return write(
        lambda cur: reverse_entry(cur, organization=organization, entry=entry, reason=reason, author=AUTHOR)
    )


def entry_of(organization: UUID, kind: str) -> UUID:
    found: UUID = one(
        "SELECT id FROM journal_entries WHERE organization = %s AND kind = %s", organization, kind
    )
    return found


def debt(organization: UUID) -> int:
    found: int = one(
        "SELECT debt FROM accounts WHERE organization = %s AND kind = 'customer_credit'", organization
    )
    return found


def test_a_plain_entry_is_taken_back_and_stays_where_it_was() -> None:
    organization = open_books()
    new = NewEntry(
        kind="correction", key=unique(), source="invoice:1", lines=[("revenue", 5), ("receivable", -5)]
    )
    made = write(lambda cur: post_entry(cur, organization=organization, entry=new, author=AUTHOR))
    before = rows("SELECT * FROM journal_entries WHERE id = %s", made)
    snapshot_accounts()
    reversal = reverse(organization, made)
    assert balances(organization) == {}
    assert rows("SELECT * FROM journal_entries WHERE id = %s", made) == before
    assert rows("SELECT kind, reverses, source, reason FROM journal_entries WHERE id = %s", reversal) == [
        ("reversal", made, f"entry:{made}", "A mistake")
    ]
    assert_sound(organization)


def test_an_entry_is_reversed_once_and_a_reversal_never() -> None:
    organization = open_books()
    give(organization, "5")
    made = entry_of(organization, "grant")
    reversal = reverse(organization, made)
    for entry in (made, reversal):
        with Still(organization), pytest.raises(InvalidTransition):
            reverse(organization, entry)
    assert balances(organization) == {}


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_reversal_needs_a_reason(reason: str) -> None:
    organization = open_books()
    give(organization, "5")
    made = entry_of(organization, "grant")
    with Still(organization), pytest.raises(InvalidField):
        reverse(organization, made, reason)


def test_an_entry_of_others_is_an_unknown_one() -> None:
    organization, other = open_books(), open_books()
    give(organization, "5")
    made = entry_of(organization, "grant")
    for stranger, entry in ((other, made), (organization, new_id())):
        with Still(organization), pytest.raises(NotFound):
            reverse(stranger, entry)


def test_a_charge_whose_grant_has_ended_comes_back_as_breakage() -> None:
    customer = make_customer("0")
    customer.grant("10", kind="promotional", lifetime=timedelta(hours=1))
    customer.commit(customer.reserved("4")["id"], "4")
    charge = one("SELECT DISTINCT e.id FROM journal_entries e JOIN postings p ON p.entry_id = e.id JOIN accounts a ON "
                 "a.id = p.account_id WHERE e.organization = %s AND a.kind = 'revenue'", customer.id)  # fmt: skip
    customer.pass_time(hours=2)
    customer.expire_grants()
    reverse(customer.id, charge)
    found = balances(customer.id)
    assert found == {"promotional_expense": -10 * UNIT, "breakage": 10 * UNIT}
    assert_sound(customer.id)


def test_a_clawback_that_was_wrong_gives_the_debt_back_first() -> None:
    organization = open_books()
    give(organization, "10")
    write(
        lambda cur: claw_back(
            cur,
            organization=organization,
            amount=16 * UNIT,
            key=unique("dispute"),
            reason="lost",
            author=AUTHOR,
        )
    )
    assert debt(organization) == 6 * UNIT
    give(organization, "2")  # repays 2 of it
    reverse(organization, entry_of(organization, "clawback"), "The dispute was won")
    assert debt(organization) == 0
    assert balances(organization) == {"customer_credit": 12 * UNIT, "cash": -12 * UNIT}
    assert one("SELECT sum(remaining) FROM credit_grants WHERE organization = %s", organization) == 12 * UNIT
    assert_sound(organization)


def test_an_adjustment_is_taken_back_from_the_grant_that_it_made() -> None:
    organization = open_books()
    new = NewAdjustment(organization, 5 * UNIT, "USD", "promotional_expense", "Sorry")
    write(lambda cur: propose_adjustment(cur, new, author=AUTHOR))
    reverse(organization, entry_of(organization, "adjustment"))
    assert balances(organization) == {}
    assert one("SELECT sum(remaining) FROM credit_grants WHERE organization = %s", organization) == 0
    assert_sound(organization)


def test_breakage_that_was_wrong_becomes_credit_again() -> None:
    organization = open_books()
    give(organization, "5", kind="promotional", lifetime=timedelta(hours=1))
    write(lambda cur: advance_clock(cur, organization=organization, by=timedelta(hours=2), author=AUTHOR))
    expire_due_grants()
    assert "customer_credit" not in balances(organization)
    reverse(organization, entry_of(organization, "breakage"), "Ended too early")
    assert balances(organization) == {"customer_credit": 5 * UNIT, "promotional_expense": -5 * UNIT}
    assert (
        one(
            "SELECT sum(remaining) FROM credit_grants WHERE organization = %s AND expired_at IS NULL",
            organization,
        )
        == 5 * UNIT
    )
    assert_sound(organization)
