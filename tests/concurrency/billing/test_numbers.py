"""Gapless numbers of a legal entity whatever happens at once (B2), and each boundary billed once by many runs (B1)."""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID

from django.db import connections

from billing.operations.billing import AUTHOR
from billing.operations.invoices.finalizing import finalize_invoice
from billing.operations.invoices.taxing import ask_tax_of_invoice
from common.errors import ServiceUnavailable
from common.transactions import run_in_transaction
from events.store import Cursor
from tests.builders.billing import Billed, billed, item, owe
from tests.builders.catalog import make_entity
from tests.builders.subscriptions import now_of

THREADS = 16
EACH = 4


class Broken(Exception):
    """The transaction is rolled back after its number was taken."""


def together(work: list[Callable[[], object]]) -> None:
    """Run all of it at once, on a connection each."""
    start = threading.Barrier(len(work))

    def run(one: Callable[[], object]) -> None:
        start.wait()
        try:
            one()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(run, one) for one in work]:
            done.result()


def finalize(organization: UUID, drafts: list[UUID], *, fails_first: bool) -> None:
    """Finalise a customer's drafts; each, where asked for, once in a transaction that is rolled back."""
    for invoice in drafts:
        for fails in (True, False) if fails_first else (False,):
            try_until_done(partial(once, organization, invoice, fails))


def once(organization: UUID, invoice: UUID, fails: bool) -> None:
    """Finalise an invoice, and perhaps roll that back."""
    answers = ask_tax_of_invoice(organization=organization, invoice=invoice)

    def operation(cur: Cursor) -> None:
        finalize_invoice(cur, organization=organization, invoice=invoice, answers=answers, author=AUTHOR)
        if fails:
            raise Broken

    with contextlib.suppress(Broken):
        run_in_transaction(operation)


def try_until_done(one: Callable[[], object]) -> None:
    """A busy database is asked again, as a worker does."""
    for _ in range(50):
        try:
            one()
        except ServiceUnavailable:
            continue
        return
    raise AssertionError("never done")


def customer_with_drafts(entity: str) -> tuple[Billed, list[UUID]]:
    """A customer of a legal entity, with drafts."""
    made = billed()
    made.profile(legal_entity=entity)
    for _ in range(EACH):
        owe(made.id, item(due_at=now_of(made.id)))
        made.run()
    return made, [UUID(one["id"]) for one in made.invoices()]


def test_sixteen_at_once_with_rolled_back_ones_leave_no_gap_and_no_number_twice() -> None:
    entity = make_entity(currency="USD")
    customers = [customer_with_drafts(entity.key) for _ in range(THREADS)]
    together(
        [
            partial(finalize, made.id, drafts, fails_first=place % 2 == 0)
            for place, (made, drafts) in enumerate(customers)
        ]
    )
    numbers = [one["number"] for made, _ in customers for one in made.invoices()]
    assert sorted(int(number[-6:]) for number in numbers) == list(range(1, THREADS * EACH + 1))
    for made, _ in customers:
        made.assert_sound()


def test_many_runs_of_one_customer_bill_each_boundary_once_beside_its_own_use() -> None:
    made = billed()
    for _ in range(3):
        made.use("1")
        made.pass_months()
    together([*[partial(try_until_done, made.run)] * 6, partial(made.use, "0.5")])
    made.pass_months()
    made.run()
    dates = [one["dated_at"] for one in made.invoices()]
    assert len(dates) == len(set(dates))
    assert sum(float(one["total"]) for one in made.invoices()) == 3.5
    made.assert_sound()
