from django.apps import AppConfig


class PayoutsConfig(AppConfig):
    name = "payouts"

    def ready(self) -> None:
        from orgs.operations.listings import register_marketplace
        from payouts import jobs
        from payouts.operations.publishing import Marketplace
        from payouts.projections import earnings, partners
        from payouts.queries import payoutintegrity
        from payouts.rules import telling

        telling.register_all()
        partners.register_all()
        earnings.register_all()
        payoutintegrity.register_checks()
        jobs.register_all()
        register_marketplace(Marketplace())
