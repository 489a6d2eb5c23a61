"""docs/watching.md is what alarms are made from: it names every metric with its labels, and no other."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from config import health
from config.metrics import scrape
from spend.rules.switches import NewSwitch
from tests.builders.gate import make_customer
from tests.builders.incidents import open_incident
from tests.integration.spend.test_health import Calls, stop

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "watching.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| (?P<names>`[a-z_, `]+`) \|(?P<labels>[a-z`, _]*)\|[^|]*\|[^|]*\|[^|]*\|$", re.MULTILINE
)
WORST = re.compile(r"^\| (?P<names>`[a-z_, `]+`) \| (?P<most>[\d,]+)[^|]*\|$", re.MULTILINE)
COUNTED_BY = (
    "config.forwarding",
    "spend.api.metrics",
    "webhooks.api.doors",
    "webhooks.operations.inbound.processing",
    "webhooks.operations.outbound.delivering",
)
LATER = {"stripe_last_event_age_seconds", "reconciliation_age_seconds"}
"""Told once there was an event, and a run."""


def listed(text: str) -> list[str]:
    """What stands in code style."""
    return re.findall(r"`([a-z_]+)`", text)


def documented() -> dict[str, set[str]]:
    """The labels of each metric, as the page says."""
    rows = ROW.finditer(PAGE.split("\n## Metrics\n")[1])
    found = [(name, set(listed(row["labels"]))) for row in rows for name in listed(row["names"])]
    assert len(found) == len(dict(found)), "a metric is documented twice"
    return dict(found)


def scraped() -> dict[str, set[str]]:
    """The labels of each metric, as a scrape has them; none where there is no sample yet."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(scrape().decode()):
        if family.name.startswith("counterfoil_") and not family.name.endswith("_created"):
            name = family.name.removeprefix("counterfoil_") + ("_total" if family.type == "counter" else "")
            found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    return found


@pytest.fixture
def busy(private_database: str) -> None:
    """Spending, a call that is open, somebody who is stopped and a rule that acted: the figures of what is not there
    are not told."""
    for name in COUNTED_BY:
        import_module(name)
    customer, calls = make_customer(), Calls()
    customer.budget("5")
    calls.call(customer, "0.01")
    calls.reserve(customer, "0.01")
    stop(customer, NewSwitch("agent", "pause", "test", "bot"))
    open_incident(customer.id)


def test_every_metric_is_documented_with_its_labels_and_no_other(busy: None) -> None:
    told, page = scraped(), documented()
    assert page.keys() | LATER == told.keys() | LATER
    assert page.keys() >= LATER
    assert {name: page[name] for name, labels in told.items() if labels} == {
        name: labels for name, labels in told.items() if labels
    }


def test_the_limits_of_readyz_are_those_of_the_code() -> None:
    rows = WORST.finditer(PAGE.split("\n## Metrics\n")[0])
    page = {name: int(row["most"].replace(",", "")) for row in rows for name in listed(row["names"])}
    assert page == health._WORST
