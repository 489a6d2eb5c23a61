from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from billing import checks, jobs
        from billing.operations.dunning.collection import register_collector
        from billing.operations.payments import purposes
        from billing.operations.payments.collecting import collect_again
        from billing.operations.subscriptions.closing import end_subscriptions
        from billing.projections import (
            catalog,
            commands,
            contracts,
            dunning,
            invoices,
            items,
            metering,
            mirroring,
            payments,
            recognition,
            subscriptions,
        )
        from billing.queries import dunningintegrity, meterintegrity, paymentintegrity
        from billing.queries.unrated import UNRATED
        from ledger.operations.waiting import register_wait
        from orgs.operations.closing import register_ending

        catalog.register_all()
        metering.register_all()
        subscriptions.register_all()
        items.register_all()
        contracts.register_all()
        dunning.register_all()
        invoices.register_all()
        recognition.register_all()
        payments.register_all()
        commands.register_all()
        purposes.register_all()
        mirroring.register_all()
        meterintegrity.register_checks()
        dunningintegrity.register_checks()
        paymentintegrity.register_checks()
        checks.register_all()
        jobs.register_all()
        register_wait("billing.unrated", UNRATED)
        register_ending("billing.subscriptions", end_subscriptions)
        register_collector(collect_again)
