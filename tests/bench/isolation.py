"""One organization's row is held by an idle transaction (fault F31): what a hundred others' calls notice of it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import psycopg

from tests.bench.generator import Found, Order, finish, generate, start
from tests.bench.inproc import percentile_ms
from tests.bench.lifecycle import fresh_name
from tests.bench.place import Place
from tests.bench.population import Customer
from tests.bench.web import Web

OTHERS = 100
CLIENTS, BLOCKED_CLIENTS, CONNECTIONS = 64, 32, 128
SHARE_OF_CAPACITY = 0.5
BLOCKED_RATE = (
    20.0  # lifecycles per second: so few that their absence during the block is no relief for the others
)


class Isolation:
    """p99 of the others' reserves in an open loop at half of what they reach, before and while the row is held.

    Half, because latency at full load is the length of the queue and would hide what the block adds; and an open loop,
    because a closed one asks less while it stalls. The organization that will be blocked asks at a small fixed rate.
    """

    name = "isolation"
    against: tuple[str, ...] = ()

    def __init__(self, place: Place, web: Web, customers: Sequence[Customer], *, seconds: float) -> None:
        self.place, self.web, self.seconds = place, web, seconds
        self.blocked, others = customers[0], customers[1 : OTHERS + 1]
        self.secrets = [customer.secret for customer in others]
        self._seed = 0

    def run(self, seconds: float) -> dict[str, float]:
        closed = generate(self._order(self.secrets, seconds, clients=CLIENTS))
        rate = max(1.0, len(closed.commit) / closed.seconds * SHARE_OF_CAPACITY)
        # Both times the blocked organization is among those who ask; only once is its row held.
        normal, before = self._beside(rate)
        with held_row(self.place, self.blocked.id):
            others, blocked = self._beside(rate)
        p99 = {
            "normal": percentile_ms(normal.reserve, 0.99),
            "blocked": percentile_ms(others.reserve, 0.99),
        }
        return {
            "isolation.p99_normal_ms": p99["normal"],
            "isolation.p99_blocked_ms": p99["blocked"],
            "isolation.ratio": p99["blocked"] / p99["normal"],
            "isolation.p50_normal_ms": percentile_ms(normal.reserve, 0.5),
            "isolation.p50_blocked_ms": percentile_ms(others.reserve, 0.5),
            "isolation.offered_per_s": rate,
            "isolation.others_refused": others.retried,
            "isolation.others_unfinished": others.unfinished,
            "isolation.blocked_granted_before": len(before.reserve),
            **{
                f"isolation.blocked_status_{status}": count
                for status, count in sorted(blocked.statuses.items())
            },
        }

    def _beside(self, rate: float) -> tuple[Found, Found]:
        """What the others and the blocked organization got at the same time."""
        order = self._order(
            [self.blocked.secret], self.seconds, clients=BLOCKED_CLIENTS, rate=BLOCKED_RATE, lenient=True
        )
        blocked = start(order)
        time.sleep(min(0.2, self.seconds / 10))
        others = generate(self._order(self.secrets, self.seconds, clients=CONNECTIONS, rate=rate))
        return others, finish(blocked)

    def _order(
        self, secrets: Sequence[str], seconds: float, *, clients: int, rate: float = 0, lenient: bool = False
    ) -> Order:
        self._seed += 1
        return Order(
            port=self.web.port, secrets=secrets, name=fresh_name(), seconds=seconds, clients=clients, rate=rate,
            seed=self._seed, lenient=lenient,
        )  # fmt: skip


@contextmanager
def held_row(place: Place, organization: UUID) -> Iterator[None]:
    """Another session's open transaction on the organization's row, doing nothing."""
    url = place.databases.urls(place.name("main"))["DATABASE_OWNER_URL"]
    with psycopg.connect(url) as connection:
        connection.execute("SELECT 1 FROM organizations WHERE id = %s FOR NO KEY UPDATE", (organization,))
        try:
            yield
        finally:
            connection.rollback()
