"""The ledger's part of `verify_ledger`."""

from events.integrity import register_check
from ledger.queries.integrity import violations
from ledger.queries.replay import replayed_violations


def register_all() -> None:
    """This function will register the invariants of the books (L1 to L8), by their rows and by their history."""
    register_check("ledger", violations)
    register_check("ledger history", replayed_violations)
