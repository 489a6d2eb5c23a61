"""What an API key may do. A scope is `<area>:read` or `<area>:write`; `admin` and `platform` stand above.

platform        keys of the platform only: create organizations, grant credit, act inside every organization
admin           set up the own organization: teams, agents, workflows, connections, members, keys, budgets;
                includes every read scope of the organization, but not the writes of the other areas
spend:write     ask the gate: reserve, commit, release, extend; report usage
spend:read      reservations, runs, usage, decisions, budgets, balances
billing:write   change subscriptions, contracts and payment settings (with the billing issue)
billing:read    invoices, credit notes, subscriptions
payouts:write   publish listings, open the payout account, request payouts and cancel what was requested
payouts:read    earnings, payouts, statements
webhooks:write  outbound endpoints
webhooks:read   endpoints and deliveries
audit:read      the event log and the journal

A write scope includes the read scope of its area.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

PLATFORM: Final = "platform"
ADMIN: Final = "admin"
SPEND_WRITE: Final = "spend:write"
SPEND_READ: Final = "spend:read"
BILLING_WRITE: Final = "billing:write"
BILLING_READ: Final = "billing:read"
PAYOUTS_WRITE: Final = "payouts:write"
PAYOUTS_READ: Final = "payouts:read"
WEBHOOKS_WRITE: Final = "webhooks:write"
WEBHOOKS_READ: Final = "webhooks:read"
AUDIT_READ: Final = "audit:read"

READS: Final = frozenset({SPEND_READ, BILLING_READ, PAYOUTS_READ, WEBHOOKS_READ, AUDIT_READ})
WRITES: Final = frozenset({SPEND_WRITE, BILLING_WRITE, PAYOUTS_WRITE, WEBHOOKS_WRITE})
ORGANIZATION_SCOPES: Final = READS | WRITES | {ADMIN}
ALL_SCOPES: Final = ORGANIZATION_SCOPES | {PLATFORM}

OWNER: Final = "owner"
BILLING_ADMIN: Final = "billing_admin"
TEAM_OWNER: Final = "team_owner"
MEMBER: Final = "member"
ROLES: Final = (OWNER, BILLING_ADMIN, TEAM_OWNER, MEMBER)

# What a member's key can have at most, whatever scopes it was given.
_ROLE_LIMITS: Final = {
    OWNER: ORGANIZATION_SCOPES,
    BILLING_ADMIN: frozenset(
        {BILLING_WRITE, BILLING_READ, PAYOUTS_WRITE, PAYOUTS_READ, SPEND_READ, AUDIT_READ}
    ),
    TEAM_OWNER: frozenset({ADMIN, SPEND_WRITE, SPEND_READ}),
    MEMBER: frozenset({SPEND_WRITE, SPEND_READ}),
}


def effective(scopes: Iterable[str], *, role: str | None, is_platform: bool) -> frozenset[str]:
    """The scopes that count: what the role leaves of the given ones, with everything that they include.

    The role limits after the expansion: an admin key of a team owner does not read invoices.
    """
    expanded = set(scopes)
    if not is_platform:
        expanded.discard(PLATFORM)
    if PLATFORM in expanded:
        expanded |= {ADMIN}
    if ADMIN in expanded:
        expanded |= READS
    expanded |= {scope.replace(":write", ":read") for scope in expanded & WRITES}
    return frozenset(expanded if role is None else expanded & _ROLE_LIMITS[role])
