"""A processor of each test's own, whose objects are old enough at once."""

import pytest
from pytest_django import Settings

from tests.builders.reconciling import Day, begin
from tests.builders.stripe import Simulator


@pytest.fixture(autouse=True)
def at_once(settings: Settings) -> None:
    """Nothing is in flight, also of this second, which the processor's clock counts whole; and nobody waits for the
    account's limit."""
    settings.RECONCILIATION_GRACE_SECONDS = -1
    settings.STRIPE_CALLS_PER_SECOND = 1_000


@pytest.fixture
def day(stripe_simulator: Simulator, at_once: None) -> Day:
    """A day at the processor."""
    return begin(stripe_simulator)
