"""What workers do for webhooks. A message holds ids only and is a hint: the database knows what is due."""

from celery import shared_task

from webhooks.operations.inbound import processing
from webhooks.operations.outbound import delivering


@shared_task
def process_stripe_objects(*, subjects: list[str]) -> None:
    """Work on some objects of Stripe, one after the other."""
    processing.process_subjects(subjects)


@shared_task
def send_webhooks() -> None:
    """Send outbound webhooks that are due."""
    delivering.send_alone()
