from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from billing import checks, jobs
        from billing.operations.payments import purposes
        from billing.projections import (
            catalog,
            commands,
            contracts,
            invoices,
            items,
            metering,
            mirroring,
            payments,
            recognition,
            subscriptions,
        )
        from billing.queries import meterintegrity, paymentintegrity
        from billing.queries.unrated import UNRATED
        from ledger.operations.waiting import register_wait

        catalog.register_all()
        metering.register_all()
        subscriptions.register_all()
        items.register_all()
        contracts.register_all()
        invoices.register_all()
        recognition.register_all()
        payments.register_all()
        commands.register_all()
        purposes.register_all()
        mirroring.register_all()
        meterintegrity.register_checks()
        paymentintegrity.register_checks()
        checks.register_all()
        jobs.register_all()
        register_wait("billing.unrated", UNRATED)
