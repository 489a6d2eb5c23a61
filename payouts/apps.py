from django.apps import AppConfig


class PayoutsConfig(AppConfig):
    name = "payouts"

    def ready(self) -> None:
        from payouts import checks, jobs
        from payouts.projections import metrics

        metrics.register_reader()
        checks.register_all()
        jobs.register_all()
