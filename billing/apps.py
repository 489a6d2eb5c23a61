from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from billing.projections import catalog, metering
        from billing.queries import integrity

        catalog.register_all()
        metering.register_all()
        integrity.register_checks()
