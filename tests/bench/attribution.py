"""Who spent what, over 10^6 usage records of one organization in 30 days, 50 agents: the query behind the API."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import psycopg

from spend.queries.attribution import attribute
from tests.bench.place import Place
from tests.bench.population import Customer

AGENTS, HOURS = 50, 720
COPY = """
INSERT INTO usage_records ({columns}) SELECT {values}
FROM (SELECT * FROM usage_records WHERE organization = %(organization)s ORDER BY id LIMIT 1000) AS original
CROSS JOIN generate_series(1, %(copies)s) AS k
"""
OWN = {
    "id": "(lpad(to_hex(k + 1048576), 8, '0') || substr(id::text, 9))::uuid",
    "occurred_at": f"occurred_at - make_interval(hours => k %% {HOURS})",
    "agent_id": f"md5('agent' || k %% {AGENTS})::uuid",
}
FORGET = (
    "DELETE FROM usage_hourly WHERE organization = %s",
    "DELETE FROM usage_daily_fine WHERE organization = %s",
)
HOURLY = """
INSERT INTO usage_hourly SELECT organization, date_trunc('hour', occurred_at, 'UTC'), team_id, agent_id, workflow_id,
    connection_id, provider, model, outcome, count(*), sum(input_tokens), sum(cache_read_input_tokens),
    sum(output_tokens), sum(tool_calls), sum(cost), sum(charge), max(charge)
FROM usage_records WHERE organization = %s GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
"""
DAILY = """
INSERT INTO usage_daily_fine SELECT organization, (occurred_at AT TIME ZONE 'UTC')::date, 'user',
    COALESCE(user_label, ''), count(*), sum(cost), sum(charge)
FROM usage_records WHERE organization = %s GROUP BY 1, 2, 3, 4
"""


class AttributionQuery:
    """Milliseconds of one query: whole months by agent, model and user, and a period with edges inside an hour."""

    name = "attribution"
    against: tuple[str, ...] = ()

    def __init__(self, place: Place, name: str, customer: Customer, *, records: int) -> None:
        self.place, self.database, self.customer = place, name, customer
        self.label = f"1e{len(str(records)) - 1}"
        _fill(place, name, customer, records)

    def run(self, seconds: float) -> dict[str, float]:
        end = datetime.now(UTC)
        edges = (end - timedelta(days=20, minutes=13), end - timedelta(minutes=7))
        with psycopg.connect(self.place.databases.urls(self.database)["DATABASE_URL"]) as connection:
            found = {
                "agent": self._median(connection, "agent", None, None),
                "model": self._median(connection, "model", None, None),
                "user": self._median(connection, "user", None, None),
                "agent_edges": self._median(connection, "agent", *edges),
            }
        return {f"attribution.{what}.{self.label}_ms": value * 1_000 for what, value in found.items()}

    def _median(
        self,
        connection: "psycopg.Connection[Any]",
        dimension: str,
        start: datetime | None,
        end: datetime | None,
    ) -> float:
        def ask() -> None:
            with connection.transaction(), connection.cursor() as cur:
                attribute(cur, organization=self.customer.id, dimension=dimension, start=start, end=end)

        return median(_seconds(ask) for _ in range(3))


def _seconds(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _fill(place: Place, name: str, customer: Customer, records: int) -> None:
    with place.superuser(name) as connection:
        found = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'usage_records'"
        )
        columns = [row[0] for row in found if row[0] != "tx"]
        copy = COPY.format(
            columns=", ".join(columns), values=", ".join(OWN.get(name, name) for name in columns)
        )
        have = connection.execute(
            "SELECT LEAST(count(*), 1000) FROM usage_records WHERE organization = %s", (customer.id,)
        ).fetchone()
        assert have is not None
        connection.execute(copy.encode(), {"organization": customer.id, "copies": max(1, records // have[0])})
        for statement in (*FORGET, HOURLY, DAILY):
            connection.execute(statement.encode(), (customer.id,))
        connection.execute("VACUUM (ANALYZE)")
