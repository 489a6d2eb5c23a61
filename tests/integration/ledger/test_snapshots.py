"""Balances of accounts without a limit: exact whatever is folded, when, and beside whom."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest

from ledger.operations.posting import NewEntry, post_entries
from ledger.operations.snapshots import fold_once, snapshot_accounts
from tests.builders.books import balances, one, open_books, rows
from tests.builders.orgs import AUTHOR, unique, write
from tests.invariants import assert_sound


def entries(count: int, amount: int = 1) -> list[NewEntry]:
    return [
        NewEntry(
            kind="test", key=unique("snapshot"), source="test:snapshot",
            lines=[("revenue", amount), ("receivable", -amount)],
        )
        for _ in range(count)
    ]  # fmt: skip


def post(organization: UUID, count: int = 1, amount: int = 1) -> None:
    new = entries(count, amount)
    write(lambda cur: post_entries(cur, organization=organization, entries=new, author=AUTHOR))


@contextmanager
def slow_posting(organization: UUID, amount: int) -> Iterator[psycopg.Connection[Any]]:
    """A transaction that has posted and has not ended."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        post_entries(
            connection.cursor(), organization=organization, entries=entries(1, amount), author=AUTHOR
        )
        yield connection


def folded(organization: UUID) -> dict[str, int]:
    """What the snapshots alone say."""
    found = rows(
        "SELECT a.kind, s.balance::bigint FROM account_snapshots s JOIN accounts a ON a.id = s.account_id "
        "WHERE a.organization = %s AND s.balance <> 0",
        organization,
    )
    return dict(found)


def fold_until(reached: Callable[[], bool]) -> None:
    """Fold until it is so: transactions of others in the same cluster hold the horizon back for a moment."""
    deadline = time.monotonic() + 60
    snapshot_accounts()
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)
        snapshot_accounts()


def test_folding_moves_balances_into_snapshots_and_changes_none() -> None:
    organization = open_books()
    post(organization, 3, amount=7)
    assert balances(organization) == {"revenue": 21, "receivable": -21}
    fold_until(lambda: folded(organization) == {"revenue": 21, "receivable": -21})
    assert balances(organization) == {"revenue": 21, "receivable": -21}
    post(organization, amount=-20)
    assert balances(organization) == {"revenue": 1, "receivable": -1}
    fold_until(lambda: folded(organization) == {"revenue": 1, "receivable": -1})
    assert balances(organization) == {"revenue": 1, "receivable": -1}
    assert_sound(organization)


def test_a_slow_transaction_is_never_skipped_nor_counted_twice() -> None:
    slow, quick = open_books(), open_books()
    with slow_posting(slow, 1_000) as connection:
        post(quick, amount=1)  # later, and committed first
        snapshot_accounts()
        row = connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
        assert row is not None
        # A horizon beyond the open transaction would lose its postings for ever.
        assert one("SELECT horizon::text::bigint FROM snapshot_horizon") <= row[0]
        assert folded(quick) == {}
        assert balances(quick) == {"revenue": 1, "receivable": -1}
        connection.commit()
    assert balances(slow) == {"revenue": 1_000, "receivable": -1_000}
    fold_until(lambda: folded(slow) == {"revenue": 1_000, "receivable": -1_000})
    for _ in range(2):
        assert balances(slow) == {"revenue": 1_000, "receivable": -1_000}
        assert balances(quick) == {"revenue": 1, "receivable": -1}
        snapshot_accounts()
    assert_sound(slow, quick)


def test_folding_waits_for_nobody_who_posts_and_nobody_waits_for_it() -> None:
    organization = open_books()
    post(organization)
    with psycopg.connect(os.environ["DATABASE_URL"]) as folding, slow_posting(organization, 5) as slow:
        fold_once(folding.cursor())  # not committed: its locks are held
        other = open_books()
        post(other, amount=2)
        slow.commit()
        post(organization, amount=3)
        assert balances(organization) == {"revenue": 9, "receivable": -9}
        folding.commit()
    assert balances(organization) == {"revenue": 9, "receivable": -9}
    assert balances(other) == {"revenue": 2, "receivable": -2}


def test_only_one_folds_at_a_time() -> None:
    post(open_books())
    with (
        psycopg.connect(os.environ["DATABASE_URL"]) as first,
        psycopg.connect(os.environ["DATABASE_URL"]) as second,
    ):
        fold_once(first.cursor())
        assert fold_once(second.cursor()) == (0, False)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_chunks_of_any_size_come_to_the_same(size: int) -> None:
    organization = open_books()
    for amount in (1, 10, 100):
        post(organization, 3, amount=amount)

    def fold_small() -> bool:
        while write(lambda cur: fold_once(cur, entries_at_once=size))[1]:
            pass
        return folded(organization) == {"revenue": 333, "receivable": -333}

    deadline = time.monotonic() + 60
    while not fold_small():
        assert time.monotonic() < deadline
    assert balances(organization) == {"revenue": 333, "receivable": -333}


def test_a_folded_balance_is_read_without_its_history() -> None:
    organization = open_books()
    account = one("SELECT id FROM accounts WHERE organization = %s AND kind = 'revenue'", organization)
    post(organization, 2_000)
    fold_until(lambda: folded(organization).get("revenue") == 2_000)
    explain = "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, FORMAT JSON)"
    read = f"{explain} SELECT posted FROM v_balances WHERE account_id = %s"
    plan = json.loads(one(read, account))[0]["Plan"]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 60
    assert balances(organization) == {"revenue": 2_000, "receivable": -2_000}
