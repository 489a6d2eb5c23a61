"""Entries are posted once, whole and balanced; the key is what makes repeating harmless (S11)."""

import threading
from typing import Any
from uuid import UUID

import pytest
from psycopg import errors

from common.errors import AmountOutOfRange, InvalidField, NotFound
from common.ids import new_id
from events.store import Event, append
from ledger.operations.posting import NewEntry, post_entries, post_entry
from ledger.queries.integrity import violations
from ledger.rules.effects import entry
from orgs.operations.locks import lock_organization
from tests.builders.books import balances, one, open_books, rows
from tests.builders.orgs import AUTHOR, events_of, unique, write
from tests.invariants import Still, assert_sound


def new(amount: int = 5, **given: Any) -> NewEntry:
    values = {
        "kind": "correction", "key": unique("posting"), "source": "invoice:1",
        "lines": [("revenue", amount), ("receivable", -amount)], **given,
    }  # fmt: skip
    return NewEntry(**values)


def post(organization: UUID, *entries: NewEntry) -> list[UUID]:
    return write(lambda cur: post_entries(cur, organization=organization, entries=entries, author=AUTHOR))


def test_an_entry_carries_source_actor_reason_and_key() -> None:
    organization = open_books()
    made = new(reason="Invoice of March", key="invoice-1")
    posted = write(lambda cur: post_entry(cur, organization=organization, entry=made, author=AUTHOR))
    assert rows(
        "SELECT id, kind, source, actor, reason, idempotency_key FROM journal_entries WHERE organization = %s",
        organization,
    ) == [(posted, "correction", "invoice:1", "system:test", "Invoice of March", "invoice-1")]
    assert balances(organization) == {"revenue": 5, "receivable": -5}
    assert [event[0] for event in events_of(organization)][-1] == "journal.posted"
    assert_sound(organization)


def test_an_entry_and_its_postings_are_of_one_transaction() -> None:
    organization = open_books()
    post(organization, new(), new())
    assert one(
        "SELECT count(*) FROM journal_entries e JOIN postings p ON p.entry_id = e.id "
        "WHERE e.organization = %s AND (e.tx, e.epoch) = (p.tx, p.epoch)",
        organization,
    ) == 4  # fmt: skip


def test_a_key_is_posted_once_and_gives_the_same_entry_again() -> None:
    organization = open_books()
    first, second = new(1), new(20)
    ids = post(organization, first, second)
    with Still(organization):
        assert post(organization, second, first) == [ids[1], ids[0]]
    third = new(300)
    again = post(organization, first, third, third)
    assert again[0] == ids[0]
    assert again[1] == again[2] not in ids
    assert balances(organization) == {"revenue": 321, "receivable": -321}


def test_the_same_key_in_another_organization_is_another_entry() -> None:
    made, organizations = new(), [open_books(), open_books()]
    first, second = (post(organization, made)[0] for organization in organizations)
    assert first != second


def test_sixteen_callers_with_one_key_post_it_once() -> None:
    organization, made = open_books(), new()
    found: list[UUID] = []
    start = threading.Barrier(16)

    def call() -> None:
        from django.db import connection

        start.wait()
        found.extend(post(organization, made))
        connection.close()

    threads = [threading.Thread(target=call) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(found)) == 1
    assert balances(organization) == {"revenue": 5, "receivable": -5}


@pytest.mark.parametrize(
    "given",
    [
        {"lines": [("revenue", 5), ("receivable", -4)]},
        {"lines": [("revenue", 5)]},
        {"lines": []},
        {"lines": [("revenue", 0), ("receivable", 0)]},
        {"lines": [("slush_fund", 5), ("receivable", -5)]},
        {"lines": [("customer_credit", 5), ("cash", -5)]},
        {"source": ""},
        {"key": ""},
    ],
)
def test_what_is_no_entry_is_refused_and_nothing_of_its_batch_is_posted(given: dict[str, Any]) -> None:
    organization = open_books()
    with Still(organization), pytest.raises(InvalidField):
        post(organization, new(), new(**given))
    assert balances(organization) == {}


def test_an_amount_that_cannot_be_stored_is_refused() -> None:
    organization = open_books()
    with Still(organization), pytest.raises(AmountOutOfRange):
        post(organization, new(2**63))


def test_an_organization_that_is_not_there_is_refused() -> None:
    with pytest.raises(NotFound):
        post(new_id(), new())


def test_the_builder_of_entries_refuses_what_does_not_sum_to_zero() -> None:
    for lines in ([["a", 5], ["b", -4]], [["a", 0]]):
        with pytest.raises(ValueError, match="L1"):
            entry(kind="test", key="k", source="s", lines=lines, currency="USD")


def test_an_event_that_does_not_sum_to_zero_never_reaches_the_journal() -> None:
    """Past every rule of the code there is the trigger."""
    organization = open_books()
    account = str(one("SELECT id FROM accounts WHERE organization = %s AND kind = 'cash'", organization))
    made = {
        "id": str(new_id()), "kind": "test", "key": "k", "source": "test:1", "currency": "USD", "lines": [[account, 5]],
    }  # fmt: skip

    def operation(cur: Any) -> None:
        now = lock_organization(cur, organization).now
        stream = new_id()
        data = {"ledger": {"entries": [made]}}
        append(cur, [Event(organization, "journal", stream, 1, "journal.posted", data, now, "system:test")])

    with Still(organization), pytest.raises(errors.CheckViolation, match="L1"):
        write(operation)
    assert write(lambda cur: violations(cur, [organization])) == []
