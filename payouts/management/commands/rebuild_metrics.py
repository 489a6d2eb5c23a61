"""Write revenue metrics anew from all events."""

from typing import Any

from django.core.management.base import BaseCommand

from payouts.operations.metrics.rebuilding import rebuild_metrics


class Command(BaseCommand):
    """Empties the rows of revenue metrics and reads all events again. May run beside the application."""

    help = "Write revenue metrics anew from all events"

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and say how many events were read."""
        self.stdout.write(f"{rebuild_metrics()} events read")
