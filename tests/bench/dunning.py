"""The daily run of dunning over many customers: every one has an escalation that day, with its event, its letter and
its word to the gate.

Customers and their invoices are written by SQL, without events: what is measured is dunning alone.
"""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connections

from billing.operations.dunning.due import BATCH, advance_customers, claim_due
from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.operations.organizations import NewOrganization, create_organization
from orgs.operations.facts import Author
from tests.bench.cpu import own_seconds, tree_seconds

AUTHOR: Final = Author("system:bench")
AT_ONCE: Final = 5_000
WORKERS: Final = 2
_COLUMNS: Final = """
SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns
WHERE table_name = 'organizations' AND table_schema = current_schema() AND column_name NOT IN ('id', 'name')
"""
_ACCOUNT_COLUMNS: Final = """
SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns
WHERE table_name = 'accounts' AND table_schema = current_schema() AND column_name NOT IN ('id', 'organization')
"""
_INVOICE: Final = """
INSERT INTO invoices (id, organization, status, cause, currency, legal_entity, series, year, counter, number, seller,
    customer, dated_at, period_start, period_end, net_days, finalize_at, due_at, subtotal, discount, net, tax, total,
    discounts, taxes, paid, credited, written_off, created_at, finalized_at, version)
SELECT gen_random_uuid(), n.id, 'open', 'cycle', 'USD', %(entity)s, 'BENCH', 2026, n.c, 'B-' || n.c, '{}', '{}', at,
    at, at, 0, at, at, 100000000, 0, 100000000, 0, 100000000, '[]', '[]', 0, 0, 0, at, at, 1
FROM (SELECT id, %(first)s + row_number() OVER (ORDER BY id) AS c FROM organizations WHERE name LIKE %(names)s) n,
    (SELECT clock_timestamp() - interval '1 hour' AS at) t
"""
# A week later: the clock of a server cannot be moved, so the days of the cases are.
_LATER: Final = """
UPDATE dunning_cases SET anchor_at = anchor_at - interval '7 days', step = 1, next_at = next_at - interval '7 days'
WHERE closed_at IS NULL AND step = 0
"""


@dataclass(frozen=True, slots=True)
class DailyRun:
    """Seconds of opening so many cases, of a day on which each escalates, of one on which nothing is due; and the
    processor's time of an escalation in microseconds, the server's included, and of Python alone."""

    opening_s: float
    escalating_s: float
    idle_s: float
    cpu_us: float
    python_us: float


def daily_run(customers: int, postmaster: int) -> DailyRun:
    """Return how long dunning takes over that many customers; see DailyRun."""
    _prepare(customers)
    opening, _ = _timed(customers)
    run_in_transaction(lambda cur: cur.execute(_LATER))
    before = tree_seconds(postmaster)
    escalating, python = _timed(customers)
    used = tree_seconds(postmaster) - before + python
    each = (seconds / customers * 1e6 for seconds in (used, python))
    return DailyRun(opening, escalating, _timed(0)[0], *each)


def _timed(expected: int) -> tuple[float, float]:
    """Seconds, and the workers' own of the processor, of the job with two workers, as in the product."""
    connections.close_all()
    connections["default"].close_pool()  # type: ignore[attr-defined]  # no process has another's connections
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("fork")) as pool:
        list(pool.map(_warm, range(WORKERS)))
        begun = time.perf_counter()
        done, python = 0, 0.0
        while new := run_in_transaction(claim_due):
            jobs = [new[start : start + BATCH] for start in range(0, len(new), BATCH)]
            for count, seconds in pool.map(_advance, jobs):
                done, python = done + count, python + seconds
        taken = time.perf_counter() - begun
    assert done == expected, (done, expected)
    return taken, python


def _advance(organizations: list[UUID]) -> tuple[int, float]:
    begun = own_seconds()
    return advance_customers(organizations), own_seconds() - begun


def _warm(_: int) -> None:
    """A worker has a connection."""
    run_in_transaction(lambda cur: cur.execute("SELECT 1"))


def _prepare(customers: int) -> None:
    def make(cur: Cursor) -> UUID:
        return create_organization(cur, NewOrganization("Dunned", funding="postpaid"), author=AUTHOR)

    template = run_in_transaction(make)
    (columns,) = run_in_transaction(lambda cur: cur.execute(_COLUMNS).fetchone() or ("",))
    copied = f"""
    INSERT INTO organizations (id, name, {columns})
    SELECT gen_random_uuid(), 'dunned-' || %(template)s || '-' || n, {columns} FROM organizations o,
        generate_series(%(first)s::int, %(last)s::int) n WHERE o.id = %(template)s
    """
    for first in range(1, customers + 1, AT_ONCE):
        given = {"template": template, "first": first, "last": min(first + AT_ONCE - 1, customers)}
        run_in_transaction(lambda cur, given=given: cur.execute(copied, given))
    named = {"entity": template, "first": int(time.time() * 1000), "names": f"dunned-{template}-%"}
    (accounts,) = run_in_transaction(lambda cur: cur.execute(_ACCOUNT_COLUMNS).fetchone() or ("",))
    books = f"""
    INSERT INTO accounts (id, organization, {accounts})
    SELECT gen_random_uuid(), o.dunned, {accounts}
    FROM (SELECT {accounts} FROM accounts WHERE organization = %(entity)s) a,
        (SELECT id AS dunned FROM organizations WHERE name LIKE %(names)s) o
    """
    run_in_transaction(lambda cur: cur.execute(books, named))
    run_in_transaction(lambda cur: cur.execute(_INVOICE, named))
