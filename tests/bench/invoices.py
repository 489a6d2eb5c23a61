"""Invoices per second of the billing run, 20 lines each from use; and one customer with a million usage records.

Records are written by SQL, without the charges that the gate would have posted: what is measured is billing alone.
"""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import connections

from billing.operations.billing import bill_customer
from billing.operations.profiles import change_billing_profile
from billing.operations.runs import BATCH
from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.operations.organizations import NewOrganization, create_organization
from orgs.operations.clock import advance_clock
from orgs.operations.facts import Author
from spend.operations.gate.lanes import collect_rarely
from tests.bench.cpu import own_seconds, tree_seconds

AUTHOR: Final = Author("system:bench")
LINES: Final = 20
WORKERS: Final = 2
MONTH: Final = timedelta(days=32)
# Ids of version 7 of this moment, each another one.
_RECORDS: Final = """
INSERT INTO usage_records (id, organization, recorded_at, occurred_at, cost, charge, epoch, currency, outcome, kind,
    tool, tool_calls, funding)
SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7' || substr(h, 1, 3) || '8'
        || substr(h, 4, 15))::uuid,
    o, clock_timestamp(), clock_timestamp(), 1000000, 1000000 + n, 1, 'USD', 'completed', 'tool.call',
    'tool-' || n %% %(lines)s, 1, json_build_array(json_build_array('postpaid', NULL, 1000000 + n))
FROM unnest(%(organizations)s::uuid[]) AS o, generate_series(1, %(records)s) AS n, md5(o::text || n) AS h
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """What workers did: invoices a second, and the processor's time of one, in microseconds, the server's included."""

    per_second: float
    cpu_us: float


def rate_of_invoices(customers: int, postmaster: int) -> Rate:
    """Return how fast two workers draft and finalise invoices, ten customers a job, as the billing run does."""
    names = [make_customer() for _ in range(customers)]
    use(names, LINES)
    jobs = [names[start : start + BATCH] for start in range(0, len(names), BATCH)]
    connections.close_all()
    connections["default"].close_pool()  # type: ignore[attr-defined]  # no process has another's connections
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("fork")) as pool:
        list(pool.map(_warm, range(WORKERS)))
        before, begun = tree_seconds(postmaster), time.perf_counter()
        done = list(pool.map(_bill, jobs))
        seconds, used = time.perf_counter() - begun, tree_seconds(postmaster) - before
    assert all(steps == 2 for steps, _ in done), "each customer has one invoice, drafted and finalised"
    return Rate(customers / seconds, (used + sum(own for _, own in done)) / customers * 1e6)


def seconds_of_a_large_customer(records: int, postmaster: int) -> tuple[float, float]:
    """Return how long the invoice of one customer with that many usage records takes: by the clock, and of the
    processor's time, the server's included."""
    name = make_customer()
    for _ in range(10):
        use([name], records // 10)
    run_in_transaction(lambda cur: cur.execute("SET statement_timeout = '60s'"))  # as a worker has it
    before, begun = tree_seconds(postmaster) + own_seconds(), time.perf_counter()
    assert bill_customer(organization=name) == 2
    return time.perf_counter() - begun, tree_seconds(postmaster) + own_seconds() - before


def make_customer() -> UUID:
    """A customer whose first month is over by its clock."""

    def operation(cur: Cursor) -> UUID:
        new = NewOrganization("Invoiced", funding="postpaid", sandbox=True)
        made = create_organization(cur, new, author=AUTHOR)
        change_billing_profile(cur, made, {"grace_hours": 1}, author=AUTHOR)
        advance_clock(cur, organization=made, by=MONTH, author=AUTHOR)
        return made

    return run_in_transaction(operation)


def use(organizations: list[UUID], records: int) -> None:
    """Write so many usage records for each, over the lines of an invoice."""
    given = {"organizations": organizations, "records": records, "lines": LINES}
    run_in_transaction(lambda cur: cur.execute(_RECORDS, given))


def _warm(_: int) -> None:
    """A worker has a connection."""
    run_in_transaction(lambda cur: cur.execute("SELECT 1"))


def _bill(organizations: list[UUID]) -> tuple[float, float]:
    """A job: how many steps a customer took on average, and the seconds of this process, which collects its garbage as
    a worker does."""
    collect_rarely()
    begun = own_seconds()
    steps = [bill_customer(organization=organization) for organization in organizations]
    return sum(steps) / len(steps), own_seconds() - begun
