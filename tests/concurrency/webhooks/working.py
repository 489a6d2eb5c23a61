"""A worker that may be killed at any moment: it does what is due, again and again. Importing this starts Django."""

import os
import time
from datetime import timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from webhooks.operations.inbound import claiming  # noqa: E402  (needs the apps)
from webhooks.operations.inbound.processing import process_due  # noqa: E402

LEASE_SECONDS = 2


def work() -> None:
    """Work until killed; what a killed one held is free after two seconds instead of most of a minute."""
    claiming.LEASE = timedelta(seconds=LEASE_SECONDS)  # type: ignore[misc]
    claiming.OFFER = timedelta(seconds=1)  # type: ignore[misc]
    while True:
        if not process_due():
            time.sleep(0.05)
