"""What an invoice costs among few and among many customers, all of whom are due and have been invoiced before.

The many are copies of one customer, its books and its invoice, written by SQL: nothing of them is measured but that
they are there.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg

from billing.operations.billing import bill_customer
from billing.operations.runs import AT_ONCE, claim_customers
from common.transactions import run_in_transaction
from tests.bench.cpu import own_seconds, tree_seconds
from tests.bench.invoices import LINES, make_customer, use

AT_A_TIME: Final = 100
"""Customers whose invoices are measured."""
_NEW: Final = "md5({0}::text || c.place)::uuid"
_COPY: Final = """
INSERT INTO {table} SELECT r.* FROM {table} t, generate_series(%(first)s::int, %(last)s::int) AS c(place),
    LATERAL jsonb_populate_record(t, to_jsonb(t) || jsonb_build_object({changes})) AS r
WHERE t.{owner} = %(template)s
"""
# What is copied, by which column it is the customer's, and what is another's in the copy.
_TABLES: Final = (
    ("organizations", "id", {"id": _NEW.format("t.id"), "name": "'Copy ' || c.place", "sandbox": "false",
        "clock_offset": "'0'"}),
    ("accounts", "organization", {"id": _NEW.format("t.id")}),
    ("billing_customers", "organization", {"next_at": "clock_timestamp() - make_interval(secs => c.place)"}),
    ("invoices", "organization", {"id": _NEW.format("t.id"), "legal_entity": "md5('seller' || c.place)::uuid"}),
    ("invoice_lines", "organization", {"invoice_id": _NEW.format("t.invoice_id")}),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cost:
    """The processor's time, the server's included, in microseconds: of an invoice, and of handing a customer out."""

    invoice_us: float
    claim_us: float


class Crowd:
    """Copies of one customer that was invoiced."""

    def __init__(self, superuser: "psycopg.Connection[Any]", postmaster: int) -> None:
        self.superuser, self.postmaster, self.count = superuser, postmaster, 0
        self.template = make_customer()
        use([self.template], LINES)
        assert bill_customer(organization=self.template) == 2

    def grow(self, count: int) -> None:
        """Let there be so many copies."""
        given = {"first": self.count + 1, "last": count, "template": self.template}
        self.superuser.execute(
            "SET session_replication_role = replica"
        )  # documents are never written so otherwise
        for table, owner, changes in _TABLES:
            values = {"organization": _NEW.format("t.organization"), **changes} if owner != "id" else changes
            written = ", ".join(f"'{name}', {value}" for name, value in values.items())
            statement = _COPY.format(table=table, owner=owner, changes=written)
            self.superuser.execute(statement.encode(), given)
            self.superuser.execute(f"VACUUM (ANALYZE) {table}".encode())
        self.superuser.execute("SET session_replication_role = origin")
        self.count = count

    def cost(self) -> Cost:
        """Measure, among all that are there."""
        names = [make_customer() for _ in range(AT_A_TIME)]
        use(names, LINES)
        claimed, claim = self._spent(_claim)
        run_in_transaction(lambda cur: cur.execute("DELETE FROM billing_runs"))
        done, spent = self._spent(lambda: [bill_customer(organization=name) for name in names])
        assert done == [2] * AT_A_TIME and len(claimed) == min(AT_ONCE, self.count + AT_A_TIME)
        return Cost(spent / AT_A_TIME * 1e6, claim / len(claimed) * 1e6)

    def _spent(self, work: Any) -> tuple[Any, float]:
        before = tree_seconds(self.postmaster) + own_seconds()
        found = work()
        return found, tree_seconds(self.postmaster) + own_seconds() - before


def _claim() -> list[UUID]:
    return run_in_transaction(claim_customers)
