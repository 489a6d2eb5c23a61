"""Who may call the gate: what a key was admitted as, made once and remembered by the keyring."""

from typing import Any
from uuid import UUID

from common.errors import Forbidden
from orgs import PLATFORM_ID
from orgs.queries.authentication import Known
from spend.operations.gate.callers import caller_of


class Admitted:
    """A key with the gate's scope: its organization and what it stands for there."""

    __slots__ = ("caller", "key_id", "named", "organization")

    def __init__(self, known: Known | None) -> None:
        """Raises InvalidCredentials and Forbidden."""
        self.caller = caller_of(known)
        assert known is not None
        self.key_id = str(
            known.principal.key_id
        )  # the limiter's key: an id object is hashed anew at each look-up
        self.organization: UUID = known.principal.organization
        self.named: dict[str, Any] = {"organization": self.organization, "caller": self.caller}

    def refuse_platform(self) -> None:
        """Raises Forbidden for a key of the platform, which has no agents."""
        if self.organization == PLATFORM_ID:
            raise Forbidden("The platform makes no calls; use a key of the organization.")
