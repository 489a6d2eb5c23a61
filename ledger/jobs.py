"""What falls due in the ledger with time: expired grants, and snapshots of accounts without a limit."""

from events.jobs import DueJob, register
from ledger.operations.expiry import expire_due_grants
from ledger.operations.snapshots import snapshot_accounts


def register_all() -> None:
    """This function will register the ledger's jobs."""
    register(DueJob("ledger.expire_grants", expire_due_grants, every_seconds=60))
    register(DueJob("ledger.snapshot_accounts", snapshot_accounts, every_seconds=30))
