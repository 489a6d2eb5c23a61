"""How fast reconciliation is: objects and balance transactions of the simulator that are compared with ours."""

import time
from typing import Final

from django.conf import settings

from webhooks.operations.reconciling.running import reconcile

COMPARED: Final = ("customer", "payment", "refund", "dispute", "payout", "balance_rows", "sums")


def entries_per_second() -> float:
    """Reconcile with the processor, unthrottled, and return entries per second: objects, balance transactions, and the
    postings that these are compared with."""
    settings.RECONCILIATION_GRACE_SECONDS, settings.STRIPE_CALLS_PER_SECOND = 0, 1_000
    begun = time.perf_counter()
    run = reconcile(only=(*COMPARED, "items", "roll_forward"))
    seconds = time.perf_counter() - begun
    return sum(int(run.done[name]["compared"]) for name in COMPARED) / seconds
