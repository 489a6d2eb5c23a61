from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from billing import checks, jobs
        from billing.projections import catalog, invoices, items, metering, recognition, subscriptions

        catalog.register_all()
        metering.register_all()
        subscriptions.register_all()
        items.register_all()
        invoices.register_all()
        recognition.register_all()
        jobs.register_all()
        checks.register_all()
