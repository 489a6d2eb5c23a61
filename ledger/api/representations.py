"""How the ledger's objects look outside: amounts as decimal text, times as RFC 3339."""

from typing import Any

from common.money import format_amount
from ledger.queries.balances import CreditBalance, GrantRow
from orgs.rules.facts import time_text


def show_grant(row: GrantRow) -> dict[str, Any]:
    """A credit grant."""
    grant = row.grant
    return {
        "id": str(grant.id),
        "kind": grant.kind,
        "amount": format_amount(row.amount),
        "remaining": format_amount(grant.remaining),
        "held": format_amount(grant.held),
        "priority": grant.priority,
        "scope": grant.scope,
        "scope_target": None if grant.scope_target is None else str(grant.scope_target),
        "effective_at": time_text(grant.effective_at),
        "expires_at": time_text(grant.expires_at),
        "expired_at": time_text(grant.expired_at),
        "reason": row.reason,
        "created_at": time_text(grant.created_at),
    }


def show_balance(balance: CreditBalance) -> dict[str, Any]:
    """The credit of an organization."""
    return {
        "currency": balance.currency,
        "posted": format_amount(balance.posted),
        "held": format_amount(balance.held),
        "available": format_amount(balance.available),
        "debt": format_amount(balance.debt),
        "grants": [show_grant(row) for row in balance.grants],
        "at": time_text(balance.at),
    }
