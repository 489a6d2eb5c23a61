from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from billing import jobs
        from billing.projections import catalog, invoices, items, metering, subscriptions
        from billing.queries import integrity
        from billing.queries.unrated import UNRATED
        from ledger.operations.waiting import register_wait

        catalog.register_all()
        metering.register_all()
        subscriptions.register_all()
        items.register_all()
        integrity.register_checks()
        invoices.register_all()
        jobs.register_all()
        register_wait("billing.unrated", UNRATED)
