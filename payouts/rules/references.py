"""By what a partner knows whom it may not know: its customers, their agents, and those who share with it. Pure.

HMAC under a random key of the partner's: always the same for this partner, another one for each, and whoever knows an
id works out nothing.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final
from uuid import NAMESPACE_OID, UUID, uuid5

CUSTOMER: Final = "customer"
AGENT: Final = "agent"
PARTY: Final = "party"


@dataclass(frozen=True, slots=True)
class References:
    """The references of one partner."""

    partner: UUID
    key: UUID

    def of(self, kind: str, identifier: UUID) -> UUID:
        """Return the reference of a customer, an agent or a party."""
        digest = hmac.digest(self.key.bytes, f"{kind}:{identifier}".encode(), "sha256")
        return UUID(bytes=digest[:16], version=4)

    def before(self, organization: UUID) -> UUID:
        """Return how documents from before the key name a customer."""
        return uuid5(NAMESPACE_OID, f"{CUSTOMER}:{self.partner}:{organization}")
