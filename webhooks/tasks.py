"""What workers do for webhooks. A message is only a hint; what is due stands in the database."""

from celery import shared_task

from webhooks.operations.outbound import delivering


@shared_task
def send_webhooks() -> None:
    """Send outbound webhooks that are due."""
    delivering.send_due()
