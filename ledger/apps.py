from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "ledger"

    def ready(self) -> None:
        from events.store import register
        from ledger.projections import ACCOUNTS, JOURNAL, LIMITS

        register(ACCOUNTS)
        register(LIMITS)
        register(JOURNAL)
