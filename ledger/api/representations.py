"""How the ledger's objects look outside: amounts as decimal text, times as RFC 3339."""

from typing import Any

from common.money import format_amount
from ledger.queries.accounts import AccountRow
from ledger.queries.adjustments import AdjustmentRow
from ledger.queries.balances import CreditBalance, GrantRow
from ledger.queries.funding import Funding, Line
from ledger.queries.journal import EntryRow
from ledger.queries.statements import StatementLine, TrialLine
from orgs.rules.facts import id_text, time_text


def show_grant(row: GrantRow) -> dict[str, Any]:
    """A credit grant."""
    grant = row.grant
    return {
        "id": str(grant.id),
        "organization": str(row.organization),
        "kind": grant.kind,
        "source": grant.source,
        "currency": row.currency,
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


def show_funding(funding: Funding) -> dict[str, Any]:
    """What pays for an organization's charges, in order."""
    return {
        "currency": funding.currency,
        "mode": funding.mode,
        "available": _or_none(funding.available),
        "debt": format_amount(funding.debt),
        "sources": [
            {
                "source": source.source,
                "remaining": format_amount(source.remaining),
                "held": format_amount(source.held),
                "available": format_amount(source.available),
                "grants": [show_grant(row) for row in source.grants],
            }
            for source in funding.sources
        ],
        "line": None if funding.line is None else _line(funding.line),
        "at": time_text(funding.at),
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "limit": _or_none(line.limit),
        "owed": format_amount(line.owed),
        "held": format_amount(line.held),
        "available": _or_none(line.available),
    }


def _or_none(units: int | None) -> str | None:
    return None if units is None else format_amount(units)


def show_account(row: AccountRow) -> dict[str, Any]:
    """An account with its balance."""
    return {
        "id": str(row.id),
        "kind": row.kind,
        "currency": row.currency,
        "counterparty": id_text(row.counterparty),
        "posted": format_amount(row.posted),
        "held": format_amount(row.held),
        "debt": format_amount(row.debt),
    }


def show_entry(row: EntryRow) -> dict[str, Any]:
    """A journal entry with its lines."""
    return {
        "id": str(row.id),
        "kind": row.kind,
        "source": row.source,
        "idempotency_key": row.key,
        "actor": row.actor,
        "reason": row.reason,
        "effective_at": time_text(row.effective_at),
        "recorded_at": time_text(row.recorded_at),
        "reverses": id_text(row.reverses),
        "reversed_by": id_text(row.reversed_by),
        "lines": [
            {
                "account": str(line.account),
                "kind": line.kind,
                "currency": line.currency,
                "amount": format_amount(line.amount),
            }
            for line in row.lines
        ],
    }


def show_statement_line(line: StatementLine) -> dict[str, Any]:
    """A line of a statement."""
    return {
        "entry": str(line.entry_id),
        "at": time_text(line.at),
        "kind": line.kind,
        "source": line.source,
        "reason": line.reason,
        "amount": format_amount(line.amount),
        "balance": format_amount(line.balance),
    }


def show_trial_line(line: TrialLine) -> dict[str, Any]:
    """A line of a trial balance."""
    return {
        "kind": line.kind,
        "currency": line.currency,
        "debits": format_amount(line.debits),
        "credits": format_amount(line.credits),
        "balance": format_amount(line.balance),
    }


def show_adjustment(row: AdjustmentRow) -> dict[str, Any]:
    """A manual adjustment."""
    return {
        "id": str(row.id),
        "organization": str(row.organization),
        "direction": "credit" if row.amount > 0 else "debit",
        "amount": format_amount(abs(row.amount)),
        "currency": row.currency,
        "contra": row.contra_kind,
        "reason": row.reason,
        "status": row.status,
        "proposed_by": row.proposed_by,
        "decided_by": row.decided_by,
        "decided_at": time_text(row.decided_at),
        "decision_reason": row.decision_reason,
        "entry": id_text(row.entry_id),
        "created_at": time_text(row.created_at),
    }
