"""Use of a grant's time that is not rated yet: its breakage waits for that, however long a standstill was.

Either its period has ended and is on no invoice, or the boundary that ends the period has not been passed.
"""

from typing import Final

UNRATED: Final = """
EXISTS (SELECT FROM metered_periods m
    WHERE m.organization = g.organization AND m.invoice_id IS NULL AND m.start_at < g.expires_at)
OR EXISTS (SELECT FROM subscriptions s WHERE s.organization = g.organization AND s.next_at <= g.expires_at)
"""
