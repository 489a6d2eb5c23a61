"""A sign of life from every worker that takes work."""

from typing import Final

from common.transactions import run_in_transaction
from events.store import Cursor

_BEAT: Final = """
INSERT INTO worker_heartbeats (name) VALUES (%s)
ON CONFLICT (name) DO UPDATE SET beaten_at = clock_timestamp()
"""
_FORGET: Final = "DELETE FROM worker_heartbeats WHERE beaten_at < clock_timestamp() - interval '1 day'"


def record_heartbeat(*, name: str) -> None:
    """This function will note that the worker works now, and forget workers that were last seen a day ago."""

    def beat(cur: Cursor) -> None:
        cur.execute(_BEAT, (name,))
        cur.execute(_FORGET)

    run_in_transaction(beat)
