"""The check of the books finds what the roles cannot do: each invariant, broken by a superuser."""

from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest

from events.integrity import checks
from events.store import Cursor
from ledger.operations.holding import place_hold, post_hold
from ledger.operations.snapshots import snapshot_accounts
from ledger.queries.integrity import Violation, violations
from tests.builders.books import give, open_books
from tests.builders.gate import UNIT
from tests.builders.orgs import AUTHOR, write
from tests.database import Session

TAMPERINGS = {
    "L1 amount": ("L1", "UPDATE postings SET amount = amount + 1 WHERE organization = %s AND amount > 0"),
    "L1 no postings": ("L1", "DELETE FROM postings WHERE organization = %s"),
    "L1 other transaction": ("L1", "UPDATE postings SET tx = '3' WHERE organization = %s"),
    "L1 other currency": ("L1", "UPDATE accounts SET currency = 'EUR' WHERE organization = %s AND kind = 'cash'"),
    "L3 live": ("L3", "UPDATE accounts SET posted = posted + 1 WHERE organization = %s AND kind = 'customer_credit'"),
    "L3 plain": ("L3", "UPDATE accounts SET posted = 1 WHERE organization = %s AND kind = 'cash'"),
    "L3 two postings": (
        "L3",
        "UPDATE postings p SET amount = p.amount + CASE WHEN p.amount > 0 THEN 1 ELSE -1 END FROM journal_entries e "
        "WHERE e.id = p.entry_id AND e.kind = 'grant' AND p.organization = %s",
    ),
    "L3 snapshot": (
        "L3",
        "INSERT INTO account_snapshots SELECT id, 1, 1, pg_snapshot_xmin(pg_current_snapshot()) FROM accounts "
        "WHERE organization = %s AND kind = 'cash' ON CONFLICT (account_id) DO UPDATE SET balance = 1",
    ),
    "L4 account": ("L4", "UPDATE accounts SET held = held + 1 WHERE organization = %s AND kind = 'customer_credit'"),
    "L4 grant": ("L4", "UPDATE credit_grants SET held = held - 1 WHERE organization = %s"),
    "L4 hold": ("L4", "UPDATE holds SET amount = amount + 1 WHERE organization = %s AND status = 'placed'"),
    "L5 without an end": ("L5", "UPDATE holds SET ended_at = NULL WHERE organization = %s AND status = 'posted'"),
    "L5 too soon": ("L5", "UPDATE holds SET ended_at = placed_at WHERE organization = %s AND status = 'placed'"),
    "L5 receipt": ("L5", "UPDATE holds SET grant_amounts = array[amount + 1] WHERE organization = %s"),
    "L6 unknown debt": ("L6", "UPDATE accounts SET posted = -1 WHERE organization = %s AND kind = 'customer_credit'"),
    "L7 remaining": ("L7", "UPDATE credit_grants SET remaining = remaining - 1 WHERE organization = %s"),
    "L7 debt": ("L7", "UPDATE accounts SET debt = debt + 1 WHERE organization = %s AND kind = 'customer_credit'"),
    "L7 more than given": ("L7", "UPDATE credit_grants SET amount = remaining - 1 WHERE organization = %s"),
    "chart": ("chart", "UPDATE accounts SET kind = 'slush_fund' WHERE organization = %s AND kind = 'suspense'"),
}  # fmt: skip


@pytest.fixture
def superuser(test_session: Session, private_database: str) -> Iterator[psycopg.Connection]:
    """Somebody whom neither rights nor triggers stop."""
    with psycopg.connect(
        test_session.databases.superuser_url(private_database), autocommit=True
    ) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


def used_books() -> UUID:
    """An organization with a grant, an ended hold and an open one."""
    organization = open_books()
    give(organization, "10")

    def hold(cur: Cursor, amount: int) -> UUID:
        return place_hold(
            cur,
            organization=organization,
            kind="customer_credit",
            amount=amount,
            source="test:hold",
            author=AUTHOR,
        )

    def use(cur: Cursor) -> None:
        post_hold(
            cur, organization=organization, hold=hold(cur, 2 * UNIT), amount=UNIT, contra_kind="revenue", reason="used",
            author=AUTHOR,
        )  # fmt: skip

    write(use)
    write(lambda cur: hold(cur, 3 * UNIT))
    return organization


def found(*organizations: UUID) -> list[Violation]:
    return write(lambda cur: violations(cur, organizations or None))


def test_every_tampering_is_found_and_named(superuser: psycopg.Connection) -> None:
    untouched = used_books()
    snapshot_accounts()
    assert found() == []
    for name, (invariant, statement) in TAMPERINGS.items():
        organization = used_books()
        assert found(organization) == [], name
        changed = superuser.execute(statement.encode(), (organization,)).rowcount
        assert changed > 0, name
        assert invariant in {each.invariant for each in found(organization)}, name
        assert {each.organization for each in found(organization)} == {organization}, name
    assert found(untouched) == []


def test_clearing_between_organizations_is_level_over_all_of_them(superuser: psycopg.Connection) -> None:
    organization = used_books()
    superuser.execute(
        b"UPDATE accounts SET kind = 'intercompany_clearing', counterparty = gen_random_uuid() "
        b"WHERE organization = %s AND kind = 'cash'", (organization,)
    )  # fmt: skip
    assert [each.invariant for each in found()] == ["L8"]
    assert found(organization) == []


def test_it_is_part_of_verify_ledger() -> None:
    assert dict(checks())["ledger"] is violations
