from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "ledger"
    verbose_name = "Ledger"

    def ready(self) -> None:
        from events.store import register
        from ledger import checks, jobs
        from ledger.projections import ACCOUNTS, ADJUSTMENTS, JOURNAL, LIMITS

        for projector in (ACCOUNTS, ADJUSTMENTS, LIMITS, JOURNAL):
            register(projector)
        jobs.register_all()
        checks.register_all()
