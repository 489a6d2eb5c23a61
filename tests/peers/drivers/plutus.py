"""plutus-agent: metering and prepaid credit in SQLite; each call is written as its own server writes it."""

import threading
from typing import Any

from plutus_agent import db, metering

from tests.peers.drivers.base import Driver, Refused


class Peer(Driver):
    """`record_usage` with the stop at an empty balance, inside the write lock that its server takes first.

    Its embedded `Meter.track` does not take that lock; the server's way is the safer of the two and no slower.
    """

    lacks = (
        "no holds: work is admitted by a look at the balance",
        "no idempotency key in the library (its HTTP server has one)",
        "SQLite: one writer at a time, one machine",
    )

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        self.local = threading.local()
        self.organizations: dict[str, str] = {}

    @property
    def connection(self) -> Any:
        if not hasattr(self.local, "connection"):
            self.local.connection = db.connect(self.settings["file"])
        return self.local.connection

    def install(self) -> None:
        db.init_schema(self.connection)

    def open_wallets(self, names: list[str], units: int) -> None:
        for name in names:
            self.organizations[name] = db.create_org(self.connection, name)["id"]
            db.add_ledger(self.connection, self.organizations[name], units / 1e6, "topup")

    def find_wallets(self, names: list[str]) -> None:
        known = {row["name"]: row["id"] for row in db.list_orgs(self.connection)}
        self.organizations |= {name: known[name] for name in names}

    def charge(self, wallet: str, units: int, key: str) -> None:
        with db.immediate(self.connection):
            found = metering.record_usage(
                self.connection,
                self.organizations[wallet],
                provider="anthropic",
                model="claude-sonnet-4-5",
                input_tokens=1_730,
                output_tokens=412,
                cost_usd=units / 1e6,
                external_ref=key,
                block_over_balance=True,
                commit=False,
            )
        if not found.recorded:
            raise Refused

    def available(self, wallet: str) -> int:
        return int(db.get_balance_micros(self.connection, self.organizations[wallet]))

    def charges(self, wallet: str) -> int:
        found = self.connection.execute(
            "SELECT count(*) FROM usage_events WHERE org_id = ?", (self.organizations[wallet],)
        ).fetchone()
        return int(found[0])

    def thread_ends(self) -> None:
        if hasattr(self.local, "connection"):
            self.local.connection.close()
            del self.local.connection

    def close(self) -> None:
        self.thread_ends()
