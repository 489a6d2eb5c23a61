"""The figures that Prometheus scrapes: counters of all processes together, and the state of the database."""

import os
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import REGISTRY, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from billing.queries.findings import oldest_finding_seconds, open_findings
from billing.queries.runs import troubled_customers
from common.errors import ServiceUnavailable
from common.transactions import run_in_transaction
from events.queries.health import StoreHealth, store_health
from spend.queries.health import Sample, samples
from webhooks.queries.inbox import InboxHealth, inbox_health

MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class DatabaseCollector:
    """The state of the database at the moment of the scrape; nothing when it cannot be asked."""

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        try:
            health, gate, billing, found, inbox = run_in_transaction(
                lambda cur: (
                    store_health(cur),
                    samples(cur),
                    troubled_customers(cur),
                    (open_findings(cur), oldest_finding_seconds(cur)),
                    inbox_health(cur),
                )
            )
        except ServiceUnavailable:
            yield GaugeMetricFamily("counterfoil_database_up", "Whether the database answers", 0)
            return
        yield GaugeMetricFamily("counterfoil_database_up", "Whether the database answers", 1)
        yield from _store_gauges(health)
        yield from _gate_gauges(gate)
        yield from _inbox_gauges(inbox)
        for name, count in zip(("retrying", "parked"), billing, strict=True):
            text = f"Customers whose billing run failed and is {name}"
            yield GaugeMetricFamily(f"counterfoil_billing_{name}_customers", text, count)
        yield from _finding_gauges(*found)


def _store_gauges(health: StoreHealth) -> Iterator[Metric]:
    lag = GaugeMetricFamily(
        "counterfoil_event_lag_seconds",
        "Age of the oldest event that a reader has not read",
        labels=["reader"],
    )
    for reader, seconds in health.lags.items():
        lag.add_metric([reader], seconds)
    yield lag
    never = float("inf")
    heartbeat = never if health.heartbeat_seconds is None else health.heartbeat_seconds
    plain = {
        "sealing_age_seconds": ("Age of the oldest fact that no seal covers", health.sealing_seconds),
        "horizon_age_seconds": ("Age of the oldest writing transaction", health.horizon_seconds),
        "worker_heartbeat_age_seconds": ("Time since a worker last took work", heartbeat),
        "parked_subscribers": ("Readers of the events that wait for a person", health.parked_subscribers),
        "default_partition_rows": ("Rows whose month has no partition", health.default_rows),
        "failing_jobs": ("Due jobs whose last run failed", health.failing_jobs),
    }
    for name, (text, value) in plain.items():
        yield GaugeMetricFamily(f"counterfoil_{name}", text, value)


def _finding_gauges(by_kind: Mapping[str, int], oldest: float) -> Iterator[Metric]:
    gauge = GaugeMetricFamily("counterfoil_open_findings", "Findings that are open", labels=["kind"])
    for kind, count in by_kind.items():
        gauge.add_metric([kind], count)
    yield gauge
    yield GaugeMetricFamily("counterfoil_finding_age_seconds", "Age of the oldest open finding", oldest)


def _gate_gauges(found: Iterable[Sample]) -> Iterator[Metric]:
    gauges: dict[str, GaugeMetricFamily] = {}
    for sample in found:
        name = f"counterfoil_{sample.name}"
        gauge = gauges.setdefault(name, GaugeMetricFamily(name, sample.name, labels=list(sample.labels)))
        gauge.add_metric(list(sample.labels.values()), sample.value)
    yield from gauges.values()


def _inbox_gauges(inbox: InboxHealth) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "counterfoil_stripe_events",
        "Events of Stripe that are not done, by state",
        labels=["source", "state"],
    )
    for labels, count in inbox.states.items():
        states.add_metric(list(labels), count)
    yield states
    ages = {
        "oldest_event_age": ("Age of the oldest event that waits or is in work", inbox.oldest_seconds or 0.0),
        "last_event_age": ("Time since the last event arrived", inbox.last_seconds),
    }
    for name, (text, seconds) in ages.items():
        if seconds is not None:
            yield GaugeMetricFamily(f"counterfoil_stripe_{name}_seconds", text, seconds)


def scrape() -> bytes:
    """Return all metrics in Prometheus' text format.

    Under the supervisor every process writes its counters into one folder, and any of the web processes answers
    for all of them; a process on its own answers for itself.
    """
    registry = CollectorRegistry()
    if os.environ.get(MULTIPROCESS_FOLDER):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(REGISTRY)
    registry.register(DatabaseCollector())
    return generate_latest(registry)
