from django.apps import AppConfig


class PayoutsConfig(AppConfig):
    name = "payouts"

    def ready(self) -> None:
        from orgs.operations.listings import register_marketplace
        from payouts import checks, jobs
        from payouts.operations.publishing import Marketplace
        from payouts.projections import earnings, metrics, partners
        from payouts.queries import payoutintegrity
        from payouts.rules import telling

        telling.register_all()
        partners.register_all()
        earnings.register_all()
        metrics.register_reader()
        payoutintegrity.register_checks()
        checks.register_all()
        jobs.register_all()
        register_marketplace(Marketplace())
