"""What workers do for billing: one customer a job. A message is only a hint; the run asks the database what is due."""

from uuid import UUID

from celery import shared_task

from billing.operations import runs


@shared_task
def bill_customer(*, organization: str) -> None:
    """Bill one customer."""
    runs.run_customer(UUID(organization))
