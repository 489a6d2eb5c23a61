"""django-hordak: double entry in Django; a transfer is a transaction with two legs, checked by a deferred trigger."""

from typing import Any

from tests.peers.drivers.base import Driver
from tests.peers.drivers.djangoside import give_back, migrate, start_django

CURRENCY = "USD"


class Peer(Driver):
    """`transfer_to` in one transaction of the database; wallets are liability accounts."""

    lacks = (
        "no holds: work is admitted by a look at the balance",
        "a transfer is never refused for want of credit",
        "no idempotency key",
        "no running balance: a balance is the sum of all legs",
    )

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        start_django(settings, "mptt", "djmoney", "hordak", DEFAULT_CURRENCY=CURRENCY, CURRENCIES=[CURRENCY])
        self.accounts: dict[str, Any] = {}

    def install(self) -> None:
        from hordak.models import Account, AccountType

        migrate()
        for name, kind in (("bank", AccountType.asset), ("revenue", AccountType.income)):
            Account.objects.create(name=name, type=kind, currencies=[CURRENCY])

    def open_wallets(self, names: list[str], units: int) -> None:
        from hordak.models import Account, AccountType

        for name in names:
            wallet = Account.objects.create(name=name, type=AccountType.liability, currencies=[CURRENCY])
            self._transfer(wallet, Account.objects.get(name="bank"), units)
        self.find_wallets(names)

    def find_wallets(self, names: list[str]) -> None:
        from hordak.models import Account

        self.accounts |= {
            account.name: account for account in Account.objects.filter(name__in=[*names, "revenue"])
        }

    def _transfer(self, source: Any, target: Any, units: int) -> None:
        from django.db import transaction
        from moneyed import Money

        with transaction.atomic():
            source.transfer_to(target, Money(units, CURRENCY))

    def charge(self, wallet: str, units: int, key: str) -> None:
        self._transfer(self.accounts["revenue"], self.accounts[wallet], units)

    def available(self, wallet: str) -> int:
        return int(self.accounts[wallet].get_simple_balance()[CURRENCY].amount)

    def charges(self, wallet: str) -> int:
        return int(self.accounts[wallet].legs.filter(debit__isnull=False).count())

    def thread_ends(self) -> None:
        give_back()
