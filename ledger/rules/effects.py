"""The ledger's part of an event's data: small builders, so that every writer says the same in the same form.

`entries` are journal entries whose lines are [account id, amount] (credit > 0, debit < 0) and sum to zero; `placed` and
`settled` are holds; `burned` lowers grants, `debt` moves an account's debt. Amounts in units, ids as text.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.ids import new_id_text
from orgs.rules.facts import time_text

USAGE: Final = "usage"
"""The kind of an entry that says none."""


def entry(
    *,
    lines: list[list[Any]],
    currency: str,
    kind: str = USAGE,
    source: str | None = None,
    key: str | None = None,
    reason: str = "",
    reverses: str | None = None,
    effective_at: datetime | None = None,
) -> dict[str, Any]:
    """Return a journal entry, in effect when its event occurred unless said otherwise.

    Its idempotency key and source are those of the event's own entry (see `expanded`) unless others are given: of
    usage, whose record the event names. Raises ValueError when its lines do not sum to zero (L1) or one is zero.
    """
    if sum(amount for _, amount in lines) != 0 or not all(amount for _, amount in lines):
        raise ValueError(f"L1: the lines of {source or 'usage'} do not sum to zero")
    made: dict[str, Any] = {"id": new_id_text(), "currency": currency, "lines": lines}
    if kind != USAGE:
        made["kind"] = kind
    if source is not None:
        made["source"] = source
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
    """Return a new hold; `grants` is its receipt, [grant, amount] in the order taken, which sums to the amount."""
    return {"hold": hold, "source": source, **held(account, amount, grants)}


def held(account: str, amount: int, grants: list[list[Any]]) -> dict[str, Any]:
    """Return what a hold takes, or gives back, of an account: where grants are named, their sum is the amount."""
    return {"account": account, "grants": grants} if grants else {"account": account, "amount": amount}


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
    funding_source: str = "credit",
    gift: int = 0,
    breaks_at: datetime | None = None,
) -> dict[str, Any]:
    """Return a new grant of credit, in effect in [effective_at, expires_at); `repaid` of it went to debt at once.

    What is the rule is left out: a grant is of credit, nothing of it a gift, and it breaks when it ends.
    """
    made = {
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
    if funding_source != "credit":
        made["funding_source"] = funding_source
    if gift:
        made["gift"] = gift
    if breaks_at is not None:
        made["breaks_at"] = time_text(breaks_at)
    return made


def settled(
    *, status: str, account: str, amount: int, grants: list[list[Any]], hold: str | None = None
) -> dict[str, Any]:
    """Return the end of a hold: posted, voided or expired (L5); `amount` and the grants' parts are free again."""
    made = {"status": status, **held(account, amount, grants)}
    if hold is not None:
        made["hold"] = hold
    return made


def amount_of(hold: Mapping[str, Any]) -> int:
    """Return the amount of a hold in an event."""
    given: int | None = hold.get("amount")
    return sum(amount for _, amount in hold["grants"]) if given is None else given


def expanded(
    *, event_type: str, stream_id: UUID, part: Mapping[str, Any], usage: str | None = None
) -> dict[str, Any]:
    """Return the ledger's part of an event with what it leaves out because the rest of the event says it.

    A hold without an id has the stream's; its source is the stream, its amount the sum of its grants. An entry without
    a key has <verb>:<stream id>; one without a kind is of the usage record that the event names (`usage`), else of the
    record that the stream is.
    """
    stream, _, verb = event_type.partition(".")
    hold = {"hold": str(stream_id), "grants": []}
    source = {"source": f"{stream}:{stream_id}"}
    entry_defaults = {
        "key": f"{verb}:{stream_id}",
        "kind": USAGE,
        "source": f"usage_record:{usage or stream_id}",
    }
    full = dict(part)
    if "placed" in part:
        full["placed"] = [
            {**hold, **source, **placed, "amount": amount_of(placed)} for placed in part["placed"]
        ]
    if "settled" in part:
        full["settled"] = [{**hold, **ended, "amount": amount_of(ended)} for ended in part["settled"]]
    if "entries" in part:
        full["entries"] = [{**entry_defaults, **made} for made in part["entries"]]
    return full
