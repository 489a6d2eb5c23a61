"""The big proof of billing: thirteen months by the clock, for many customers who change their minds at random.

BILLING_CUSTOMERS and SOAK_SEED set size and seed; a customer's year depends on both seeds' text alone, so one that
failed is lived again with `SOAK_SEED=… BILLING_ONLY=<number>,…`.
"""

import os
import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from django.db import connections

from billing.queries.invoiced import usage_invoiced
from events.rebuilding.run import rebuild
from events.verifying.run import verify
from tests.builders.catalog import make_entity
from tests.builders.orgs import write
from tests.property.billing.contractaudit import (
    settled_windows,
    wrong_credits,
    wrong_recognition,
    wrong_windows,
)
from tests.property.billing.lineaudit import gaps, lines_of, places, uses, wrong_quantities, wrong_records
from tests.property.billing.years import INCLUDED, PRICE, Year, make_catalog

CUSTOMERS = int(os.environ.get("BILLING_CUSTOMERS", "2"))
ONLY = os.environ.get("BILLING_ONLY")
AT_ONCE = 4


def lived(year: Year) -> Year:
    """Live a year in this thread."""
    try:
        return year.live()
    finally:
        connections.close_all()


def wrong_ways_back(organization: UUID) -> Iterator[str]:
    """Yield the records of which the product says that they are on other lines than the audit finds (S74)."""
    for record, wanted in places(organization).items():
        found = write(partial(usage_invoiced, organization=organization, record=record))
        living = (one for one in found.lines if one.is_living)
        told = {
            (one.line.invoice_id, one.line.n) for one in living if one.line.kind == "usage" or not one.facts
        }
        if told != wanted or (found.reason is None) != bool(wanted):
            yield f"S74: record {record} is on {wanted}, told is {told}, {found.reason}"


def test_thirteen_months_of_anything_leave_every_book_number_and_record_in_order() -> None:
    seed = int(os.environ.get("SOAK_SEED") or secrets.randbits(32))
    numbers = [int(number) for number in ONLY.split(",")] if ONLY else range(CUSTOMERS)
    print(f"seed {seed}, {len(numbers)} customers, begun {datetime.now(UTC):%H:%M:%S}")
    entity, catalog = make_entity(), make_catalog()
    years = [Year(f"{seed}:{number}", catalog, entity.key) for number in numbers]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(lived, years))
    answers = sum((year.answers for year in years), Counter[str]())
    print(sorted(answers.items()))
    wrong: list[str] = []
    records = 0
    for year in years:
        name, made = year.seed, year.made
        made.assert_sound()
        wrong += [f"{name}: {text}" for text in wrong_records(made.id)]
        wrong += [f"{name}: {text}" for text in wrong_ways_back(made.id)]
        wrong += [f"{name}: {text}" for text in wrong_quantities(made.id, price=PRICE, included=INCLUDED)]
        wrong += [f"{name}: {text}" for text in wrong_windows(made.id)]
        wrong += [f"{name}: {text}" for text in wrong_credits(made.id)]
        wrong += [f"{name}: {text}" for text in wrong_recognition(made.id)]
        records += len(uses(made.id))
        failed = [one for one in made.invoices() if one["status"] in ("failed", "tax_pending")]
        wrong += [f"{name}: invoice {one['id']} is {one['status']}" for one in failed]
    print("\n".join(wrong))
    assert wrong == []
    assert gaps(entity.id) == []
    assert records >= 10 * len(years)
    usage, metered = (sum(counts) for counts in zip(*(lines_of(year.made.id) for year in years), strict=True))
    windows = sum(settled_windows(year.made.id) for year in years)
    print(f"{records} records, {usage} lines over use, {metered} over meters, {windows} windows of contracts")
    assert ONLY or (usage and metered)
    assert rebuild().differences == []
    assert verify().findings == []
