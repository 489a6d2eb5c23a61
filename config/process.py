"""Which kind of process this is: each has its own limits on database statements.

web answers the gate, app is Django behind it, worker is Celery (and beat), command everything by hand.

Entry points set it before Django reads its settings; whoever sets nothing gets the limits of a request.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["web", "app", "worker", "command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Deadlines in milliseconds (0 = none) and the size of the connection pool (0 = no pool)."""

    statement_timeout_ms: int
    lock_timeout_ms: int
    idle_in_transaction_timeout_ms: int
    pool_size: int


LIMITS: dict[Kind, Limits] = {
    "web": Limits(
        statement_timeout_ms=2_000, lock_timeout_ms=1_000, idle_in_transaction_timeout_ms=10_000, pool_size=0
    ),
    "app": Limits(
        statement_timeout_ms=5_000, lock_timeout_ms=1_000, idle_in_transaction_timeout_ms=10_000, pool_size=24
    ),
    "worker": Limits(
        statement_timeout_ms=60_000, lock_timeout_ms=5_000, idle_in_transaction_timeout_ms=60_000, pool_size=0
    ),
    "command": Limits(
        statement_timeout_ms=0, lock_timeout_ms=10_000, idle_in_transaction_timeout_ms=0, pool_size=0
    ),
}

_kind: Kind = "app"


def declare(kind: Kind) -> None:
    """State what this process is; call it before Django's settings are read."""
    global _kind
    _kind = kind


def declared() -> Kind:
    """Return what this process is."""
    return _kind


def limits() -> Limits:
    """Return the limits of this process."""
    return LIMITS[_kind]
