"""Which operation each kind of object is handed to. Rows for connected accounts come with payouts."""

from __future__ import annotations


def register_all() -> None:
    """This function will register the handlers of what billing applies."""
