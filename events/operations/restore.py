"""What a restored database needs before anything writes to it."""

from dataclasses import dataclass
from typing import Any, Final

import psycopg

# More than any number that a writer could have taken and lost.
_NUMBERS_AHEAD: Final = 1_000

_SEQUENCE: Final = """
SELECT setval('event_seq',
    GREATEST((SELECT last_value FROM event_seq), (SELECT COALESCE(max(seq), 0) FROM events)) + %s)
"""
_STORE: Final = """
UPDATE event_store SET epoch = epoch + 1, system_identifier = (SELECT system_identifier FROM pg_control_system())
RETURNING epoch, system_identifier
"""
_LOCK: Final = "LOCK TABLE events, event_store, event_cursors IN EXCLUSIVE MODE"


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """The epoch that began, and how far numbers were moved ahead."""

    epoch: int
    system_identifier: int
    next_seq: int


def begin_epoch(connection: psycopg.Connection[Any]) -> NewEpoch:
    """This function will raise the epoch, note the cluster that the store lives in now, and put the sequence ahead of
    the data. Run it as the owner, once, after a restore and before anything writes.

    Transaction ids of a restored dump mean nothing in the new cluster. Rows of the older epoch have no running
    transactions: each reader, and the sealer, drains them as one last window before it begins the new epoch.
    """
    with connection.transaction(), connection.cursor() as cur:
        cur.execute(_LOCK)
        seq = cur.execute(_SEQUENCE, (_NUMBERS_AHEAD,)).fetchone()
        row = cur.execute(_STORE).fetchone()
        assert seq is not None and row is not None
        return NewEpoch(epoch=row[0], system_identifier=row[1], next_seq=seq[0] + 1)
