"""What a batch reads after its lock counts at the moment of the lock, however long the reading takes."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from ledger.rules.grants import Grant
from spend.operations.gate.wire import Wire
from spend.queries.gate_state import ask_numbered
from spend.rules.state import Books, LiveAccount, OrganizationState
from tests.builders.gate import Customer, make_customer
from tests.invariants import reading


def buckets_at(customer: Customer, number: int, moment: datetime) -> list[int]:
    """What the buckets of a rolling budget have spent that a commit reads which was locked at this moment."""
    grants: list[Grant] = []
    name = str(customer.id)
    state = OrganizationState(name, moment, "USD", "active", Books(LiveAccount(""), None, grants))

    async def story() -> None:
        wire = await Wire.connect(settings.GATE_DATABASE_URL, lock_timeout_ms=2_000)
        try:
            await wire.ask([ask_numbered([(name, number)], {name: state})])
        finally:
            wire.close()

    asyncio.run(story())
    return sorted(bucket.spent // 10**8 for buckets in state.rolling.values() for bucket in buckets)


def test_a_part_of_a_rolling_window_that_leaves_meanwhile_still_counts() -> None:
    customer = make_customer("100")
    customer.budget("50", window="rolling", rolling_seconds=3_600)
    customer.commit(customer.reserved("3")["id"], "3")
    customer.pass_time(minutes=50)
    customer.commit(customer.reserved("4")["id"], "4")
    query = "SELECT max(number), max(window_end) FROM budget_counters WHERE organization = %s"
    with reading() as connection:
        rows: list[Any] = connection.execute(query, (customer.id,)).fetchall()
    ((number, end),) = rows
    locked = end.astimezone(UTC)
    customer.pass_time(minutes=20)  # by the clock of whoever asks now the first part has left
    assert buckets_at(customer, number, locked) == [3, 4]
    assert buckets_at(customer, number, locked + timedelta(minutes=20)) == [4]
