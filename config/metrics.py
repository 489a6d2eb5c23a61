"""The figures that Prometheus scrapes: counters of all processes together, and the state of the database."""

import os
from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from common.errors import ServiceUnavailable
from common.transactions import run_in_transaction
from config.gauges import READ_AND_SHOWN

MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class DatabaseCollector:
    """The state of the database at the moment of the scrape; nothing when it cannot be asked."""

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        try:
            found = run_in_transaction(lambda cur: [read(cur) for read, _ in READ_AND_SHOWN])
        except ServiceUnavailable:
            yield GaugeMetricFamily("counterfoil_database_up", "Whether the database answers", 0)
            return
        yield GaugeMetricFamily("counterfoil_database_up", "Whether the database answers", 1)
        for (_, shown), figures in zip(READ_AND_SHOWN, found, strict=True):
            yield from shown(figures)


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
