"""The process of one database with earnings: for each order on stdin, what that took, as JSON.

Orders are words of `_WORKS`, with numbers where they need some. What is timed is timed as CPU of this process and of
PostgreSQL; the others beside it on the machine cannot change that.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final

READS: Final = 200
APPROVED: Final = 10**18
"""No payout waits for a second person here."""


def main() -> None:
    """Serve the orders that come on stdin until it ends."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()
    from django.conf import settings

    from tests.builders.stripe import KEY

    settings.STRIPE_API_KEY, settings.STRIPE_API_BASE = KEY, sys.argv[2]
    settings.STRIPE_CALLS_PER_SECOND = 1_000  # the limit of a real account is no matter of ours
    settings.PAYOUT_APPROVAL_ABOVE_UNITS = APPROVED
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every call
    worker = Worker(int(sys.argv[1]), sys.argv[2])
    for line in sys.stdin:
        word, *given = json.loads(line)
        print(json.dumps(getattr(worker, word)(*given)), flush=True)


class Worker:
    """What can be asked of a database with earnings."""

    def __init__(self, postmaster: int, address: str) -> None:
        self.postmaster, self.address = postmaster, address
        self.market: Any = None

    def make(self, partners: int, earnings: int) -> dict[str, Any]:
        """Make partners with accounts at the simulator that earned so much, half of it the first of them; settle it."""
        from billing.rules.payments.views import AccountView
        from tests.bench.earnings import make_market
        from tests.builders.payments_at_stripe import account
        from tests.builders.stripe import Simulator

        simulator = Simulator(self.address)
        views = []
        for _ in range(partners):
            made = account(simulator)
            bank: Any = simulator.sdk().v1.accounts.retrieve(made).external_accounts
            views.append(
                AccountView(made, "US", "USD", True, True, True, True, external_account=bank.data[0].id)
            )
        self.market = make_market(views)
        self.market.call(each=earnings // (2 * partners), first=earnings // 2)
        self.settle()
        return self.market.as_json()  # type: ignore[no-any-return]

    def take(self, market: dict[str, Any]) -> int:
        """Go on with a market that was made before, or copied; settle what it has."""
        from tests.bench.earnings import Market

        self.market = Market.of_json(market)
        self.settle()
        return sum(self._withdrawable(place).earned for place in range(len(self.market.partners)))

    def call(self) -> int:
        """Have each agent called once, untimed, so that there is something to settle."""
        self.market.call(each=1)
        return len(self.market.partners)

    def settle(self) -> dict[str, float]:
        """Settle every caller: shares that came past the holdback move to their partners' books."""
        from payouts.operations.settling import settle_due

        return self._timed(settle_due)

    def withdrawable(self) -> dict[str, float]:
        """Ask what the largest partner can withdraw, and how many others, READS times each."""
        others = len(self.market.partners) - 1

        def work() -> None:
            for number in range(READS):
                self._withdrawable(0)
                self._withdrawable(1 + number % others)

        return self._timed(work)

    def statement(self) -> dict[str, float]:
        """State the present month of the largest partner, after it is over."""
        from common.transactions import run_in_transaction
        from payouts.operations.statements import make_statement
        from tests.bench.earnings import pass_time

        partner = self.market.partners[0]
        run_in_transaction(lambda cur: pass_time(cur, partner, timedelta(days=32)))

        def work() -> None:
            while run_in_transaction(lambda cur: make_statement(cur, organization=partner)) is not None:
                pass

        return self._timed(work)

    def batch(self) -> dict[str, float]:
        """Make the payouts of all partners by one batch, and cancel them again, which is not timed."""
        from common.transactions import run_in_transaction
        from payouts.operations.paying.deciding import cancel_payout
        from tests.bench.earnings import AUTHOR

        batch, taken = self._batch()
        for payout in self._payouts(batch):
            run_in_transaction(partial(cancel_payout, payout=payout, author=AUTHOR))
        return taken

    def pay(self) -> dict[str, float]:
        """Pay all partners by one batch up to the last transfer and payout at the simulator; fails unless each has one
        of both."""
        from billing.operations.commands import send_due
        from common.transactions import run_in_transaction
        from tests.builders.stripe import Simulator

        whole = sum(self._withdrawable(place).withdrawable for place in range(len(self.market.partners)))
        Simulator(self.address).fund(whole // 10**6 + 1)
        begun = time.perf_counter()
        batch, making = self._batch()
        statement = "SELECT count(DISTINCT transfer), count(DISTINCT payout) FROM payouts WHERE batch = %s"
        wanted = (len(self.market.partners),) * 2
        while (
            found := run_in_transaction(lambda cur: cur.execute(statement, (batch,)).fetchone())
        ) != wanted:
            if not send_due():
                raise RuntimeError(f"Nothing is left to be sent, and sent are {found}")
        return {"making_s": making["wall_s"], "whole_s": time.perf_counter() - begun}

    def prove(self) -> list[str]:
        """Everything that breaks P1 or L8, over all of it."""
        from common.transactions import run_in_transaction
        from payouts.queries.payoutintegrity import violations

        def read(cur: Any) -> list[str]:
            cur.execute("SET LOCAL statement_timeout = 0")  # a request's limit; a proof takes what it takes
            return [str(one) for one in violations(cur)]

        return run_in_transaction(read)

    def _batch(self) -> tuple[Any, dict[str, float]]:
        from common.transactions import run_in_transaction
        from payouts.operations.paying.batches import request_batch, run_batch
        from tests.bench.earnings import AUTHOR

        batch = run_in_transaction(lambda cur: request_batch(cur, author=AUTHOR))
        made = []
        taken = self._timed(lambda: made.append(run_batch(batch)))
        if made != [len(self.market.partners)]:
            raise RuntimeError(f"The batch made {made} payouts")
        return batch.id, taken

    def _payouts(self, batch: Any) -> list[Any]:
        from common.transactions import run_in_transaction

        statement = "SELECT id FROM payouts WHERE batch = %s"
        return [row[0] for row in run_in_transaction(lambda cur: cur.execute(statement, (batch,)).fetchall())]

    def _withdrawable(self, place: int) -> Any:
        from common.transactions import run_in_transaction
        from payouts.queries.partners import withdrawable

        partner = self.market.partners[place]
        return run_in_transaction(lambda cur: withdrawable(cur, partner))

    def _timed(self, work: Callable[[], Any]) -> dict[str, float]:
        from tests.bench.cpu import own_seconds, tree_seconds

        before, begun = own_seconds() + tree_seconds(self.postmaster), time.perf_counter()
        work()
        wall = time.perf_counter() - begun
        return {"cpu_s": own_seconds() + tree_seconds(self.postmaster) - before, "wall_s": wall}


if __name__ == "__main__":
    main()
