"""What the metrics tell of the database: of each subject the query that reads it, and how it is shown."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from billing.queries.commands import Backlog, backlog
from billing.queries.findings import oldest_finding_seconds, open_findings
from billing.queries.letters import oldest_letter_seconds
from billing.queries.runs import troubled_customers
from events.queries.health import StoreHealth, store_health
from events.store import Cursor
from spend.queries.health import Sample, samples
from webhooks.queries.inbox import InboxHealth, inbox_health
from webhooks.queries.outbound.deliveries import Figures, delivery_figures
from webhooks.queries.reconciling import runs
from webhooks.rules.reconciling.differences import OVERDUE

Plain = Mapping[str, tuple[str, float]]


def _store(health: StoreHealth) -> Iterator[Metric]:
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
    yield from _gauges("counterfoil", plain)


def _gate(found: Iterable[Sample]) -> Iterator[Metric]:
    gauges: dict[str, GaugeMetricFamily] = {}
    for sample in found:
        name = f"counterfoil_{sample.name}"
        gauge = gauges.setdefault(name, GaugeMetricFamily(name, sample.name, labels=list(sample.labels)))
        gauge.add_metric(list(sample.labels.values()), sample.value)
    yield from gauges.values()


def _troubled(found: Mapping[str, tuple[int, int]]) -> Iterator[Metric]:
    for job, counts in found.items():
        for name, count in zip(("retrying", "parked"), counts, strict=True):
            text = f"Customers whose {job} run failed and is {name}"
            yield GaugeMetricFamily(f"counterfoil_{job}_{name}_customers", text, count)


def _commands(found: Backlog) -> Iterator[Metric]:
    name, text = "counterfoil_payment_commands", "Commands to the payment processor that have not ended"
    gauge = GaugeMetricFamily(name, text, labels=["state"])
    for state, count in (("open", found.waiting), ("unknown", found.unknown), ("wrong", found.wrong)):
        gauge.add_metric([state], count)
    yield gauge
    text = "Age of the oldest command to the payment processor that is to be done"
    yield GaugeMetricFamily(f"{name}_oldest_seconds", text, found.oldest_seconds)


def _read_findings(cur: Cursor) -> tuple[Mapping[str, int], float]:
    return open_findings(cur), oldest_finding_seconds(cur)


def _findings(found: tuple[Mapping[str, int], float]) -> Iterator[Metric]:
    gauge = GaugeMetricFamily("counterfoil_open_findings", "Findings that are open", labels=["kind"])
    for kind, count in found[0].items():
        gauge.add_metric([kind], count)
    yield gauge
    yield GaugeMetricFamily("counterfoil_finding_age_seconds", "Age of the oldest open finding", found[1])


def _letters(seconds: float) -> Iterator[Metric]:
    text = "How long the document has waited for the mail server that waits longest"
    yield GaugeMetricFamily("counterfoil_letter_age_seconds", text, seconds)


def _inbox(inbox: InboxHealth) -> Iterator[Metric]:
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


def _outbound(figures: Figures) -> Iterator[Metric]:
    plain = {
        "pending_deliveries": ("Webhook deliveries on their way", figures.pending),
        "failed_deliveries": ("Webhook deliveries given up in the last 30 days", figures.failed),
        "late_seconds": ("How long the webhook delivery that is due longest is due", figures.late_seconds),
        "disabled_endpoints": (
            "Webhook endpoints switched off because nobody listened",
            figures.disabled_endpoints,
        ),
    }
    yield from _gauges("counterfoil_webhook", plain)


def _reconciliation(found: runs.Health) -> Iterator[Metric]:
    counted = {
        "open_differences": ("Differences that reconciliation found and that are open", found.open),
        "overdue_differences": (f"Of those, what is open for over {OVERDUE.days} days", found.overdue),
    }
    for metric, (text, counts) in counted.items():
        gauge = GaugeMetricFamily(f"counterfoil_reconciliation_{metric}", text, labels=["class"])
        for name, count in counts.items():
            gauge.add_metric([name], count)
        yield gauge
    if found.age_seconds is not None:
        text = "Time since a reconciliation was finished"
        yield GaugeMetricFamily("counterfoil_reconciliation_age_seconds", text, found.age_seconds)


def _gauges(prefix: str, plain: Plain) -> Iterator[Metric]:
    for name, (text, value) in plain.items():
        yield GaugeMetricFamily(f"{prefix}_{name}", text, value)


READ_AND_SHOWN: Final[tuple[tuple[Callable[[Cursor], Any], Callable[[Any], Iterator[Metric]]], ...]] = (
    (store_health, _store),
    (samples, _gate),
    (troubled_customers, _troubled),
    (backlog, _commands),
    (_read_findings, _findings),
    (oldest_letter_seconds, _letters),
    (inbox_health, _inbox),
    (delivery_figures, _outbound),
    (runs.health, _reconciliation),
)
