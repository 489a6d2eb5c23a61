"""What tests of revenue need: fees of customers, months that pass, and sellers whose books can be closed."""

from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from billing.operations.profiles import change_billing_profile
from billing.operations.revenue.closing import close_due_books
from billing.operations.revenue.recognising import Booked, recognise_revenue
from billing.operations.sellers import create_legal_entity
from billing.queries.integrity import violations
from billing.queries.recognition import list_schedules
from billing.rules.months import month_end, month_of, month_text
from billing.rules.schedules import Schedule
from billing.rules.sellers import EntityTerms
from orgs.operations.locks import lock_organization
from tests.builders.billing import DOLLAR, Billed, item, owe
from tests.builders.books import rows
from tests.builders.orgs import AUTHOR, unique, write

HOUR = timedelta(hours=1)
_REVENUE = """
SELECT to_char(e.effective_at AT TIME ZONE o.time_zone, 'YYYY-MM'), sum(p.amount)::bigint FROM v_postings p
JOIN journal_entries e ON e.id = p.entry_id JOIN organizations o ON o.id = p.organization
WHERE p.organization = %s AND e.kind = 'recognition' AND p.account_kind = 'revenue' GROUP BY 1 ORDER BY 1
"""


def now_of(organization: UUID) -> datetime:
    """The organization's clock."""
    return write(lambda cur: lock_organization(cur, organization).now)


def month_of_now(made: Billed) -> date:
    """The month that the customer's clock is in."""
    return month_of(now_of(made.id), zone="UTC")


def end_of(month: date) -> datetime:
    """When a month is over."""
    return month_end(month, zone="UTC")


def go_to(made: Billed, moment: datetime) -> None:
    """Move the customer's clock to a moment, and a second further; one that is there already stays."""
    seconds = (moment - now_of(made.id)).total_seconds() + 1
    if seconds >= 1:
        made.customer.pass_time(seconds=seconds)


def charge(made: Billed, dollars: int, start: datetime, end: datetime, **given: Any) -> UUID:
    """Invoice a fee over [start, end), dated at its start; the finalised invoice's id."""
    owe(
        made.id,
        item(
            amount=dollars * DOLLAR,
            due_at=start,
            service_start=start,
            service_end=end,
            **{"recognition": "straight", **given},
        ),
    )
    return invoiced(made)


def invoiced(made: Billed) -> UUID:
    """Draft and finalise what is due; the last invoice's id."""
    made.run()
    made.customer.pass_time(hours=1, seconds=1)
    made.run()
    return UUID(made.invoices()[-1]["id"])


def recognise(made: Billed, until: datetime | None = None) -> list[Booked]:
    """Book the months that are over."""
    return write(lambda cur: recognise_revenue(cur, organization=made.id, until=until))


def schedules(made: Billed) -> list[Schedule]:
    """The customer's schedules in the order in which they were opened."""
    found = write(lambda cur: list_schedules(cur, organization=made.id, limit=1000))
    return sorted(found, key=lambda one: (one.opened_at, one.line))


def revenue(made: Billed) -> dict[str, int]:
    """What recognition posted as revenue, in units by month."""
    return dict(rows(_REVENUE, made.id))


def sold_by(*customers: Billed) -> str:
    """A seller of these customers' own; its key."""
    key = unique("seller")
    terms = EntityTerms(name="Seller", country="US", currency="USD")
    write(lambda cur: create_legal_entity(cur, key=key, terms=terms, author=AUTHOR))
    change = {"legal_entity": key}
    for made in customers:
        write(partial(change_billing_profile, organization=made.id, changes=change, author=AUTHOR))
    return key


def close(seller: str, month: date, made: Billed) -> dict[str, Any]:
    """Close a month through the API and in the books."""
    answer = closing(seller, month, made)
    assert answer.status_code == 200, answer.content
    close_due_books()
    found: dict[str, Any] = answer.json()
    return found


def closing(seller: str, month: date, made: Billed, *, key: str | None = None) -> Any:
    """The answer to closing a month."""
    path = f"/v1/accounting-periods/{month_text(month)}/close"
    return made.finance.post(path, {"legal_entity": seller}, key=key or unique())


def wrong(*customers: Billed) -> list[str]:
    """What does not hold between documents and books."""
    return [str(found) for found in write(lambda cur: violations(cur, [made.id for made in customers]))]
