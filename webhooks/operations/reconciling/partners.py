"""Partners' payouts in the nightly run: transfers and connected payouts in both directions, and their balance rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from events.store import Cursor
from payouts.operations.paying.reconciling import reconcile
from webhooks.operations.reconciling.balances import register_entry_kinds, register_explainer
from webhooks.queries.reconciling.runs import Run
from webhooks.rules.reconciling.differences import Tally

ENTRY_KINDS: Final = ("payout_transferred", "payout_transferred_back")
_OURS: Final = "SELECT transfer FROM payouts WHERE transfer = ANY(%s)"


def compare_partner_payouts(run: Run) -> Tally:
    """This function will compare the transfers and payouts of the run's time in both directions, apply what differs
    and leave a finding for what only one side knows (S108)."""
    found = reconcile(run.since, run.until)
    applied = len(found.transfers) + len(found.payouts)
    return Tally(compared=found.compared, repaired=applied, open=len(found.unknown) + len(found.missing))


def register_all() -> None:
    """This function will have the balance explained by transfers that are ours."""
    register_explainer(_our_transfers)
    register_entry_kinds(*ENTRY_KINDS)


def _our_transfers(cur: Cursor, sources: Sequence[str]) -> Iterable[str]:
    return [row[0] for row in cur.execute(_OURS, (list(sources),)).fetchall()]
