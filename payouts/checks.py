"""Payouts' part of `verify_ledger`."""

from events.integrity import register_check
from payouts.queries.metrics.integrity import violations


def register_all() -> None:
    """This function will register what holds of revenue metrics (V1 to V4)."""
    register_check("revenue_metrics", violations)
