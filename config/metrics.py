"""The figures that Prometheus scrapes: counters of all processes together, and the state of the database."""

import os

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


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
    return generate_latest(registry)
