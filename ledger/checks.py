"""The ledger's part of `verify_ledger`."""

from events.integrity import register_check
from ledger.queries.integrity import violations


def register_all() -> None:
    """This function will register the invariants of the books (L1 to L8)."""
    register_check("ledger", violations)
