"""django-ledger: double-entry bookkeeping in Django; a charge is a posted journal entry with two transactions."""

from typing import Any, NamedTuple

from tests.peers.drivers.base import Driver
from tests.peers.drivers.djangoside import give_back, migrate, start_django


class Books(NamedTuple):
    """An entity with what a charge needs."""

    entity: Any
    ledger: Any
    credit: Any
    revenue: Any
    cash: Any


class Peer(Driver):
    """`commit_txs` with posting; a wallet is an entity, so that no two wallets share its row of numbers."""

    lacks = (
        "no holds: work is admitted by a look at the balance",
        "an entry is never refused for want of credit",
        "no idempotency key",
        "no running balance: a balance is the sum of all transactions",
    )

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        start_django(settings, "treebeard", "django_ledger", DJANGO_LEDGER_USE_DEPRECATED_BEHAVIOR=False)
        self.books: dict[str, Books] = {}

    def install(self) -> None:
        from django.contrib.auth import get_user_model

        migrate()
        get_user_model().objects.create_user("bench")

    def open_wallets(self, names: list[str], units: int) -> None:
        from django.contrib.auth import get_user_model
        from django_ledger.io import roles
        from django_ledger.models import EntityModel

        admin = get_user_model().objects.get(username="bench")
        for name in names:
            entity = EntityModel.create_entity(
                name=name, use_accrual_method=True, admin=admin, fy_start_month=1
            )
            entity.create_chart_of_accounts(assign_as_default=True, commit=True)
            for code, role, kind in (
                ("1010", roles.ASSET_CA_CASH, "debit"),
                ("2010", roles.LIABILITY_CL_DEFERRED_REVENUE, "credit"),
                ("4010", roles.INCOME_OPERATIONAL, "credit"),
            ):
                entity.create_account(code=code, role=role, name=role, balance_type=kind, active=True)
            ledger = entity.create_ledger(name="wallet", posted=True)
            assert ledger is not None
        self.find_wallets(names)
        for name in names:
            books = self.books[name]
            self._post(books, debit=books.cash, credit=books.credit, units=units)

    def find_wallets(self, names: list[str]) -> None:
        from django_ledger.models import AccountModel, EntityModel, LedgerModel

        entities = list(EntityModel.objects.filter(name__in=names))
        ledgers = {ledger.entity_id: ledger for ledger in LedgerModel.objects.filter(entity__in=entities)}
        accounts = {
            (account.coa_model.entity_id, account.code): account
            for account in AccountModel.objects.filter(coa_model__entity__in=entities).select_related(
                "coa_model"
            )
        }
        for entity in entities:
            found = [accounts[entity.uuid, code] for code in ("2010", "4010", "1010")]
            self.books[entity.name] = Books(entity, ledgers[entity.uuid], *found)

    def _post(self, books: Books, *, debit: Any, credit: Any, units: int) -> None:
        from django.utils.timezone import now

        lines = [
            {"account": debit, "amount": units, "tx_type": "debit", "description": "bench"},
            {"account": credit, "amount": units, "tx_type": "credit", "description": "bench"},
        ]
        books.entity.commit_txs(
            je_timestamp=now(), je_txs=lines, je_posted=True, je_ledger_model=books.ledger
        )

    def charge(self, wallet: str, units: int, key: str) -> None:
        books = self.books[wallet]
        self._post(books, debit=books.credit, credit=books.revenue, units=units)

    def available(self, wallet: str) -> int:
        from django.db.models import Sum
        from django_ledger.models import TransactionModel

        sums = {
            row["tx_type"]: row["sum"]
            for row in TransactionModel.objects.filter(
                account=self.books[wallet].credit, journal_entry__posted=True
            )
            .values("tx_type")
            .annotate(sum=Sum("amount"))
        }
        return int(sums.get("credit", 0) - sums.get("debit", 0))

    def charges(self, wallet: str) -> int:
        from django_ledger.models import TransactionModel

        found = TransactionModel.objects.filter(account=self.books[wallet].credit, tx_type="debit")
        return int(found.count())

    def thread_ends(self) -> None:
        give_back()
