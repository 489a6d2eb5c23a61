"""Manual adjustments of credit: what may be proposed, and who may decide (S12)."""

from typing import Final

from common.errors import InvalidField, MakerCannotApprove
from ledger.rules.chart import KINDS, LIVE

CONTRA_KINDS: Final = tuple(kind for kind in KINDS if kind not in LIVE and kind != "payout_in_transit")
"""Any account without a limit may stand against the credit, but what is in transit is that of payouts alone (P3)."""


def needs_approval(amount: int, *, above: int) -> bool:
    """Return whether another person must approve; the limit itself may be posted alone."""
    return abs(amount) > above


def require_reason(reason: str) -> str:
    """Return the reason without surrounding space. Raises InvalidField when nothing is left."""
    text = reason.strip()
    if not text:
        raise InvalidField("A reason is required.", pointer="/reason")
    return text


def require_other_person(*, proposer: str | None, approver: str | None) -> None:
    """Refuse the maker, and whoever cannot be told from the maker. Raises MakerCannotApprove.

    Both are persons, not logins: two logins of one person are one. None: an API key, which stands for no person.
    """
    if approver is None:
        raise MakerCannotApprove(
            "An API key stands for no person; another person approves this in the admin."
        )
    if proposer == approver:
        raise MakerCannotApprove


def grant_kind(contra_kind: str) -> str:
    """Return the kind of grant that an adjustment upwards makes: only against cash has it been paid for."""
    return "paid" if contra_kind == "cash" else "promotional"
