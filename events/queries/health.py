"""How far behind the event store's readers, sealer, jobs and workers are."""

from dataclasses import dataclass
from typing import Any, Final, Protocol

SEALER: Final = "sealer"
"""The name of the sealer's cursor."""


class Asks(Protocol):
    """A cursor of the driver or of Django."""

    def execute(self, query: Any, params: Any = None, /) -> Any: ...

    def fetchall(self) -> list[tuple[Any, ...]]: ...

    def fetchone(self) -> tuple[Any, ...] | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHealth:
    """Ages in seconds. `lags`: by reader, the age of the oldest event that it has not read (0: none);
    `horizon`: the age of the oldest transaction that holds closed batches back; `heartbeat`: since a worker
    last took work (None: never). `default_rows`: rows in default partitions, whose month was not made."""

    lags: dict[str, float]
    horizon_seconds: float
    heartbeat_seconds: float | None
    parked_subscribers: int
    failing_jobs: int
    default_rows: int

    @property
    def sealing_seconds(self) -> float:
        """The age of the oldest fact that no seal covers yet, by the sealer's cursor."""
        return self.lags.get(SEALER, 0.0)


_LAGS: Final = """
SELECT c.name, coalesce(extract(epoch FROM clock_timestamp() - oldest.recorded_at), 0)::float8
FROM event_cursors c
LEFT JOIN LATERAL (SELECT recorded_at FROM events e WHERE e.seq > c.seq ORDER BY e.seq LIMIT 1) oldest ON true
"""
# Other roles' transactions are visible to a member of pg_read_all_stats only; a reader's window that stays open tells
# of all of them.
_HORIZON: Final = """
SELECT greatest(
    (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)
        FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()),
    (SELECT coalesce(max(extract(epoch FROM moved_at - opened_at)), 0) FROM event_cursors WHERE lo <> hi)
)::float8
"""
_REST: Final = """
SELECT (SELECT extract(epoch FROM clock_timestamp() - max(beaten_at))::float8 FROM worker_heartbeats),
       (SELECT count(*) FROM event_subscribers WHERE state = 'parked'),
       (SELECT count(*) FROM due_jobs WHERE failures > 0),
       (SELECT sum(row_count)::bigint FROM default_partition_rows())
"""


def store_health(cur: Asks) -> StoreHealth:
    """Return how far behind the store's work is. Cheap: one index look-up per reader."""
    cur.execute(_LAGS)
    lags = {name: max(0.0, age) for name, age in cur.fetchall()}
    cur.execute(_HORIZON)
    horizon = cur.fetchone()
    cur.execute(_REST)
    rest = cur.fetchone()
    assert horizon is not None
    assert rest is not None
    return StoreHealth(
        lags=lags,
        horizon_seconds=max(0.0, horizon[0]),
        heartbeat_seconds=rest[0],
        parked_subscribers=rest[1],
        failing_jobs=rest[2],
        default_rows=rest[3] or 0,
    )
