"""Stripe's refusals as exceptions; `server` turns them into its error envelope."""

from __future__ import annotations

from typing import Any


class StripeError(Exception):
    """An answer of Stripe that is an error. `keeps_effects`: what was written before it stays (a decline)."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        decline_code: str | None = None,
        keeps_effects: bool = False,
        headers: dict[str, str] | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.code = code
        self.param = param
        self.decline_code = decline_code
        self.keeps_effects = keeps_effects
        self.headers = headers or {}
        self.more = more or {}

    def envelope(self) -> dict[str, Any]:
        """Return the body of the answer."""
        told = {
            "type": self.type,
            "code": self.code,
            "param": self.param,
            "decline_code": self.decline_code,
            "message": str(self),
        }
        return {"error": {name: value for name, value in told.items() if value is not None} | self.more}


class NotExecuted(StripeError):
    """Refused before anything ran: nothing is stored under the idempotency key."""


def missing(kind: str, id: str, *, param: str = "id", status: int = 404) -> StripeError:
    """Return the refusal for an object that is not there."""
    return StripeError(f"No such {kind}: '{id}'", status=status, code="resource_missing", param=param)
