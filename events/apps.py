from django.apps import AppConfig
from django.core import checks


class EventsConfig(AppConfig):
    name = "events"
    verbose_name = "Events"

    def ready(self) -> None:
        from events.checks import check_databases
        from events.jobs import DueJob, register
        from events.operations.checkpoint import take_nightly_checkpoint
        from events.operations.partitions import make_partitions
        from events.operations.seal import seal_facts

        checks.register(checks.Tags.database)(check_databases)
        register(DueJob("events.make_partitions", make_partitions, every_seconds=3_600))
        register(DueJob("events.seal", seal_facts, every_seconds=2))
        register(DueJob("events.checkpoint", take_nightly_checkpoint, every_seconds=86_400))
