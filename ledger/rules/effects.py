"""The ledger's part of an event's data: small builders, so that every writer says the same in the same form.

`entries` are journal entries whose lines are [account id, amount] (credit > 0, debit < 0) and sum to zero; `placed` and
`settled` are holds; `burned` lowers grants, `debt` moves an account's debt. Amounts in units, ids as text.
"""

from typing import Any

from common.ids import new_id


def entry(
    *,
    kind: str,
    key: str,
    source: str,
    lines: list[list[Any]],
    currency: str,
    reason: str = "",
    reverses: str | None = None,
) -> dict[str, Any]:
    """Return a journal entry; raises ValueError when its lines do not sum to zero (L1)."""
    if sum(amount for _, amount in lines) != 0:
        raise ValueError(f"L1: the lines of {key} do not sum to zero")
    made = {
        "id": str(new_id()),
        "kind": kind,
        "key": key,
        "source": source,
        "currency": currency,
        "lines": lines,
    }
    if reason:
        made["reason"] = reason
    if reverses is not None:
        made["reverses"] = reverses
    return made


def settled(*, hold: str, status: str, account: str, amount: int, grants: list[list[Any]]) -> dict[str, Any]:
    """Return the end of a hold: posted, voided or expired (L5); `amount` and the grants' parts are free again."""
    return {"hold": hold, "status": status, "account": account, "amount": amount, "grants": grants}
