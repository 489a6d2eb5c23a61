"""What `verify_ledger` finds when books and documents part: each kind of mistake, by the invariant that it breaks."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from billing.queries.integrity import violations
from billing.rules.months import previous_month
from common.ids import new_id
from events.integrity import checks
from events.store import Cursor, Event, append
from ledger.operations.books import lock_books
from ledger.rules.effects import entry
from tests.builders.billing import DOLLAR, Billed, billed
from tests.builders.orgs import unique, write
from tests.builders.revenue import charge, close, end_of, go_to, month_of_now, recognise, sold_by, wrong


def with_revenue() -> Billed:
    """A customer with an invoiced fee of which a month is booked."""
    made = billed()
    start = end_of(month_of_now(made))
    go_to(made, start)
    charge(made, 60, start, start + timedelta(days=62))
    go_to(made, end_of(start.date()))
    recognise(made)
    return made


class _RolledBack(Exception):
    """Nothing of a tampering is to stay for others to find."""


def tampered(made: Billed, tampering: Callable[[Cursor], Any]) -> set[str]:
    """The invariants that do not hold after a tampering, which is taken back."""
    found: list[Any] = []

    def operation(cur: Cursor) -> None:
        tampering(cur)
        found.extend(violations(cur, [made.id]))
        raise _RolledBack

    with pytest.raises(_RolledBack):
        write(operation)
    assert {one.organization for one in found} <= {made.id}
    return {one.invariant for one in found}


def post(cur: Cursor, made: Billed, kind: str, at: datetime | None = None, **lines: int) -> None:
    """Write an entry as no operation would."""
    books = lock_books(cur, made.id)
    posted = entry(
        kind=kind,
        key=unique(),
        source="test:1",
        lines=[books.line(name, amount) for name, amount in lines.items()],
        currency="USD",
        effective_at=at,
    )
    data = {"ledger": {"entries": [posted]}}
    append(cur, [Event(made.id, "journal", new_id(), 1, "journal.posted", data, books.now, "test")])


def test_nothing_is_wrong_with_what_operations_write() -> None:
    assert wrong(with_revenue()) == []


@pytest.mark.parametrize(
    ("kind", "lines", "expected"),
    [
        ("invoice", {"receivable": -DOLLAR, "revenue": DOLLAR}, {"R1"}),
        ("payment", {"cash": -DOLLAR, "revenue": DOLLAR}, {"R1"}),
        ("credit_note", {"receivable": DOLLAR, "deferred_revenue": -DOLLAR}, {"R1", "R2"}),
        ("invoice", {"revenue": -DOLLAR, "deferred_revenue": DOLLAR}, {"R2"}),
        ("recognition", {"deferred_revenue": -DOLLAR, "revenue": DOLLAR}, {"R2", "R3"}),
    ],
)
def test_an_entry_without_its_document_is_found(kind: str, lines: dict[str, int], expected: set[str]) -> None:
    made = with_revenue()
    assert tampered(made, lambda cur: post(cur, made, kind, **lines)) == expected


def test_an_entry_in_a_closed_month_is_found() -> None:
    made = with_revenue()
    month = previous_month(month_of_now(made))
    close(sold_by(made), month, made)
    late = end_of(month) - timedelta(seconds=1)
    found = tampered(made, lambda cur: post(cur, made, "correction", late, suspense=DOLLAR, cash=-DOLLAR))
    assert found == {"R4"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("recognised = recognised + 1", {"R2", "R3"}),
        ("amount = amount + 1", {"R2", "R3"}),
        ("status = 'done', recognised = amount", {"R2", "R3"}),
    ],
)
def test_a_changed_schedule_is_found(change: str, expected: set[str]) -> None:
    made = with_revenue()
    statement = f"UPDATE recognition_schedules SET {change} WHERE organization = %s"
    assert tampered(made, lambda cur: cur.execute(statement, (made.id,))) == expected


def test_a_changed_document_is_found() -> None:
    made = with_revenue()
    statement = "UPDATE recognised_months SET amount = amount + 1 WHERE organization = %s"
    assert tampered(made, lambda cur: cur.execute(statement, (made.id,))) == {"R3"}


def test_verify_ledger_runs_these_checks() -> None:
    assert dict(checks())["billing"] is violations
