"""What a peer is asked to do. Amounts are whole units; a wallet is whatever the peer holds credit in."""

from typing import Any

UNITS_OF_A_CALL = 10


class Refused(Exception):
    """The peer said no: there is not enough. Anything else that goes wrong is an error, not a refusal."""


class Driver:
    """A peer. With holds it has `reserve` and `commit`; else `charge`, before which an application asks `admit`."""

    has_holds = False
    has_keys = False  # a charge carries an idempotency key
    lacks: tuple[str, ...] = ()

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings

    def install(self) -> None:
        """Make the schema, once."""

    def open_wallets(self, names: list[str], units: int) -> None:
        """Make wallets with that much credit."""
        raise NotImplementedError

    def find_wallets(self, names: list[str]) -> None:
        """Look wallets up that another process has made, so that no call has to."""

    def reserve(self, wallet: str, units: int, key: str, ttl_seconds: int) -> str:
        """Hold credit and return the hold's id. Raises Refused."""
        raise NotImplementedError

    def commit(self, wallet: str, hold: str, units: int, key: str) -> None:
        """Turn the hold into a charge."""
        raise NotImplementedError

    def admit(self, wallet: str, units: int) -> None:
        """Ask whether there is enough, as an application must where nothing can be held. Raises Refused."""
        if self.available(wallet) < units:
            raise Refused

    def charge(self, wallet: str, units: int, key: str) -> None:
        """Take credit. Raises Refused where the peer itself looks whether there is enough."""
        raise NotImplementedError

    def available(self, wallet: str) -> int:
        """What may be spent: credit less charges and holds."""
        raise NotImplementedError

    def charges(self, wallet: str) -> int:
        """How many charges are booked."""
        raise NotImplementedError

    def thread_ends(self) -> None:
        """Give back what this thread has used."""

    def close(self) -> None:
        """Hang up."""
