from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "events"
    verbose_name = "Events"

    def ready(self) -> None:
        from events.jobs import DueJob, register
        from events.operations.seal import seal_facts

        register(DueJob("events.seal", seal_facts, every_seconds=2))
