"""What workers do for billing: a few customers a job. A message is only a hint; a run asks the database what is due."""

from uuid import UUID

from celery import shared_task

from billing.operations import commands as commanding
from billing.operations import runs
from billing.operations.dunning import due


@shared_task
def bill_customers(*, organizations: list[str]) -> None:
    """Bill customers, one after the other."""
    runs.run_customers([UUID(organization) for organization in organizations])


@shared_task
def send_commands(*, commands: list[str], lease: str) -> None:
    """Send commands to the processor, one after the other."""
    commanding.send_commands([UUID(command) for command in commands], lease=UUID(lease))


@shared_task
def advance_dunning(*, organizations: list[str]) -> None:
    """Do what is due in customers' dunning, one after the other."""
    due.advance_customers([UUID(organization) for organization in organizations])
