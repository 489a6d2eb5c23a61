"""The key by which a partner's references are made; made with the partner, and kept for ever."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from payouts.rules.references import References

_KEY: Final = "SELECT key FROM partner_reference_keys WHERE partner = %s"


def references_of(cur: Cursor, partner: UUID) -> References:
    """Return the references of a partner. Raises NotFound for an organization that is none."""
    row = cur.execute(_KEY, (partner,)).fetchone()
    if row is None:
        raise NotFound("This organization is no partner.")
    return References(partner, row[0])
