"""What operators watch of outbound webhooks stands in /metrics."""

import re

from config.metrics import scrape
from tests.builders.webhooks import told


def figure(name: str) -> float:
    found = re.search(rf"^counterfoil_webhook_{name} (\S+)$", scrape().decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_a_delivery_that_is_due_is_counted_and_how_long_it_is_due() -> None:
    made = told("https://93.184.215.14/x")
    before = figure("pending_deliveries")
    made.post("/test")
    assert figure("pending_deliveries") == before + 1
    assert figure("late_seconds") > 0
    assert figure("failed_deliveries") >= 0
    made.post("/archive")
    assert figure("pending_deliveries") == before
