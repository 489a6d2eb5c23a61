"""How the dictionary was made against which kept answers are compressed: `python -m common.answerwords FILE`.

It is trained on made-up answers of every kind with names, amounts, dates and ids at random, so that it knows the words
and shapes that answers have and nothing of anybody's data. A new dictionary makes the answers kept before it unreadable
for the rest of their 30 days: keep the old one beside it until then.
"""

import random
import sys
import uuid
from pathlib import Path
from typing import Any, Final

import msgspec
from backports import zstd

SAMPLES: Final = 6_000
SIZE: Final = 4_096
_SCOPES: Final = ("run", "user", "agent", "workflow", "connection", "team", "organization")
_WINDOWS: Final = ("hour", "day", "week", "month", "quarter", "year", "rolling", "run", "lifetime")
_CURRENCIES: Final = ("USD", "USD", "USD", "EUR", "GBP", "JPY")


class _Made:
    """Answers at random, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def identifier(self) -> str:
        """An id of version 7 within some years."""
        milliseconds = 1_760_000_000_000 + self.random.randrange(10**11)
        number = milliseconds << 80 | 7 << 76 | self.random.getrandbits(76) & ~(3 << 62) | 2 << 62
        return str(uuid.UUID(int=number))

    def amount(self) -> str:
        """A decimal string with as many digits as amounts have."""
        whole, decimals = self.random.choice((0, 0, 9, 999, 99_999)), self.random.randrange(9)
        text = str(self.random.randint(0, whole))
        rest = "".join(self.random.choices("0123456789", k=decimals)).rstrip("0")
        return f"{text}.{rest}" if rest else text

    def name(self) -> str:
        """A label as people give them."""
        letters = "".join(self.random.choices("aeioubcdfglmnprst", k=self.random.randint(3, 9)))
        return letters + self.random.choice(("", f"-{self.random.randrange(100)}"))

    def time(self, *, midnight: bool) -> str:
        """A moment; ends of windows are midnights."""
        day = (
            f"20{self.random.randint(26, 29)}-{self.random.randint(1, 12):02}-{self.random.randint(1, 28):02}"
        )
        if midnight:
            return f"{day}T00:00:00Z"
        hour, minute, second = (self.random.randrange(n) for n in (24, 60, 60))
        return f"{day}T{hour:02}:{minute:02}:{second:02}.{self.random.randrange(10**6):06}Z"

    def budget(self, scope: str, currency: str) -> dict[str, Any]:
        """One layer of a reservation's answer."""
        window = self.random.choice(_WINDOWS)
        return {
            "id": self.identifier(), "scope": scope, "target": None if scope == "organization" else self.name(),
            "window": window, "unit": self.random.choice((currency,) * 9 + ("TOKENS",)), "limit": self.amount(),
            "spent": self.random.choice(("0", self.amount())), "held": self.amount(), "remaining": self.amount(),
            "resets_at": None if window in ("run", "lifetime") else self.time(midnight=window != "rolling"),
        }  # fmt: skip

    def credit(self) -> dict[str, Any]:
        """The credit of an answer."""
        return {"available": self.amount(), "held": self.random.choice(("0", self.amount()))}

    def reserved(self) -> dict[str, Any]:
        """The answer to a reservation."""
        currency, cost = self.random.choice(_CURRENCIES), self.amount()
        scopes = [scope for scope in _SCOPES if self.random.random() < 0.7]
        return {
            "id": self.identifier(), "decision": "allow", "status": "active", "held": cost, "currency": currency,
            "estimated_cost": cost, "price_version": self.random.choice((None, self.identifier(), self.identifier())),
            "expires_at": self.time(midnight=False),
            "remaining_ttl_ms": self.random.choice((900_000, 60_000, 1_000 * self.random.randint(1, 9_999))),
            "caps": {}, "budgets": [self.budget(scope, currency) for scope in scopes], "credit": self.credit(),
            "warnings": [
                {"code": "threshold_reached", "budget_id": self.identifier(), "percent": self.random.choice((50, 80))}
                for _ in range(self.random.choice((0, 0, 0, 1)))
            ],
        }  # fmt: skip

    def committed(self) -> dict[str, Any]:
        """The answer to a commit."""
        cost = self.amount()
        return {
            "id": self.identifier(), "status": "committed", "charged": cost, "released": self.amount(),
            "overage": self.random.choice(("0", "0", "0", self.amount())), "cost": cost,
            "currency": self.random.choice(_CURRENCIES),
            "price_version": self.random.choice((None, self.identifier(), self.identifier())),
            "usage_record": self.identifier(), "credit": self.credit(), "late": self.random.random() < 0.05,
        }  # fmt: skip

    def other(self) -> dict[str, Any]:
        """Releases, heartbeats, usage, grants, subjects: what comes less often."""
        kinds: tuple[dict[str, Any], ...] = (
            {"id": self.identifier(), "status": "released", "released": self.amount()},
            {"id": self.identifier(), "status": "active", "expires_at": self.time(midnight=False),
             "remaining_ttl_ms": 900_000},
            {"id": self.identifier(), "source": self.name(), "external_id": self.name(), "outcome": "completed",
             "cost": self.amount(), "charge": self.amount(), "currency": self.random.choice(_CURRENCIES),
             "price_version": self.identifier(), "occurred_at": self.time(midnight=False), "adjustment": False},
            {"id": self.identifier(), "organization": self.identifier(), "kind": "paid", "amount": self.amount(),
             "remaining": self.amount(), "currency": "USD", "priority": 0, "effective_at": self.time(midnight=False),
             "expires_at": None, "reason": self.name(), "created_at": self.time(midnight=False)},
            {"id": self.identifier(), "organization": self.identifier(), "key": self.name(), "name": self.name(),
             "created_at": self.time(midnight=False), "archived_at": None},
        )  # fmt: skip
        return self.random.choice(kinds)


def samples(seed: int = 1, count: int = SAMPLES) -> list[bytes]:
    """Return answers at random: as many reservations as commits, and some others."""
    made = _Made(seed)
    kinds = [made.reserved, made.committed] * 9 + [made.other] * 2
    return [msgspec.json.encode(made.random.choice(kinds)()) for _ in range(count)]


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(zstd.train_dict(samples(), SIZE).dict_content)
