"""Rows of this app as the staff reads them. Nothing is written through them."""

from billing.models.metering import EventBackfill as EventBackfill
from billing.models.metering import Meter as Meter
from billing.models.metering import MeterEvent as MeterEvent
