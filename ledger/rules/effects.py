"""The ledger's part of an event's data: small builders, so that every writer says the same in the same form.

`entries` are journal entries whose lines are [account id, amount] (credit > 0, debit < 0) and sum to zero; `placed` and
`settled` are holds; `burned` lowers grants, `debt` moves an account's debt. Amounts in units, ids as text.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from common.ids import new_id
from orgs.rules.facts import time_text


def entry(
    *,
    kind: str,
    source: str,
    lines: list[list[Any]],
    currency: str,
    key: str | None = None,
    reason: str = "",
    reverses: str | None = None,
    effective_at: datetime | None = None,
) -> dict[str, Any]:
    """Return a journal entry, in effect when its event occurred unless said otherwise.

    Its idempotency key is that of the event's own entry (see `expanded`) unless one is given. Raises ValueError
    when its lines do not sum to zero (L1) or one of them is zero.
    """
    if sum(amount for _, amount in lines) != 0 or not all(amount for _, amount in lines):
        raise ValueError(f"L1: the lines of {source} do not sum to zero")
    made: dict[str, Any] = {
        "id": str(new_id()),
        "kind": kind,
        "source": source,
        "currency": currency,
        "lines": lines,
    }
    if key is not None:
        made["key"] = key
    if reason:
        made["reason"] = reason
    if reverses is not None:
        made["reverses"] = reverses
    if effective_at is not None:
        made["effective_at"] = time_text(effective_at)
    return made


def placed(*, hold: str, account: str, amount: int, source: str, grants: list[list[Any]]) -> dict[str, Any]:
    """Return a new hold; `grants` is its receipt, [grant, amount] in the order taken."""
    return {"hold": hold, "account": account, "amount": amount, "source": source, "grants": grants}


def granted(
    *,
    grant: UUID,
    account: UUID,
    kind: str,
    currency: str,
    amount: int,
    cost_basis: int,
    effective_at: datetime,
    reason: str,
    source: str,
    priority: int = 0,
    scope: str = "organization",
    scope_target: UUID | None = None,
    expires_at: datetime | None = None,
    repaid: int = 0,
) -> dict[str, Any]:
    """Return a new grant of credit, in effect in [effective_at, expires_at); `repaid` of it went to debt at once."""
    return {
        "id": str(grant),
        "account": str(account),
        "kind": kind,
        "currency": currency,
        "priority": priority,
        "scope": scope,
        "scope_target": None if scope_target is None else str(scope_target),
        "amount": amount,
        "repaid": repaid,
        "cost_basis": cost_basis,
        "effective_at": time_text(effective_at),
        "expires_at": time_text(expires_at),
        "reason": reason,
        "source": source,
    }


def settled(
    *, status: str, account: str, amount: int, grants: list[list[Any]], hold: str | None = None
) -> dict[str, Any]:
    """Return the end of a hold: posted, voided or expired (L5); `amount` and the grants' parts are free again."""
    made: dict[str, Any] = {"status": status, "account": account, "amount": amount, "grants": grants}
    if hold is not None:
        made["hold"] = hold
    return made


def expanded(*, event_type: str, stream_id: UUID, part: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ledger's part of an event with what it leaves out because the event's stream says it.

    A hold without an id has the stream's; its source is the stream. An entry without a key has <verb>:<stream id>.
    """
    stream, _, verb = event_type.partition(".")
    hold = {"hold": str(stream_id)}
    source = {"source": f"{stream}:{stream_id}"}
    key = {"key": f"{verb}:{stream_id}"}
    full = dict(part)
    if "placed" in part:
        full["placed"] = [{**hold, **source, **placed} for placed in part["placed"]]
    if "settled" in part:
        full["settled"] = [{**hold, **ended} for ended in part["settled"]]
    if "entries" in part:
        full["entries"] = [{**key, **made} for made in part["entries"]]
    return full
