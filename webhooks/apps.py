from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "webhooks"

    def ready(self) -> None:
        from webhooks import jobs
        from webhooks.operations.inbound import routing
        from webhooks.operations.outbound import telling
        from webhooks.operations.reconciling import kinds, partners
        from webhooks.projections import outbound, reconciling
        from webhooks.rules.outbound import types

        routing.register_all()
        kinds.register_all()
        partners.register_all()
        outbound.register_all()
        reconciling.register_all()
        types.register_all()
        telling.register_reader()
        jobs.register_all()
