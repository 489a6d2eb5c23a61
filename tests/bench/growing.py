"""One grown database's process: for each number on stdin, that many calls and balance reads, and what they took."""

import json
import os
import sys
import time
from collections.abc import Callable
from uuid import UUID


def main() -> None:
    """Serve the orders that come on stdin until it ends."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()
    from common.transactions import run_in_transaction
    from ledger.queries.balances import credit_balance
    from spend.rules.commands import Caller
    from tests.bench.inproc import Callers
    from tests.bench.population import Customer

    organization = UUID(sys.argv[1])
    customer = Customer(organization, Caller(sys.argv[2]), "")
    callers = Callers([customer], callers=1)

    def balance() -> None:
        run_in_transaction(lambda cur: credit_balance(cur, organization=organization))

    for _ in range(5):  # connections and statements are prepared before anything is measured
        callers.once(customer)
        balance()
    for line in sys.stdin:
        callers.reserve_seconds, callers.commit_seconds, reads = [], [], []
        for _ in range(int(line)):
            callers.once(customer)
            reads += [timed(balance) for _ in range(4)]
        both = [a + b for a, b in zip(callers.reserve_seconds, callers.commit_seconds, strict=True)]
        print(
            json.dumps({"reserve": callers.reserve_seconds, "lifecycle": both, "balance": reads}), flush=True
        )


def timed(work: Callable[[], None]) -> float:
    """The seconds that the work took."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
