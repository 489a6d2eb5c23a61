"""escrowmint: bounded quotas with reservations, Lua scripts in Valkey; the store has one thread and no journal."""

from typing import Any

from escrowmint import Client
from escrowmint.client import ClientConfig
from escrowmint.errors import InsufficientQuota
from redis import ConnectionPool, Redis

from tests.peers.drivers.base import UNITS_OF_A_CALL, Driver, Refused


class Peer(Driver):
    """Reserve and commit; a reservation's id is its key."""

    has_holds = True
    has_keys = True
    lacks = (
        "no price book, no budgets: one number for each resource",
        "a commit takes the whole reservation; there is no actual amount and no late commit",
        "no journal and no history: receipts of reservations live a day",
        "durable as the append-only file is",
    )

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        pool = ConnectionPool.from_url(settings["url"], max_connections=128, decode_responses=True)
        config = ClientConfig(redis_url=settings["url"])
        self.redis = Redis(connection_pool=pool)
        self.client = Client(config, redis_client=self.redis)

    def open_wallets(self, names: list[str], units: int) -> None:
        for name in names:
            self.client.seed_available(name, units)
            self.redis.set(f"granted:{name}", units)

    def reserve(self, wallet: str, units: int, key: str, ttl_seconds: int) -> str:
        try:
            found = self.client.reserve(wallet, units, ttl_ms=ttl_seconds * 1_000, reservation_id=key)
        except InsufficientQuota as error:
            raise Refused from error
        return str(found.reservation_id)

    def commit(self, wallet: str, hold: str, units: int, key: str) -> None:
        self.client.commit(wallet, hold)

    def available(self, wallet: str) -> int:
        return int(self.client.get_state(wallet).available)

    def charges(self, wallet: str) -> int:
        """From what is left, since the peer keeps no charges: all of them are equally large here."""
        state = self.client.get_state(wallet)
        granted = int(str(self.redis.get(f"granted:{wallet}")))
        return (granted - int(state.available) - int(state.reserved)) // UNITS_OF_A_CALL

    def close(self) -> None:
        self.redis.close()
