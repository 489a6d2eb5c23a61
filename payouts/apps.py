from django.apps import AppConfig


class PayoutsConfig(AppConfig):
    name = "payouts"

    def ready(self) -> None:
        from payouts import jobs, stripe_gateway
        from payouts.operations.paying import purposes
        from payouts.projections import partners, paying

        partners.PARTNERS.register("payouts")
        paying.register_all()
        purposes.register_all()
        stripe_gateway.register_all()
        jobs.register_all()
