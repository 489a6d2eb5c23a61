"""Writing revenue metrics anew: the rows are emptied and the reader begins at the first event."""

from typing import Final

from common.transactions import run_in_transaction
from events.operations.advance import advance_subscriber
from events.store import Cursor
from payouts.projections.metrics import READER, TABLES

_LOCK: Final = "SELECT FROM event_cursors WHERE name = %s FOR NO KEY UPDATE"
_BEGIN: Final = """
UPDATE event_cursors SET epoch = DEFAULT, lo = DEFAULT, hi = DEFAULT, seq = DEFAULT, ceiling = DEFAULT WHERE name = %s
"""


def reset_metrics(cur: Cursor) -> None:
    """This function will empty the rows of revenue metrics and let their reader begin again, in one transaction.

    It waits for a batch that is under way. Until the reader has caught up the figures are those of the events that it
    has read.
    """
    cur.execute(_LOCK, (READER,))
    for table in TABLES:
        cur.execute(f"DELETE FROM {table}")
    cur.execute(_BEGIN, (READER,))


def rebuild_metrics() -> int:
    """This function will write revenue metrics anew from all events and return how many it read; what a worker reads
    meanwhile is read once all the same."""
    run_in_transaction(reset_metrics)
    return catch_up()


def catch_up() -> int:
    """This function will hand the reader everything that is new and return how many events that were."""
    total = 0
    while handled := advance_subscriber(name=READER):
        total += handled
    return total
