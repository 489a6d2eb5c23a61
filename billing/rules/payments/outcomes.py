"""How a call to the processor ended: five meanings, whatever the SDK raised. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from billing.rules.payments.views import Failure


@dataclass(frozen=True, slots=True)
class Succeeded:
    """It was done. `view` is the object as it answered, of billing/rules/payments/views.py; None for a kind of object
    that has none. `replayed`: the processor had done it before under this key."""

    object_id: str
    view: Any
    request_id: str | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """It was not done, and will not be under this key. `stored`: the key is used up (a decline); otherwise the request
    was turned away before it began. `object_id`: what was made nevertheless (a declined payment is an object)."""

    code: str
    decline_code: str | None = None
    message: str = ""
    stored: bool = False
    object_id: str | None = None
    request_id: str | None = None
    view: Any = None

    @property
    def failure(self) -> Failure:
        """Why, as payments say it."""
        return Failure(self.code, self.decline_code, self.message)


@dataclass(frozen=True, slots=True)
class Busy:
    """It was not begun: too many calls, or somebody holds the object. `retry_after`: seconds, None: as we like.
    `is_limit`: the account's limit was reached, so all calls slow down."""

    retry_after: float | None = None
    reason: str = "rate_limit"

    @property
    def is_limit(self) -> bool:
        """Whether the account's limit is reached, rather than one object locked."""
        return self.reason == "rate_limit"


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether it was done: no answer, or a failure at their side. `stored`: they answered 5xx, and may
    answer the same again under this key."""

    reason: str
    stored: bool = False
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Wrong:
    """A defect of ours or of the set-up: another request under the same key, a key that is refused, a request that
    makes no sense. Nothing is repeated before a person looked."""

    reason: str
    code: str = "wrong"
    request_id: str | None = None


Outcome = Succeeded | Refused | Busy | Unknown | Wrong
