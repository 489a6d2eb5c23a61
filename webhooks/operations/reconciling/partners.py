"""Partners' payouts in the nightly run: transfers and connected payouts in both directions, and their balance rows."""

from __future__ import annotations

from typing import Final

from payouts.operations.paying.reconciling import reconcile
from payouts.queries.payouts import booked_objects
from webhooks.operations.reconciling.balances import register_entry_kinds, register_explainer
from webhooks.queries.reconciling.runs import Run
from webhooks.rules.reconciling.differences import Tally

ENTRY_KINDS: Final = ("payout_transferred", "payout_transferred_back")


def compare_partner_payouts(run: Run) -> Tally:
    """This function will compare the transfers and payouts of the run's time in both directions, apply what differs
    and leave a finding for what only one side knows (S108)."""
    found = reconcile(run.since, run.until)
    applied = len(found.transfers) + len(found.payouts)
    return Tally(compared=found.compared, repaired=applied, open=len(found.unknown) + len(found.missing))


def register_all() -> None:
    """This function will have the balance explained by transfers that are ours, and by their reversals."""
    register_explainer(booked_objects)
    register_entry_kinds(*ENTRY_KINDS)
