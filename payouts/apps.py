from django.apps import AppConfig


class PayoutsConfig(AppConfig):
    name = "payouts"

    def ready(self) -> None:
        from payouts.projections import partners

        partners.PARTNERS.register("payouts")
