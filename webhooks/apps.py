from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "webhooks"

    def ready(self) -> None:
        from webhooks import jobs
        from webhooks.operations.inbound import routing

        routing.register_all()
        jobs.register_all()
