from django.apps import AppConfig


class SpendConfig(AppConfig):
    name = "spend"

    def ready(self) -> None:
        from events.store import register
        from spend.projections import budgets, prices
        from spend.projections.gate import PROJECTOR

        prices.register_all()
        budgets.register_all()
        register(PROJECTOR)
