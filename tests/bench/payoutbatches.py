"""A batch of payouts over many partners: made under their locks, sent to a simulator that runs on the same processors.

Partners have an account at the simulator and a balance; how many earnings made it is of no matter to a payout.
"""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import stripe
from django.conf import settings

from billing.operations.commands import send_due
from billing.rules.payments.views import AccountView
from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.operations.organizations import NewOrganization, create_organization
from ledger.operations.posting import NewEntry, post_entry
from orgs.operations.facts import Author
from payouts.operations.partners import enroll_partner, set_account
from payouts.operations.paying.batches import request_batch, run_batch
from sandbox.places import free_port
from tests.builders.payments_at_stripe import account as make_account
from tests.builders.stripe import KEY, Simulator
from tests.servers import serving, stripe_spec

AUTHOR: Final = Author("system:bench")
CENTS: Final = 5_000
CENT: Final = 10**6


@dataclass(frozen=True, slots=True)
class BatchRun:
    """Seconds of making the payouts of so many partners, and of having all of them transferred and paid out."""

    making_s: float
    sending_s: float


class PayoutBatches:
    """Partners at a simulator of its own."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        address = f"http://127.0.0.1:{free_port()}"
        self._stack.enter_context(
            serving(stripe_spec(address, folder / "stripe-connect"), folder=folder / "connect-log")
        )
        settings.STRIPE_API_KEY, settings.STRIPE_API_BASE = KEY, address
        settings.STRIPE_CALLS_PER_SECOND = 1_000  # the limit of a real account is no matter of ours
        self.simulator = Simulator(address)
        self.api = stripe.StripeClient(KEY, base_addresses={"api": address})

    def close(self) -> None:
        """Stop the simulator."""
        self._stack.close()

    def run(self, partners: int) -> BatchRun:
        """Pay so many partners by one batch; fails unless each has one transfer and one payout."""
        self.simulator.fund(partners * CENTS)
        made = [self._partner(number) for number in range(partners)]
        batch = run_in_transaction(lambda cur: request_batch(cur, author=AUTHOR))
        begun = time.perf_counter()
        assert run_batch(batch) == partners
        making = time.perf_counter() - begun
        begun = time.perf_counter()
        while _left(made):
            send_due()
        sending = time.perf_counter() - begun
        statement = "SELECT count(DISTINCT transfer), count(DISTINCT payout) FROM payouts WHERE batch = %s"
        found = run_in_transaction(lambda cur: cur.execute(statement, (batch.id,)).fetchone())
        assert found == (partners, partners), found
        return BatchRun(making, sending)

    def _partner(self, number: int) -> UUID:
        account = make_account(self.simulator)
        bank = self.api.v1.accounts.retrieve(account).external_accounts
        destination = None if bank is None else bank.data[0].id
        view = AccountView(account, "US", "USD", True, True, True, True, external_account=destination)

        def make(cur: Cursor) -> UUID:
            found = create_organization(cur, NewOrganization(f"Partner {number}"), author=AUTHOR)
            enroll_partner(cur, organization=found, author=AUTHOR)
            set_account(cur, organization=found, view=view, author=AUTHOR)
            lines: Any = [("partner_payable", CENTS * CENT), ("suspense", -CENTS * CENT)]
            entry = NewEntry("bench", f"bench:{found}", "bench", lines)
            post_entry(cur, organization=found, entry=entry, author=AUTHOR)
            return found

        return run_in_transaction(make)


def _left(partners: list[UUID]) -> int:
    statement = "SELECT count(*) FROM payouts WHERE organization = ANY(%s) AND payout IS NULL"
    row = run_in_transaction(lambda cur: cur.execute(statement, (partners,)).fetchone())
    return 0 if row is None else int(row[0])
