"""Quantities from outside: events per second by batch, and what meters say of a period with 10^6 records."""

import http.client
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any

import psycopg

from billing.operations.metering.meters import create_meter
from billing.operations.metering.recording import Recorded, record_events
from billing.queries.cuts import take_cut
from billing.queries.metering import aggregate
from billing.rules.meterevents import NewEvent
from billing.rules.meters import Definition, Meter, NewMeter
from common.transactions import run_in_transaction
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from tests.bench.books import fresh_name
from tests.bench.place import Place
from tests.bench.population import Customer
from tests.bench.web import Web

EVENTS_IN_A_BATCH = 1_000
TYPE = "bench.storage"
AUTHOR = Author("system:bench")
METERS = {
    "sum": Definition("events", "sum", TYPE, "gigabytes", group_by=("region",)),
    "unique": Definition("events", "unique", TYPE, unique_property="disk", group_by=("region",)),
    "latest": Definition("events", "latest", TYPE, "gigabytes", group_by=("region",)),
    "weighted_sum": Definition("events", "weighted_sum", TYPE, "gigabytes", "disk", group_by=("region",)),
}
FILL = """
INSERT INTO meter_events (id, organization, recorded_at, occurred_at, event_id, epoch, sign, adjustment, source,
    external_id, type, data, actor)
SELECT i, %(organization)s, clock_timestamp(), clock_timestamp() - make_interval(secs => k %% 2500000), i, 1, 1, false,
    'bench', k::text, %(type)s, json_build_object('gigabytes', (k %% 1000)::text || '.25', 'disk', 'd-' || k %% 5000,
    'region', (ARRAY['eu', 'us', 'ap'])[1 + k %% 3]), 'system:bench'
FROM (SELECT k, (substr(%(now)s, 1, 13) || '-7' || lpad(to_hex(k %% 4096), 3, '0') || '-8000-'
    || lpad(to_hex(k), 12, '0'))::uuid AS i FROM generate_series(1, %(records)s) AS k) AS made
"""


def make_meters() -> dict[str, Meter]:
    """The meters that count what is sent."""
    name = fresh_name()
    return {
        kind: run_in_transaction(partial(_make, NewMeter(f"bench-{name}-{kind}", kind, None, definition)))
        for kind, definition in METERS.items()
    }


def _make(new: NewMeter, cur: Any) -> Meter:
    return create_meter(cur, new, author=AUTHOR)


class EventsInProcess:
    """Events per second in batches of 1,000, one caller, one organization; two meters are for them."""

    name = "events"
    against: tuple[str, ...] = ("floor.hot.1",)

    def __init__(self, customer: Customer) -> None:
        self.customer = customer
        make_meters()

    def run(self, seconds: float) -> dict[str, float]:
        name, done = fresh_name(), 0
        begun = time.perf_counter()
        while time.perf_counter() < begun + seconds:
            events = [self._event(f"{name}.{done + place}", place) for place in range(EVENTS_IN_A_BATCH)]
            answers = run_in_transaction(partial(self._record, events))
            if not all(isinstance(answer, Recorded) for answer in answers):
                raise RuntimeError("an event was refused")
            done += len(events)
        return {"events.records_per_s": done / (time.perf_counter() - begun)}

    def _record(self, events: list[NewEvent], cur: Any) -> Any:
        return record_events(cur, self.customer.id, events, author=AUTHOR)

    def _event(self, identifier: str, place: int) -> NewEvent:
        digest = sha256(identifier.encode()).digest()[:16]
        return NewEvent("bench", identifier, TYPE, None, datetime.now(UTC), _data(place), digest)


class EventsOverHttp:
    """The same through POST /v1/events/batch."""

    name = "events.http"
    against: tuple[str, ...] = ("floor.hot.1",)

    def __init__(self, web: Web, customer: Customer) -> None:
        self.web, self.customer = web, customer

    def run(self, seconds: float) -> dict[str, float]:
        connection = http.client.HTTPConnection("127.0.0.1", self.web.port, timeout=60)
        name, done = fresh_name(), 0
        begun = time.perf_counter()
        while time.perf_counter() < begun + seconds:
            items = [_item(f"{name}.{done + place}", place) for place in range(EVENTS_IN_A_BATCH)]
            body = self.web.post(connection, "/v1/events/batch", self.customer.secret, {"items": items})
            if any(result["status"] != 201 for result in body["results"]):
                raise RuntimeError(f"an event was refused: {body['results'][0]}")
            done += len(items)
        connection.close()
        return {"events.http.records_per_s": done / (time.perf_counter() - begun)}


class MeterQuery:
    """Milliseconds of what a meter says of 30 days with 10^6 records, digest of the records included."""

    name = "meters"
    against: tuple[str, ...] = ()

    def __init__(
        self, place: Place, name: str, customer: Customer, meters: dict[str, Meter], records: int
    ) -> None:
        self.place, self.database, self.customer, self.meters = place, name, customer, meters
        self.label = f"1e{len(str(records)) - 1}"
        now = f"{int(time.time() * 1000):012x}"
        given = {
            "organization": customer.id, "type": TYPE, "records": records, "now": f"{now[:8]}-{now[8:]}",
        }  # fmt: skip
        with place.superuser(name) as connection:
            connection.execute(FILL, given)
            connection.execute("VACUUM (ANALYZE) meter_events")

    def run(self, seconds: float) -> dict[str, float]:
        with psycopg.connect(self.place.databases.urls(self.database)["DATABASE_URL"]) as connection:
            return {
                f"meters.{kind}.{self.label}_ms": 1_000 * _seconds(partial(self._ask, connection, meter))
                for kind, meter in self.meters.items()
            }

    def _ask(self, connection: "psycopg.Connection[Any]", meter: Meter) -> None:
        end, organization = datetime.now(UTC), self.customer.id
        with connection.transaction(), connection.cursor() as cur:
            lock_organization(cur, organization)
            cut = take_cut(cur, end)
            groups = meter.definition.group_by
            found = aggregate(cur, organization, meter, end - timedelta(days=31), end, cut, group_by=groups)
            if not found:
                raise RuntimeError(f"{meter.key} counted nothing")


def _seconds(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _data(place: int) -> dict[str, str | int | bool]:
    return {"gigabytes": f"{place}.25", "disk": f"d-{place % 50}", "region": "eu" if place % 2 else "us"}


def _item(identifier: str, place: int) -> dict[str, Any]:
    return {
        "source": "bench",
        "id": identifier,
        "type": TYPE,
        "occurred_at": datetime.now(UTC).isoformat(),
        "data": _data(place),
    }
