from django.apps import AppConfig


class PayoutsConfig(AppConfig):
    name = "payouts"

    def ready(self) -> None:
        from orgs.operations.listings import register_marketplace
        from payouts import checks, jobs, stripe_gateway
        from payouts.operations.paying import purposes
        from payouts.operations.publishing import Marketplace
        from payouts.projections import earnings, metrics, partners, paying
        from payouts.queries import payingintegrity, payoutintegrity
        from payouts.rules import telling
        from payouts.rules.paying import telling as paytelling

        paytelling.register_all()
        telling.register_all()
        partners.register_all()
        earnings.register_all()
        metrics.register_reader()
        paying.register_all()
        payoutintegrity.register_checks()
        payingintegrity.register_checks()
        purposes.register_all()
        stripe_gateway.register_all()
        checks.register_all()
        jobs.register_all()
        register_marketplace(Marketplace())
