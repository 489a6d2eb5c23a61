"""Customers for whom time passes, and their documents as a story that two of them can have in common."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from billing.operations.profiles import change_billing_profile
from billing.operations.simulating import Simulated, simulate
from orgs.operations.clock import advance_clock_to
from tests.builders.billing import Billed, billed
from tests.builders.books import rows
from tests.builders.catalog import make_entity
from tests.builders.orgs import AUTHOR, write
from tests.builders.sizes import IS_FULL
from tests.builders.subscriptions import owner

STEP = timedelta(days=1 if IS_FULL else 4)
"""In which time passes for whoever does not leap: "day by day" with FULL=1."""
# Nothing here happens within an hour after something else, so the hour says which moment it was.
_INVOICES = """
SELECT series, year, counter, status, cause, dated_at, period_start, period_end, finalize_at,
    date_trunc('hour', due_at, 'UTC'), subtotal, discount, net, tax, total, (
    SELECT json_agg(json_build_array(l.kind, l.description, l.quantity, l.charge, l.funded, l.amount, l.net, l.tax,
        l.charge_key, date_trunc('hour', l.service_start, 'UTC'), date_trunc('hour', l.service_end, 'UTC'))
        ORDER BY l.n)::text
    FROM invoice_lines l WHERE l.invoice_id = i.id)
FROM invoices i WHERE organization = %s ORDER BY dated_at, counter, id
"""
# What is recognised goes by the second: of two customers that began a moment apart it differs by some units.
_JOURNAL = """
SELECT e.kind, date_trunc('hour', e.effective_at, 'UTC'), string_agg(p.account_kind
    || CASE WHEN e.kind = 'recognition' THEN '' ELSE ' ' || p.amount END, ', ' ORDER BY p.account_kind, p.amount)
FROM v_entries e JOIN v_postings p USING (entry_id) WHERE e.organization = %s
GROUP BY e.entry_id, e.kind, e.effective_at ORDER BY 2, 1, 3
"""
_EVENTS = """
SELECT date_trunc('hour', occurred_at, 'UTC'), type, count(*) FROM events
WHERE organization = %s AND type <> 'organization.clock_advanced' GROUP BY 1, 2 ORDER BY 1, 2
"""


def at(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def at_start(start: datetime, **given: Any) -> Billed:
    """A customer of a seller of its own, whose clock shows `start`: its invoices are numbered from one. `net_days`: how
    long it has to pay."""
    changes = {"net_days": given.pop("net_days", 14)}
    made = billed(**given)
    entity = make_entity()
    write(
        lambda cur: change_billing_profile(
            cur, made.id, {"legal_entity": entity.key, "tax": {"country": "DE"}, **changes}, author=AUTHOR
        )
    )
    move_to(made.id, start)
    return made


def move_to(organization: UUID, moment: datetime) -> None:
    """Move the clock, and nothing else."""
    write(lambda cur: advance_clock_to(cur, organization=organization, to=moment, author=AUTHOR))


def pass_until(made: Billed, moments: Iterable[datetime]) -> list[Simulated]:
    """Let time pass until each moment."""
    return [simulate(organization=made.id, until=moment) for moment in moments]


def decide(made: Billed) -> Any:
    """A client that decides for the customer."""
    return owner(made.id)


def documents(organization: UUID) -> list[tuple[Any, ...]]:
    """The invoices without their ids, with their lines."""
    found = rows(_INVOICES, organization)
    return [(*row[:-1], json.loads(row[-1] or "[]")) for row in found]


def journal(organization: UUID) -> list[tuple[Any, ...]]:
    """The journal: kind and hour of every entry, and its amounts where they do not go by the second."""
    return rows(_JOURNAL, organization)


def happened(organization: UUID) -> list[tuple[Any, ...]]:
    """How many events of each type each hour had."""
    return write(lambda cur: cur.execute(_EVENTS, (organization,)).fetchall())
