"""Receivers on this machine, which only the setting for development allows."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.builders.receivers import Receiver, receiving


@pytest.fixture(autouse=True)
def to_loopback(settings: Settings) -> None:
    """Let webhooks go to 127.0.0.1."""
    settings.WEBHOOKS_TO_LOOPBACK = True


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    with receiving() as found:
        yield found
