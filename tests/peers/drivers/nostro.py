"""hf-nostro: an append-only credit ledger as functions in PostgreSQL; a debit is one statement and is never refused."""

from typing import Any
from uuid import UUID

from nostro import Ledger
from nostro.migrate import migrate
from psycopg_pool import ConnectionPool

from tests.peers.drivers.base import Driver

SCALE = 6
CONNECTIONS = 32


class Peer(Driver):
    """Debits with a key, by the account's own id, which is its cheapest way."""

    has_keys = True
    lacks = (
        "no holds: work is admitted by a look at the balance",
        "a debit is never refused for want of credit; what is missing becomes debt",
        "no budgets, no prices, no usage records",
    )

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        self.pool = ConnectionPool(settings["url"], min_size=1, max_size=CONNECTIONS, open=True)
        self.ledger = Ledger(pool=self.pool, scale=SCALE)
        self.accounts: dict[str, UUID] = {}

    def install(self) -> None:
        migrate(dsn=self.settings["url"], scale=SCALE)

    def open_wallets(self, names: list[str], units: int) -> None:
        for name in names:
            account = self.ledger.accounts.get_or_create("bench", name).id
            self.accounts[name] = account
            self.ledger.credit(
                account,
                self.ledger.amount_of_units(units),
                category="topup",
                idempotency_key=f"topup-{name}",
            )

    def find_wallets(self, names: list[str]) -> None:
        for name in names:
            self.accounts[name] = self.ledger.accounts.get("bench", name).id

    def charge(self, wallet: str, units: int, key: str) -> None:
        self.ledger.debit(
            self.accounts[wallet],
            self.ledger.amount_of_units(units),
            category="llm_usage",
            idempotency_key=key,
            external_ref=key,
            metadata={"model": "claude-sonnet-4-5"},
        )

    def available(self, wallet: str) -> int:
        return int(self.ledger.balance(self.accounts[wallet]).balance.to_units())

    def charges(self, wallet: str) -> int:
        with self.pool.connection() as connection:
            found = connection.execute(
                "SELECT count(*) FROM nostro.entry WHERE account_id = %s AND kind = 'consumption'",
                (self.accounts[wallet],),
            ).fetchone()
        assert found is not None
        return int(found[0])

    def close(self) -> None:
        self.pool.close()
