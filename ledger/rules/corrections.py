"""What a correction does to grants and debt, so that they always add up to the posted credit (L7). Pure.

Credit that is taken is burnt from grants first and becomes debt for the rest. Credit that comes back repays debt
first, then goes back to the grants that it was burnt from; what has no grant to go to makes a new one.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from ledger.rules.effects import USAGE
from ledger.rules.grants import Grant, is_live

OWNED: Final = {
    "invoice": "void the invoice, or issue a credit note",
    "invoice_void": "bill it anew",
    "payment": "its invoice would stay paid",
    "write_off": "record the payment that came after all",
    "credit_note": "it is a document",
    "recognition": "correct the invoice: its revenue follows",
    "top_up": "refund the payment",
    "overpayment": "refund the payment",
    "processor_refund": "it is what the processor did",
    "processor_fee": "it is what the processor did",
    "dispute": "it is what the processor did",
    "processor_payout": "it is what the processor did",
    "earning_moved": "a partner's books have the other half",
    "earning_received": "the books of who paid have the other half",
    "earning_adjusted": "it follows the month's volume",
    "earning_lost": "it follows what the customer pays",
    "payout_requested": "cancel or reject the payout",
    "payout_transferred": "it is what the processor did",
    "payout_paid": "it is what the processor did",
    "payout_returned": "the next payout is a new one",
    "payout_transferred_back": "it is what the processor did",
    "give_back": "it follows the use that was taken back",
    "commitment": "amend or terminate the contract",
    "allowance_return": "change or cancel the subscription",
}
"""Kinds of entries whose figures a document or a schedule states, and what corrects them instead of a reversal."""
_METERED: Final = "charged:"
"""How the keys of metered charges begin: their event is `usage.charged`."""


@dataclass(slots=True)
class Movement:
    """What moves beside the journal: `burned` by grant (negative: given back), `debt` (negative: repaid).

    `lost` came back to grants that had expired meanwhile, and is breakage. `regranted` makes a new grant, of which
    `repaid` goes to debt at once (it is part of `debt`, too).
    """

    burned: list[tuple[UUID, int]] = field(default_factory=list)
    debt: int = 0
    lost: int = 0
    regranted: int = 0
    repaid: int = 0


def corrected_by(*, kind: str, key: str, accounts: Collection[str], sources: Collection[str]) -> str | None:
    """Return what corrects an entry instead of its reversal, None where it is reversed.

    `accounts` are the kinds that it is posted to, `sources` those of the grants that it made or burnt. Invoices and
    contracts count usage by its records and receipts: taken back in the books alone it is billed all the same.
    """
    if kind in OWNED:
        return OWNED[kind]
    if kind == USAGE and key.startswith(_METERED):
        return "void the events that were counted"
    if kind == USAGE and "unbilled_receivable" in accounts:
        return "its invoice bills it: add an invoice item that credits it, or issue a credit note"
    if "commitment" in sources:
        return "its contract counts it; issue a credit note, or give credit"
    return None


def take(grants: Iterable[Grant], amount: int) -> Movement:
    """Return how an amount is taken from the free part of grants, in their given order; the rest is debt."""
    moved, rest = Movement(), amount
    for grant in grants:
        part = min(rest, grant.remaining - grant.held)
        if part > 0:
            moved.burned.append((grant.id, part))
            rest -= part
    moved.debt = rest
    return moved


def regrant(amount: int, *, debt: int) -> Movement:
    """Return how an amount becomes a new grant: it repays debt first."""
    repaid = min(amount, debt)
    return Movement(debt=-repaid, regranted=amount, repaid=repaid)


def give_back(
    amount: int,
    *,
    burned: Sequence[tuple[UUID, int]],
    owed: int,
    debt: int,
    grants: Mapping[UUID, Grant],
    now: datetime,
) -> Movement:
    """Return where a reversed amount of credit goes.

    `burned` and `owed` are what the reversed entry took of grants and made of debt, `debt` is today's. Its own debt
    goes first, as far as it still stands. Live grants get their own back; of those that expired meanwhile it is
    lost to breakage. What is left (debt that a later grant repaid) makes a new grant.
    """
    repaid = min(owed, debt, amount)
    back: list[tuple[UUID, int]] = []
    rest, lost = amount - repaid, 0
    # Live grants first: one event may also hold the breakage of expired ones, which belongs to another entry.
    for grant, part in sorted(burned, key=lambda item: not _is_open(grants.get(item[0]), now)):
        part = min(part, rest)
        if part > 0 and _is_open(grants.get(grant), now):
            back.append((grant, -part))
        else:
            lost += max(part, 0)
        rest -= max(part, 0)
    moved = regrant(rest, debt=debt - repaid)
    moved.burned, moved.lost = back, lost
    moved.debt -= repaid
    return moved


def _is_open(grant: Grant | None, now: datetime) -> bool:
    if grant is None or grant.expired_at is not None:
        return False
    return is_live(grant, now) or now < grant.effective_at


def as_effects(moved: Movement, *, account: UUID) -> dict[str, Any]:
    """Return the parts `burned` and `debt` of an event's ledger data."""
    part: dict[str, Any] = {}
    if moved.burned:
        part["burned"] = [[str(grant), amount] for grant, amount in moved.burned]
    if moved.debt:
        part["debt"] = [[str(account), moved.debt]]
    return part
