"""What workers do for the event store. A message is only a hint: every task asks the database what there is to do,
so one that is lost, late or doubled does no harm, and beat sends the next one."""

from typing import Any

from celery import shared_task

from events.operations import advance, due, heartbeat
from events.subscribers import subscribers


@shared_task
def advance_subscribers() -> None:
    """Send one message per subscriber, so that a slow or failing one holds up no other."""
    for chosen in subscribers():
        advance_subscriber.apply_async(kwargs={"name": chosen.name}, expires=5)


@shared_task
def advance_subscriber(*, name: str) -> None:
    """Hand one subscriber its new events."""
    advance.advance_subscriber(name=name)


@shared_task
def run_due_jobs() -> None:
    """Send one message per job whose time has come."""
    for name in due.claim_due_jobs():
        run_job.apply_async(kwargs={"name": name}, expires=60)


@shared_task
def run_job(*, name: str) -> None:
    """Run one of the registered due jobs."""
    due.run_job(name=name)


@shared_task(bind=True)
def beat_heart(self: Any) -> None:
    """Show that this worker takes work."""
    heartbeat.record_heartbeat(name=self.request.hostname or "unknown")
